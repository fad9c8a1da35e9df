"""The public data sets are downloaded and converted, from a local server with archives of the same format."""

import csv
import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from app.training import fetch
from tests.fakes import as_bytes, picture

GROCERY = "/marcusklasson/GroceryStoreDataset/archive/refs/heads/master.zip"
THINGS = "/EliSchwartz/imagenet-sample-images/archive/refs/heads/master.zip"
CIFAR = "/cifar-10-binary.tar.gz"
HEADER = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Iconic Image Path (str),Text (str)"
)
COLOURS = ["red", "green"]


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def groceries() -> bytes:
    """Two classes; of the test pictures of the first, numbers 4 and 7 are in the published sample, 5 is not."""
    names = {"Golden-Delicious": ("Apple", 0, "red"), "Avocado": ("Avocado", 1, "green")}
    top, files, rows = "GroceryStoreDataset-master/dataset", {}, [HEADER]
    for label, (name, (coarse, number, colour)) in enumerate(names.items()):
        text = f"/iconic-images-and-descriptions/Fruit/{name}/{name}_Description.txt"
        rows.append(f"{name},{label},{coarse},{number},{text.replace('_Description.txt', '_Iconic.jpg')},{text}")
        files |= {f"{top}{text}": f"A {colour}, juicy fruit.\n".encode()} if label == 0 else {}
        for split in ("train", "val", "test"):
            for place in (4, 5, 7):
                path = f"{split}/Fruit/{name}/{name}_{place:03}.jpg"
                files[f"{top}/{path}"] = as_bytes(picture(colour), "JPEG")
                files[f"{top}/{split}.txt"] = (
                    files.get(f"{top}/{split}.txt", b"") + f"{path}, {label}, {number}\n".encode()
                )
    return zipped(files | {f"{top}/classes.csv": "\n".join(rows).encode()})


def records(labels: list[int]) -> bytes:
    """CIFAR-10's binary form: a class, then all reds, greens and blues of a picture whose left half is lit."""
    lit = np.zeros((3, 32, 32), np.uint8)
    lit[:, :, :16] = np.array([200, 100, 50], np.uint8)[:, None, None]
    return b"".join(bytes([label]) + lit.tobytes() for label in labels)


def cifar() -> bytes:
    members = {"batches.meta.txt": b"airplane\nautomobile\n\n", "data_batch_1.bin": records([1, 0, 1])}
    members |= {"data_batch_2.bin": records([0]), "test_batch.bin": records([1])}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in members.items():
            about = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return file.getvalue()


def things() -> bytes:
    names = ["n01440764_tench", "n01443537_goldfish", "n01484850_great_white_shark"]
    files = {
        f"imagenet-sample-images-master/{name}.JPEG": as_bytes(picture("blue", (640, 480)), "JPEG") for name in names
    }
    return zipped(files | {"imagenet-sample-images-master/README.md": b"not a picture"})


