"""`python -m app bulk`: every good picture once, every bad one reported, also after kill -9."""

import csv
import io
import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from app.__main__ import main
from app.bulk import Embedded
from app.bulk.command import drain
from app.bulk.files import LocalFiles
from app.bulk.shard_writer import ShardWriter
from app.s3 import S3
from tests.bulk.conftest import BROKEN, GOOD, OTHERS, write_parquet
from tests.conftest import wait_until
from tests.fakes import COLOURS, as_bytes, picture

ROOT = Path(__file__).parents[2]


def answers(folder: Path = Path("out")) -> list[tuple[str, str]]:
    """Return the id and label of every row."""
    rows = [row for path in sorted(folder.glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]
    for path in sorted(folder.glob("part-*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows += csv.DictReader(file)
    rows += [json.loads(line) for path in folder.glob("part-*.jsonl") for line in path.read_text().split("\n")[:-1]]
    return [(row["id"], row["label"]) for row in rows]


def reasons(path: Path = Path("out/bad.jsonl")) -> dict[str, str]:
    """Return the reason of every bad picture; fails if one is listed twice."""
    lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line["reason"] for line in lines}


def test_a_folder_of_pictures(home, photos, capsys):
    """Good pictures have a row each, bad ones a reason each, and the exit status is 1."""
    assert main(["bulk", "classify", "photos", "--out", "out"]) == 1
    assert sorted(answers()) == sorted(GOOD.items())
    bad = reasons()
    assert bad.keys() == BROKEN.keys()
    for name, (_, reason) in BROKEN.items():
        assert reason in bad[name]
    told = capsys.readouterr().out
    assert f"{len(OTHERS)} other files were passed over" in told
    assert "6 bad pictures are listed in out/bad.jsonl" in told


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_every_format_has_the_same_answers(home, photos, form):
    """The best label of each picture does not depend on the format."""
    main(["bulk", "classify", "photos", "--out", "out", "--format", form])
    assert sorted(answers()) == sorted(GOOD.items())


def test_the_same_from_s3(home, photos, bucket):
    """A prefix gives what the folder gives, ids included."""
    for path in filter(Path.is_file, photos.rglob("*")):
        bucket.put(f"2024/{path.relative_to(photos)}", path.read_bytes())
    assert main(["bulk", "classify", "s3://pictures/2024", "--out", "out"]) == 1
    assert sorted(answers()) == sorted(GOOD.items())
    assert reasons().keys() == BROKEN.keys()


def test_rows_of_parquet(home, capsys):
    """An image data set needs no unpacking; without bad pictures the exit status is 0."""
    colours = ["red", "green", "blue"] * 5
    write_parquet(home / "test.parquet", [as_bytes(picture(colour)) for colour in colours])
    assert main(["bulk", "classify", "test.parquet", "--out", "out", "--part", "4", "--json"]) == 0
    assert answers() == [(f"test.parquet:{number}", colour) for number, colour in enumerate(colours)]
    assert len(list(Path("out").glob("part-*.csv"))) == 4
    summary = json.loads(capsys.readouterr().out)
    assert (summary["good"], summary["bad"], summary["done_before"]) == (15, 0, 0)


def test_a_row_says_what_classify_says(home, photos, capsys):
    """The values equal those of `python -m app classify`, also with `--labels`."""
    words = ["--labels", "red,magenta,cyan", "--top-k", "2"]
    assert main(["classify", "photos/blue.png", *words, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    main(["bulk", "classify", "photos", "--out", "out", "--format", "jsonl", *words])
    row = json.loads(Path("out/part-00000.jsonl").read_text().splitlines()[0])
    assert (row["id"], row["path"], row["label"]) == ("blue.png", "blue.png", expected["item"])
    assert row["top_k_labels"] == expected["top_k_items"]
    for mine, theirs in (("probability", "similarity_score"), ("confident", "confident"), ("known", "known")):
        assert row[mine] == expected[theirs]
    assert row["top_k_probabilities"] == expected["top_k_probabilities"]
    assert row["top_k_cosines"] == expected["top_k_cosines"]


def test_what_is_new_or_mended_is_done_by_the_next_run(home, photos, capsys):
    """A second run repeats nothing, and tries bad pictures again."""
    main(["bulk", "classify", "photos", "--out", "out"])
    (photos / "new.png").write_bytes(as_bytes(picture("green")))
    (photos / "cut.png").write_bytes(as_bytes(picture("red")))
    capsys.readouterr()
    assert main(["bulk", "classify", "photos", "--out", "out", "--json"]) == 1
    assert sorted(answers()) == sorted((GOOD | {"new.png": "green", "cut.png": "red"}).items())
    assert reasons().keys() == BROKEN.keys() - {"cut.png"}
    summary = json.loads(capsys.readouterr().out)
    assert (summary["good"], summary["bad"], summary["done_before"]) == (2, 5, 4)


def test_kill_9_loses_nothing_and_doubles_nothing(home, monkeypatch):
    """A run over 300 pictures is killed three times; the fourth ends with each picture once, each bad one reported."""
    monkeypatch.setenv("LARDER_ENGINE", "onnxruntime")  # it starts the soonest
    monkeypatch.setenv("LARDER_MAX_PIXELS", "5000000")
    monkeypatch.setenv("LARDER_MAX_BODY", "1000000")
    drawn = {colour: as_bytes(picture(colour, (1200, 1200)), "JPEG") for colour in ("red", "green", "blue")}
    colours = [list(drawn)[number % 3] for number in range(300)]
    bad = {f"{number:03}.jpg" for number in range(0, 300, 37)}
    Path("photos").mkdir()
    for number, colour in enumerate(colours):
        whole = drawn[colour]
        cut = f"{number:03}.jpg" in bad
        Path(f"photos/{number:03}.jpg").write_bytes(whole[: len(whole) // 2] if cut else whole)
    command = [sys.executable, "-m", "app", "bulk", "classify", str(home / "photos"), "--out", "out", "--part", "10"]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for _ in range(3):
        before = len(list(Path("out").glob("part-*")))
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            wait_until(lambda had=before: len(list(Path("out").glob("part-*.csv"))) > had)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not Path("out/bad.jsonl").exists()
    assert len(answers()) < 290
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 1
    good = [(f"{number:03}.jpg", colour) for number, colour in enumerate(colours) if f"{number:03}.jpg" not in bad]
    assert sorted(answers()) == good
    assert reasons().keys() == bad
    assert not list(Path("out").glob("*.part"))


def test_a_name_with_a_line_separator_is_a_picture(home, capsys):
    """It is in the output once, and a second run with JSON lines goes on where the first ended."""
    Path("photos").mkdir()
    for sign in ("\u2028", "\x85", "\x0c", "\n"):
        Path(f"photos/a{sign}b.png").write_bytes(as_bytes(picture("red")))
    for good, done in ((4, 0), (0, 4)):
        capsys.readouterr()
        assert main(["bulk", "classify", "photos", "--out", "out", "--format", "jsonl", "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert (summary["good"], summary["done_before"]) == (good, done)
    assert len(answers()) == 4


def test_a_shard_that_was_damaged_is_named(home, photos, capsys):
    """It is one line with the file and what to do, and status 2; without the file, its pictures are done again."""
    main(["bulk", "classify", "photos", "--out", "out", "--format", "jsonl"])
    Path("out/part-00000.jsonl").write_text('{"id": "blue.png"}\n{"id"')
    capsys.readouterr()
    assert main(["bulk", "classify", "photos", "--out", "out", "--format", "jsonl"]) == 2
    assert "out/part-00000.jsonl cannot be read" in capsys.readouterr().err
    Path("out/part-00000.jsonl").unlink()
    assert main(["bulk", "classify", "photos", "--out", "out", "--format", "jsonl"]) == 1
    assert sorted(answers()) == sorted(GOOD.items())


def test_a_source_that_breaks_off_ends_the_run(home, bucket, monkeypatch, capsys):
    """An unreachable source is one line and status 2; the next run has every picture once."""
    for number in range(60):
        bucket.put(f"{number:02}.png", as_bytes(picture("red")))
    read, calls = S3.read, []

    def breaking(*words):
        calls.append(words)
        if len(calls) == 40:
            bucket.stop()
        return read(*words)

    monkeypatch.setattr(S3, "read", breaking)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert main(["bulk", "classify", "s3://pictures/", "--out", "out", "--part", "5"]) == 2
    error = capsys.readouterr().err
    assert "cannot be read, and neither can the rest" in error
    assert error.count("\n") == 1
    assert not Path("out/bad.jsonl").exists()
    bucket.start()


@pytest.mark.parametrize(("good", "status"), [(30, 2), (3, 1)])
def test_many_pictures_in_a_row_that_cannot_be_read_end_the_run(home, monkeypatch, capsys, good, status):
    """Twenty are the source's fault, and what came before is stored; a few are bad pictures."""
    Path("photos").mkdir()
    for number in range(40):
        Path(f"photos/{number:02}.png").write_bytes(as_bytes(picture("red")))
    read = LocalFiles.read

    def failing(self, name, most):
        if 10 <= int(name[:2]) < 10 + good:
            raise OSError(5, "Input/output error")
        return read(self, name, most)

    monkeypatch.setattr(LocalFiles, "read", failing)
    assert main(["bulk", "classify", "photos", "--out", "out"]) == status
    if status == 2:
        assert "20 pictures in a row could not be read, lastly 29.png: Input/output error" in capsys.readouterr().err
        assert len(answers()) == 10
    else:
        assert len(answers()) == 37
        assert set(reasons().values()) == {"Input/output error"}
    monkeypatch.undo()


def test_two_runs_into_one_folder(home, photos, capsys):
    """The second run is refused in one line while the first is running, and changes nothing."""
    main(["bulk", "classify", "photos", "--out", "out"])
    made_with = json.loads(Path("out/run.json").read_text())
    before = sorted(Path("out").iterdir())
    with closing(ShardWriter(Path("out"), made_with.pop("format"), made_with)):
        capsys.readouterr()
        assert main(["bulk", "classify", "photos", "--out", "out"]) == 2
        assert "out is being written by another run" in capsys.readouterr().err
    assert sorted(Path("out").iterdir()) == before


def test_originals_are_stored_by_bytes():
    """A group to store ends at its number of pictures or at 64 MiB of originals, whichever comes first."""
    embedded = [Embedded(str(n), "", np.zeros(1, np.float32), data=bytes(2**23)) for n in range(20)]

    class Counting:
        groups: ClassVar[list[int]] = []

        def put(self, pictures):
            self.groups.append(len(pictures))
            return {}

    assert drain(embedded, Counting(), io.StringIO(), 1000) == (20, 0)
    assert Counting.groups == [8, 8, 4]
    assert drain(embedded, Counting(), io.StringIO(), 5) == (20, 0)
    assert Counting.groups[3:] == [5, 5, 5, 5]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--out", "out"], "nowhere is not there"),
        (["photos", "--out", "photos"], "photos contains other files"),
        (["photos", "--out", "out", "--labels", ","], "--labels: no label was found"),
        (["photos", "--out", "out", "--part", "0"], "at least 1"),
        (["s3://nowhere/x", "--out", "out"], "cannot be listed"),
    ],
)
def test_what_stops_it_is_one_line(home, photos, bucket, capsys, words, message):
    """A mistake is one line and exit status 2, and leaves no output."""
    assert main(["bulk", "classify", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("larder: ")
    assert message in error
    assert error.count("\n") == 1
    assert not Path("out").exists()


def test_every_colour_of_a_data_set_is_told_apart(home, monkeypatch):
    """A mixed-up batch would be visible: each row has its own picture's label."""
    monkeypatch.setenv("LARDER_MAX_BATCH", "5")
    colours = [list(COLOURS)[number * 7 % len(COLOURS)] for number in range(97)]
    write_parquet(home / "test.parquet", [as_bytes(picture(colour)) for colour in colours])
    main(["bulk", "classify", "test.parquet", "--out", "out", "--labels", ",".join(COLOURS)])
    assert [label for _, label in answers()] == colours
