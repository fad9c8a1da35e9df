"""`python -m app contents`: export, import, rename, delete and duplicates on the terminal."""

import json

import pytest

from app.__main__ import main
from tests.bundles import write_bundle

LINES = [{"id": f"t{number}", "type": "text", "text": "red", "collection": "notes"} for number in range(3)]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command on contents with three entries; returns its status, output and errors."""
    write_bundle(tmp_path / "tiny")
    monkeypatch.setenv("LARDER_MODEL", str(tmp_path / "tiny"))
    monkeypatch.setenv("LARDER_DATA", str(tmp_path / "data"))
    path = tmp_path / "entries.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))

    def run(*words: str) -> tuple[int, str, str]:
        status = main(["contents", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err.splitlines()[-1] if captured.err else ""

    assert run("import", str(path)) == (0, "", "imported: 3, there before: 0, failed: 0")
    return run


def test_what_is_exported_is_imported(run, tmp_path):
    """An import of an export restores all of it; a bad line is reported by number, with status 1."""
    path = tmp_path / "again.jsonl"
    assert json.loads(run("export", str(path), "--json")[1]) == {"action": "export", "exported": 3}
    assert run("import", str(path))[2] == "imported: 0, there before: 3, failed: 0"
    path.write_text(path.read_text() + "{}\n")
    status, output, _ = run("import", str(path), "--json")
    assert (status, json.loads(output)["failed"]) == (1, 1)


def test_the_summary_and_the_entries_do_not_mix(run):
    """With --json an export needs a file."""
    status, output, error = run("export", "--json")
    assert (status, output) == (2, "")
    assert "--json needs a FILE" in error


def test_a_collection_is_renamed_and_deleted(run):
    """A new name that has entries needs --merge; a collection without entries is an error."""
    assert run("rename", "notes", "recipes")[2] == "renamed: 3"
    assert run("delete", "recipes")[2] == "deleted: 3"
    status, _, error = run("delete", "recipes")
    assert status == 2
    assert error.endswith("there is no collection 'recipes'")


def test_a_name_that_is_taken_needs_a_merge(run, tmp_path):
    """Without --merge no entry is moved."""
    (tmp_path / "other.jsonl").write_text(json.dumps(LINES[0] | {"id": "other", "collection": "recipes"}) + "\n")
    run("import", str(tmp_path / "other.jsonl"))
    for to, problem in (("recipes", "--merge puts both together"), ("notes", "NEW is another name")):
        status, _, error = run("rename", "notes", to)
        assert status == 2
        assert problem in error
    assert run("rename", "notes", "recipes", "--merge")[2] == "renamed: 3"


def test_duplicates_are_listed_as_json_lines(run):
    """Each group is a line with the entry to keep and all of its entries."""
    _, output, summary = run("duplicates", "--distance", "copy")
    assert summary.endswith("groups: 1")
    [group] = map(json.loads, output.splitlines())
    assert (group["size"], {each["id"] for each in group["entries"]}) == (3, {"t0", "t1", "t2"})
