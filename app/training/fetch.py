"""The command `python -m app.training.fetch DATA`: download the public data sets and convert them to the files of DATA.

| archive | files |
|---|---|
| Grocery Store Dataset (GitHub) | `grocery/`: `train`, `val`, `test` and `test_sample.parquet`, `classes.csv` |
| CIFAR-10, binary version (its home page) | `cifar10/`: `train` and `test.parquet`, `classes.txt` |
| one picture of each ImageNet class (GitHub) | `things/pictures.parquet`: every second class |

A stopped download resumes where it ended; existing files are not made again.
"""

import argparse
import csv
import hashlib
import io
import re
import shutil
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from app.atomic import atomic_write
from app.errors import LarderError, TrainingError
from app.text import read_text

GITHUB = "https://github.com"
CIFAR = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CIFAR_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # of the binary version, from its home page
SPLITS = {"train": 2640, "val": 296, "test": 2485}  # pictures of the Grocery Store Dataset
SAMPLE = Path(__file__).with_name("grocery_test_sample.txt")
SIDE = 32  # pixels of CIFAR-10
SHORTEST = 320  # pixels of a thing's shorter side at most
TIMEOUT = 60  # seconds without a byte received

Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Download and convert; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.training.fetch", description="Fetch the public data sets.")
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder to fill: some 600 MB with the archives")
    parser.add_argument("--only", choices=["grocery", "cifar10", "things"], help="one of the data sets")
    parser.add_argument("--github", default=GITHUB, metavar="URL", help="a mirror of GitHub (%(default)s)")
    parser.add_argument("--cifar", default=CIFAR, metavar="URL", help="the archive of CIFAR-10 (%(default)s)")
    options = parser.parse_args(arguments)
    archives = options.data / "archives"
    archives.mkdir(parents=True, exist_ok=True)

    def github(repository: str) -> Path:
        return download(f"{options.github}/{repository}/archive/refs/heads/master.zip", archives, repository)

    make: dict[str, Callable[[Path], None]] = {
        "grocery": lambda folder: make_grocery(github("marcusklasson/GroceryStoreDataset"), folder),
        "cifar10": lambda folder: make_cifar(download(options.cifar, archives, "cifar-10.tar.gz", CIFAR_MD5), folder),
        "things": lambda folder: make_things(github("EliSchwartz/imagenet-sample-images"), folder),
    }
    try:
        for name in [options.only] if options.only else make:
            folder = options.data / name
            if (folder / ".complete").exists():
                print(f"{folder} exists already")
                continue
            folder.mkdir(exist_ok=True)
            make[name](folder)
            (folder / ".complete").touch()
            print(f"{folder} is made")
    except (LarderError, OSError, KeyError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        print(f"fetch: {error}; give an archive's other address, or place the archive in {archives}", file=sys.stderr)
        return 1
    return 0


def download(url: str, folder: Path, name: str, md5: str | None = None) -> Path:
    """Download a file, resuming an earlier download; raises OSError and TrainingError."""
    path = folder / name.replace("/", "-")
    part = path.with_name(path.name + ".part")
    if not path.exists():
        done = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})  # noqa: S310
        print(f"fetching {url}" + (f" from byte {done:,}" if done else ""), flush=True)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - the caller chooses the URL
                with part.open("ab" if answer.status == 206 else "wb") as file:
                    shutil.copyfileobj(answer, file, 1024 * 1024)
                length = answer.headers.get("Content-Length")
                if length and part.stat().st_size != int(length) + (done if answer.status == 206 else 0):
                    raise TrainingError(f"{url} ended early: run the same command to resume")
        except URLError as error:
            raise TrainingError(f"{url} cannot be fetched: {error.reason}") from error
        if md5 and (found := hashlib.md5(part.read_bytes(), usedforsecurity=False).hexdigest()) != md5:
            part.unlink()
            raise TrainingError(f"{url} has the MD5 sum {found}, and {md5} was expected")
        part.rename(path)
    return path


def write(rows: Iterable[Row], path: Path) -> int:
    """Write rows to a parquet file and return their number."""
    table = pa.Table.from_pylist(list(rows))
    with atomic_write(path) as file:
        pq.write_table(table, file)
    return int(table.num_rows)


