"""Rows in a folder of shards."""

import json
import subprocess
import sys
from contextlib import closing

import pyarrow.parquet as pq
import pytest

from app.bulk.shard_writer import ShardWriter
from app.errors import InvalidRequest

FORMS = pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
RUN = {"model": "tiny"}


def rows(*ids: str) -> list[dict]:
    return [{"id": id_, "probability": 0.5, "known": None, "labels": ["süß", "b"]} for id_ in ids]


def write(folder, form: str, *ids: str) -> None:
    """Write one shard of these rows in a run."""
    with closing(ShardWriter(folder, form, RUN)) as shards:
        shards.write(rows(*ids))


@FORMS
def test_rows_are_there_for_the_next_run(tmp_path, form):
    """A run finds the rows of the previous one, and adds to them."""
    write(tmp_path / "out", form, "1", "2")
    with closing(ShardWriter(tmp_path / "out", form, RUN)) as again:
        assert again.ids() == {"1", "2"}
        again.write(rows("3"))
        assert again.ids() == {"1", "2", "3"}
    assert len(list((tmp_path / "out").glob(f"part-*.{form}"))) == 2


def test_both_forms_hold_the_same(tmp_path):
    """A row of parquet is a line of JSON, and a line of CSV whose cells are texts or JSON."""
    for form in ("parquet", "jsonl", "csv"):
        write(tmp_path / form, form, "1", "2")
    lines = (tmp_path / "jsonl/part-00000.jsonl").read_text().split("\n")[:-1]
    assert [json.loads(line) for line in lines] == rows("1", "2")
    lines = (tmp_path / "csv/part-00000.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[:2] == ["id,probability,known,labels", '1,0.5,,"[""süß"", ""b""]"']
    assert pq.read_table(tmp_path / "parquet/part-00000.parquet").to_pylist() == rows("1", "2")


@FORMS
def test_half_a_shard_is_no_shard(tmp_path, form):
    """Temporary files of a killed run are not read, and the next run removes them."""
    ShardWriter(tmp_path, form, RUN).close()
    (tmp_path / f"part-00000.{form}.17-0a1b2c3d.part").write_bytes(b"half")
    (tmp_path / "bad.jsonl.part").write_bytes(b"half")
    with closing(ShardWriter(tmp_path, form, RUN)) as shards:
        assert shards.ids() == set()
        shards.write(rows("1"))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [".lock", f"part-00000.{form}", "run.json"]


@FORMS
@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e", "\r", "\r\n", "\n", "\0"])
def test_any_sign_may_be_in_a_row(tmp_path, form, sign):
    """Characters that Python treats as line ends are part of a text here: file names may contain them."""
    ids = [f"a{sign}b.jpg", sign, "c"]
    with closing(ShardWriter(tmp_path / "out", form, RUN)) as shards:
        shards.write(rows(*ids))
        assert shards.ids() == set(ids)


@pytest.mark.parametrize("content", [b"", b"half a {", b'{"no id": 1}\n', b"[1]\n", b"7\n", b"\xff\n", b"PAR1"])
@FORMS
def test_a_shard_that_cannot_be_read_is_named(tmp_path, form, content):
    """The error says which file it is, and what to do."""
    with closing(ShardWriter(tmp_path / "out", form, RUN)) as shards:
        shards.write(rows("1"))
        (tmp_path / f"out/part-00007.{form}").write_bytes(content)
        with pytest.raises(InvalidRequest, match=rf"part-00007\.{form} cannot be read .*: delete it"):
            shards.ids()


def test_one_run_at_a_time(tmp_path):
    """A second run is refused while the first is running, also in another process; after a kill it may start."""
    folder = tmp_path / "out"
    script = f"""
from pathlib import Path
from app.bulk.shard_writer import ShardWriter
shards = ShardWriter(Path({str(folder)!r}), "jsonl", {RUN})
print("open", flush=True)
input()
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(InvalidRequest, match="out is being written by another run"):
            ShardWriter(folder, "jsonl", RUN)
        process.kill()
        process.communicate()
    with closing(ShardWriter(folder, "jsonl", RUN)), pytest.raises(InvalidRequest, match="another run"):
        ShardWriter(folder, "jsonl", RUN)
    ShardWriter(folder, "jsonl", RUN).close()


def test_another_run_is_refused(tmp_path):
    """Rows of another model or format are never mixed in; the error says what differs."""
    ShardWriter(tmp_path / "out", "jsonl", RUN).close()
    with pytest.raises(InvalidRequest, match="model was tiny, now huge; give another folder"):
        ShardWriter(tmp_path / "out", "jsonl", {"model": "huge"})
    with pytest.raises(InvalidRequest, match="format was jsonl, now parquet"):
        ShardWriter(tmp_path / "out", "parquet", RUN)


def test_a_folder_with_something_else_is_refused(tmp_path):
    """A folder with other files is rejected, and so is a path that is a file."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match="contains other files"):
        ShardWriter(tmp_path, "jsonl", RUN)
    with pytest.raises(InvalidRequest, match="thesis.txt cannot be used"):
        ShardWriter(tmp_path / "thesis.txt", "jsonl", RUN)


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    """JSON lines work without it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidRequest, match="requirements-bulk.txt, or take --format csv"):
        ShardWriter(tmp_path / "out", "parquet", RUN)
    write(tmp_path / "out", "jsonl", "1")


def test_csv_has_no_formulas(tmp_path):
    """A name that a spreadsheet would evaluate has an apostrophe in front in the file, and none when read back."""
    ids = ["=1+1.jpg", "'=1.jpg", "-a.jpg", "'plain.jpg"]
    with closing(ShardWriter(tmp_path / "out", "csv", RUN)) as shards:
        shards.write(rows(*ids))
        assert shards.ids() == set(ids)
    written = (tmp_path / "out/part-00000.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
    assert [line[0] for line in written] == ["'"] * 4