@pytest.fixture
def mirror(monkeypatch):
    """Serve the archives, whole or from an offset; returns its address and the requests."""
    archives, asked = {GROCERY: groceries(), CIFAR: cifar(), THINGS: things()}, []
    monkeypatch.setattr(fetch, "CIFAR_MD5", hashlib.md5(archives[CIFAR]).hexdigest())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Range"]))
            if self.path not in archives:
                self.send_error(404)
                return
            start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            body = archives[self.path][start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def run(mirror, folder, *options: str) -> int:
    return fetch.main([str(folder), "--github", mirror[0], "--cifar", mirror[0] + CIFAR, *options])


def test_groceries(mirror, tmp_path, capsys):
    """There are splits, the sample and the class list; a count that differs from the published one is reported."""
    assert run(mirror, tmp_path, "--only", "grocery") == 0
    assert "train has 6 pictures, and 2640 were expected" in capsys.readouterr().err
    rows = pq.read_table(tmp_path / "grocery/train.parquet").to_pylist()
    assert [(row["label"], row["coarse_label"]) for row in rows] == [(0, 0)] * 3 + [(1, 1)] * 3
    assert rows[0]["image"] == {
        "bytes": as_bytes(picture("red"), "JPEG"),
        "path": "train/Fruit/Golden-Delicious/Golden-Delicious_004.jpg",
    }
    sample = [row["image"]["path"] for row in pq.read_table(tmp_path / "grocery/test_sample.parquet").to_pylist()]
    assert "test/Fruit/Golden-Delicious/Golden-Delicious_004.jpg" in sample
    assert "test/Fruit/Golden-Delicious/Golden-Delicious_005.jpg" not in sample
    classes = list(csv.DictReader((tmp_path / "grocery/classes.csv").read_text().splitlines()))
    assert classes[0] == {
        "label": "0",
        "name": "Golden-Delicious",
        "coarse_label": "0",
        "coarse_name": "Apple",
        "group": "Fruit",
        "description": "A red, juicy fruit.",
    }
    assert classes[1]["description"] == ""


def test_cifar(mirror, tmp_path):
    """All batches of training pictures, class after class, with the very pixels of the archive."""
    assert run(mirror, tmp_path, "--only", "cifar10") == 0
    rows = pq.read_table(tmp_path / "cifar10/train.parquet").to_pylist()
    assert [(row["label"], row["image"]["path"]) for row in rows] == [
        (0, "train/airplane/0000.png"),
        (0, "train/airplane/0001.png"),
        (1, "train/automobile/0000.png"),
        (1, "train/automobile/0001.png"),
    ]
    shown = np.asarray(Image.open(io.BytesIO(rows[0]["image"]["bytes"])))
    assert (shown[:, :16] == [200, 100, 50]).all()
    assert (shown[:, 16:] == 0).all()
    assert (tmp_path / "cifar10/classes.txt").read_text() == "airplane\nautomobile\n"


def test_things(mirror, tmp_path):
    """Every second class has its id, name and position, with a shorter side of at most 320 pixels."""
    assert run(mirror, tmp_path, "--only", "things") == 0
    rows = pq.read_table(tmp_path / "things/pictures.parquet").to_pylist()
    assert [(row["synset"], row["name"], row["index"]) for row in rows] == [
        ("n01440764", "tench", 0),
        ("n01484850", "great white shark", 2),
    ]
    assert Image.open(io.BytesIO(rows[0]["image"]["bytes"])).size == (427, 320)


def test_a_stopped_download_goes_on(mirror, tmp_path):
    """Only the rest is requested, and the checksum is correct; a second run requests nothing."""
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/cifar-10.tar.gz.part").write_bytes(cifar()[:100])
    assert run(mirror, tmp_path, "--only", "cifar10") == 0
    assert run(mirror, tmp_path, "--only", "cifar10") == 0
    assert mirror[1] == [(CIFAR, "bytes=100-")]


def test_a_wrong_sum_is_refused(mirror, tmp_path, monkeypatch, capsys):
    """The download is deleted, so that the next run starts again."""
    monkeypatch.setattr(fetch, "CIFAR_MD5", "0" * 32)
    assert run(mirror, tmp_path, "--only", "cifar10") == 1
    assert "has the MD5 sum" in capsys.readouterr().err
    assert list((tmp_path / "archives").iterdir()) == []


def test_an_address_without_the_archive_is_said(mirror, tmp_path, capsys):
    """The error says what to do instead."""
    assert run((mirror[0] + "/nothing", []), tmp_path, "--only", "grocery") == 1
    message = capsys.readouterr().err
    assert "cannot be fetched: Not Found" in message
    assert "place the archive in" in message


def test_the_sample_is_that_of_the_published_figures():
    """The sample has 637 pictures of all 81 classes."""
    lines = [line.split() for line in fetch.SAMPLE.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 81
    assert sum(len(numbers) for _, *numbers in lines) == 637