def make_grocery(archive: Path, folder: Path) -> None:
    """Convert the archive of the Grocery Store Dataset."""
    with zipfile.ZipFile(archive) as file:
        root = next(name for name in file.namelist() if name.endswith("/dataset/classes.csv")).removesuffix(
            "classes.csv"
        )
        for split, expected in SPLITS.items():
            found = write(_groceries(file, root, split), folder / f"{split}.parquet")
            if found != expected:
                print(f"  {split} has {found} pictures, and {expected} were expected", file=sys.stderr)
        write(_sampled(_groceries(file, root, "test")), folder / "test_sample.parquet")
        _write_classes(file, root, folder / "classes.csv")


def _groceries(file: zipfile.ZipFile, root: str, split: str) -> Iterator[Row]:
    """Yield the pictures named by a list such as `train.txt`: path, class, coarse class."""
    for line in file.read(f"{root}{split}.txt").decode().splitlines():
        if line.strip():
            path, label, coarse = (each.strip() for each in line.split(","))
            image = {"bytes": file.read(root + path), "path": path}
            yield {"image": image, "label": int(label), "coarse_label": int(coarse)}


def _sampled(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the quarter of the test split that the published figures are measured on."""
    lines = [line.split() for line in read_text(SAMPLE).splitlines() if not line.startswith("#")]
    chosen = {f"{name}_{int(number):03}.jpg" for name, *numbers in lines for number in numbers}
    return (row for row in rows if row["image"]["path"].rpartition("/")[2] in chosen)


def _write_classes(file: zipfile.ZipFile, root: str, path: Path) -> None:
    """Write the class list, with the shop's descriptions where the archive has them."""
    there = set(file.namelist())
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["label", "name", "coarse_label", "coarse_name", "group", "description"])
    rows = csv.reader(io.StringIO(file.read(f"{root}classes.csv").decode()))
    next(rows)
    for name, label, coarse_name, coarse, picture, description in rows:
        text = root + description.lstrip("/")
        words = file.read(text).decode(errors="replace").strip() if text in there else ""
        writer.writerow([label, name, coarse, coarse_name, picture.split("/")[2], words])
    path.write_text(out.getvalue(), encoding="utf-8")


def make_cifar(archive: Path, folder: Path) -> None:
    """Convert CIFAR-10's binary version: records of one byte for the class and 3,072 for red, green and blue."""
    with tarfile.open(archive) as file:
        members = {Path(each.name).name: each for each in file.getmembers()}

        def read(name: str) -> bytes:
            opened = file.extractfile(members[name])
            return opened.read() if opened else b""

        classes = read("batches.meta.txt").decode().split()
        train = b"".join(read(name) for name in sorted(members) if re.fullmatch(r"data_batch_\d+\.bin", name))
        for split, records in (("train", train), ("test", read("test_batch.bin"))):
            write(_small(records, split, classes), folder / f"{split}.parquet")
    (folder / "classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")


def _small(records: bytes, split: str, classes: list[str]) -> Iterator[Row]:
    """Yield CIFAR-10's pictures as PNG, class by class."""
    size, counts = 1 + 3 * SIDE * SIDE, [0] * len(classes)
    for start in sorted(range(0, len(records), size), key=lambda start: records[start]):
        label, planes = records[start], records[start + 1 : start + size]
        bands = [Image.frombytes("L", (SIDE, SIDE), planes[at : at + SIDE**2]) for at in range(0, len(planes), SIDE**2)]
        image = {
            "bytes": _encoded(Image.merge("RGB", bands), "PNG"),
            "path": f"{split}/{classes[label]}/{counts[label]:04}.png",
        }
        counts[label] += 1
        yield {"image": image, "label": label}


def make_things(archive: Path, folder: Path) -> None:
    """Convert one picture of every second ImageNet class: files such as `n01440764_tench.JPEG`."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if re.search(r"/n\d{8}_[^/]+\.JPEG$", name))
        write(
            (_thing(file, name, index) for index, name in enumerate(names) if index % 2 == 0),
            folder / "pictures.parquet",
        )


def _thing(file: zipfile.ZipFile, path: str, index: int) -> Row:
    synset, _, name = Path(path).stem.partition("_")
    picture = Image.open(io.BytesIO(file.read(path))).convert("RGB")
    scale = SHORTEST / min(picture.size)
    if scale < 1:
        picture = picture.resize(
            (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC
        )
    image = {"bytes": _encoded(picture, "JPEG"), "path": Path(path).name}
    return {"image": image, "synset": synset, "name": name.replace("_", " "), "index": index}


def _encoded(picture: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **({"quality": 90} if form == "JPEG" else {}))
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
