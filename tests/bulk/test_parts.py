"""Rows in a folder of finished parts."""

import json
import sys

import pyarrow.parquet as pq
import pytest

from app.bulk.parts import Parts
from app.errors import InvalidRequest

FORMS = pytest.mark.parametrize("form", ["parquet", "jsonl"])
RUN = {"model": "tiny"}


def rows(*ids: str) -> list[dict]:
    return [{"id": id_, "probability": 0.5, "known": None, "labels": ["süß", "b"]} for id_ in ids]


@FORMS
def test_rows_are_there_for_the_next_run(tmp_path, form):
    """What one run wrote the next one finds, and adds to."""
    Parts(tmp_path / "out", form, RUN).write(rows("1", "2"))
    again = Parts(tmp_path / "out", form, RUN)
    assert again.ids() == {"1", "2"}
    again.write(rows("3"))
    assert Parts(tmp_path / "out", form, RUN).ids() == {"1", "2", "3"}
    assert len(list((tmp_path / "out").glob(f"part-*.{form}"))) == 2


def test_both_forms_hold_the_same(tmp_path):
    """A row of parquet is a line of JSON."""
    for form in ("parquet", "jsonl"):
        Parts(tmp_path / form, form, RUN).write(rows("1", "2"))
    lines = (tmp_path / "jsonl/part-00000.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows("1", "2")
    assert pq.read_table(tmp_path / "parquet/part-00000.parquet").to_pylist() == rows("1", "2")


@FORMS
def test_half_a_part_is_no_part(tmp_path, form):
    """What a killed run left under another name is not read, and is overwritten."""
    parts = Parts(tmp_path, form, RUN)
    (tmp_path / f"part-00000.{form}.part").write_bytes(b"half")
    assert Parts(tmp_path, form, RUN).ids() == set()
    parts.write(rows("1"))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [f"part-00000.{form}", "run.json"]


def test_another_run_is_refused(tmp_path):
    """Rows of another model, or in another form, do not come beside these; the error says what differs."""
    Parts(tmp_path / "out", "jsonl", RUN)
    with pytest.raises(InvalidRequest, match="model was tiny, now huge; give another folder"):
        Parts(tmp_path / "out", "jsonl", {"model": "huge"})
    with pytest.raises(InvalidRequest, match="format was jsonl, now parquet"):
        Parts(tmp_path / "out", "parquet", RUN)


def test_a_folder_with_something_else_is_refused(tmp_path):
    """Nothing is written among other people's files, or where there is no folder."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match="holds something else"):
        Parts(tmp_path, "jsonl", RUN)
    with pytest.raises(InvalidRequest, match="thesis.txt cannot be used"):
        Parts(tmp_path / "thesis.txt", "jsonl", RUN)


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    """Where it is not installed, JSON lines are still there."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidRequest, match="requirements-bulk.txt, or take --format jsonl"):
        Parts(tmp_path / "out", "parquet", RUN)
    Parts(tmp_path / "out", "jsonl", RUN).write(rows("1"))
