"""Pictures to process, and the colour model as the environment names it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bundles import write_bundle
from tests.fakes import as_bytes, picture

# what can be wrong with a picture file, and a part of the reason that is given
BROKEN = {
    "cut.png": (as_bytes(picture("red"))[:60], "damaged or truncated"),
    "empty.jpg": (b"", "not a picture"),
    "scan": (b"no picture", "not a picture"),
    "photo.tif": (as_bytes(picture("red"), "TIFF"), "TIFF pictures are not accepted"),
    "wide.png": (as_bytes(picture("red", (3000, 2))), "at most 5,000 in all"),
    "long.bmp": (as_bytes(picture("red"), "BMP") + b"\0" * 5000, "at most 4,000 are accepted"),
}
OTHERS = [
    "notes.txt",
    "Thumbs.db",
    "red/Desktop.ini",
    "film.MOV",
    "list.csv",
    "IMG_1.AAE",
]  # no pictures by their names


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A working folder with a bundle, labels and limits that the pictures of BROKEN exceed."""
    write_bundle(tmp_path / "models" / "tiny")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/pantry.txt").write_text("red\ngreen\nblue\n")
    (tmp_path / "labels/templates.txt").write_text("{}\n")
    (tmp_path / "labels/background.txt").write_text("white\nblack\n")
    monkeypatch.chdir(tmp_path)
    for name, value in {"MODEL": "tiny", "MAX_PIXELS": "5000", "MAX_BODY": "4000", "THREADS": "2"}.items():
        monkeypatch.setenv(f"LARDER_{name}", value)
    return tmp_path


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder of good pictures in subfolders, and one bad picture of each kind."""
    for name in ("red/1.png", "red/2.png", "green/deep/3.png", "blue.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(as_bytes(picture(name.partition("/")[0].removesuffix(".png"))))
    for name, (data, _) in BROKEN.items():
        (tmp_path / "photos" / name).write_bytes(data)
    for name in OTHERS:
        (tmp_path / "photos" / name).write_bytes(b"no picture")
    return tmp_path / "photos"


GOOD = {"red/1.png": "red", "red/2.png": "red", "green/deep/3.png": "green", "blue.png": "blue"}


def write_parquet(path: Path, rows: list[bytes | None], group: int = 4) -> Path:
    """Write an image data set in the Hugging Face format, with this many rows in a row group."""
    images = [{"bytes": data, "path": f"picture {number}"} for number, data in enumerate(rows)]
    table = pa.table({"image": images, "label": [0] * len(rows)})
    pq.write_table(table, path, row_group_size=group)
    return path
