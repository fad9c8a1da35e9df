"""`python -m app pantry import` and `export`, between a file and the store named by LARDER_PANTRY."""

import csv
import json

import pytest

from app.__main__ import main
from app.components import open_pantry
from app.errors import StoreUnavailable
from app.pantry import item_name
from app.pantry.sqlite.store import SQLitePantry
from app.settings import Settings


@pytest.fixture
def items(kind, tmp_path, monkeypatch):
    """The pantry that the commands use: set its items, and return them."""
    monkeypatch.setenv("LARDER_PANTRY", kind)
    monkeypatch.setenv("LARDER_DATA", str(tmp_path / "data"))

    def items(**counts):
        store = open_pantry(Settings(pantry=kind, data=tmp_path / "data"))
        for item, count in counts.items():
            store.put(item, count)
        found = store.items()
        store.close()
        return found

    return items


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_is_exported_can_be_imported(items, tmp_path, capsys, ending):
    """A file made from one pantry makes the same items in another, awkward names included."""
    names = {'say "cheese", please': 2, "müsli": 0, "rice": 7, "=1+1": 1, "null": 3}
    items(**names)
    file = tmp_path / f"pantry.{ending}"
    assert main(["pantry", "export", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"action": "export", "file": str(file), "items": 5, "failed": 0}
    items(**dict.fromkeys(names, 99), other=1)
    assert main(["pantry", "import", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"action": "import", "file": str(file), "items": 5, "failed": 0}
    assert items() == dict(sorted((names | {"other": 1}).items()))


@pytest.fixture
def in_sqlite(tmp_path, monkeypatch):
    monkeypatch.setenv("LARDER_DATA", str(tmp_path))
    return lambda: open_pantry(Settings(data=tmp_path)).items()


NAMES = [
    "=1+1|cmd",
    "+49",
    "-2 eggs",
    "@home",
    "＝sum(a1)",
    "'=quoted",
    "''=twice",
    "'plain'",
    "a;=1+1",
    "x'=y",
    '-"a", b',
]


def test_no_name_is_a_formula_in_a_spreadsheet(in_sqlite, tmp_path, capsys):
    """No cell of an exported file, split at commas or semicolons, begins like a formula; import restores the names."""
    store = SQLitePantry(tmp_path / "pantry.sqlite")
    before = {item_name(name): 1 for name in NAMES}
    for name in before:
        store.put(name, 1)
    store.close()
    file = tmp_path / "pantry.csv"
    assert main(["pantry", "export", str(file)]) == 0
    for separator in ",;":
        for row in csv.reader(file.read_text().splitlines(), delimiter=separator):
            assert not [cell for cell in row if cell.lstrip().startswith(("=", "+", "-", "@", "＝"))], row
    (tmp_path / "pantry.sqlite").unlink()
    assert main(["pantry", "import", str(file)]) == 0
    assert in_sqlite() == before


def test_a_file_written_by_hand_needs_no_apostrophe(in_sqlite, tmp_path):
    """A name that looks like a formula is read unchanged."""
    file = tmp_path / "pantry.csv"
    file.write_text("item,count\n-2 eggs,1\n'cause,2\n")
    assert main(["pantry", "import", str(file)]) == 0
    assert in_sqlite() == {"'cause": 2, "-2 eggs": 1}


def test_without_a_file_it_goes_to_standard_output(items, capsys):
    """CSV by default, JSON lines on request; messages go to standard error."""
    items(rice=2, apple=1)
    assert main(["pantry", "export"]) == 0
    assert capsys.readouterr() == ("item,count\napple,1\nrice,2\n", "2 items exported\n")
    assert main(["pantry", "export", "--format", "jsonl"]) == 0
    assert capsys.readouterr().out == '{"item": "apple", "count": 1}\n{"item": "rice", "count": 2}\n'


def test_bad_lines_are_named_and_the_others_imported(in_sqlite, tmp_path, capsys):
    """Each bad line is reported with its number, and the exit status is 1."""
    file = tmp_path / "p.csv"
    lines = ["Item , shelf, COUNT", "Rice,top,3", ",x,1", "salt,x,-1", "oil,x,1.5", "a/b,x,1", '"soy\nsauce",x,2']
    lines += ["apple", "rice,low,4", "flour,x,9999999999999", "", "milk,x, 5 ,more"]
    file.write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    assert main(["pantry", "import", str(file)]) == 1
    said = capsys.readouterr().err
    for number, what in (
        (3, "it has 0 characters; 1 to 200 visible ones"),
        (4, "not '-1'"),
        (5, "not '1.5'"),
        (6, "without '/'"),
        (9, "a count is an integer from 0 to 1000000000, not ''"),
        (10, "'rice' is already in line 2"),
        (11, "not '9999999999999'"),
    ):
        assert any(line.startswith(f"{file}: line {number}: ") and what in line for line in said.splitlines()), number
    assert "3 items imported, 7 lines left out" in said
    assert in_sqlite() == {"rice": 3, "soy sauce": 2, "milk": 5}


def test_bad_json_lines_are_named(in_sqlite, tmp_path, capsys):
    """They are invalid JSON, not an object, or have an invalid count."""
    file = tmp_path / "p.jsonl"
    bad = ["{", "[]", '{"item": "a"}', '{"item": "a", "count": true}', '{"item": 5, "count": 1}', '{"count": 1.0}']
    file.write_bytes("\n".join([*bad, '{"item": "a", "count": 1}', ""]).encode() + b'{"item": "\xff", "count": 1}\n')
    assert main(["pantry", "import", str(file)]) == 1
    said = capsys.readouterr().err
    assert all(f"line {number}: " in said for number in (1, 2, 3, 4, 5, 6, 8))
    assert in_sqlite() == {"a": 1}


def test_a_file_that_cannot_be_read_is_one_line(in_sqlite, tmp_path, capsys):
    """A missing file, a heading without the two columns, an unknown ending, and a summary without a place."""
    (tmp_path / "p.csv").write_text("name;number\nrice;3\n")
    (tmp_path / "p.xlsx").write_text("")
    for arguments, what in (
        (["import", "none.csv"], "none.csv cannot be read: No such file"),
        (["import", str(tmp_path / "p.csv")], "line 1: the heading has to name item and count"),
        (["import", str(tmp_path / "p.xlsx")], "--format csv or jsonl"),
        (["export", "--json"], "--json needs a FILE"),
        (["export", str(tmp_path / "none/p.csv")], "cannot be written: No such file"),
    ):
        assert main(["pantry", *arguments]) == 2
        said = capsys.readouterr().err
        assert what in said
        assert said.count("\n") == 1
    assert in_sqlite() == {}


def test_an_export_that_fails_leaves_the_old_file(in_sqlite, tmp_path, monkeypatch):
    """The file is either complete or unchanged."""
    main(["pantry", "export", str(tmp_path / "p.csv")])
    monkeypatch.setattr(SQLitePantry, "items", lambda self: {"rice": 1, "bad \ud800": 1})
    with pytest.raises(UnicodeError):
        main(["pantry", "export", str(tmp_path / "p.csv")])
    assert [path.name for path in tmp_path.glob("p.*")] == ["p.csv"]
    assert (tmp_path / "p.csv").read_text() == "item,count\n"


def test_a_store_that_goes_away_is_said_with_the_line(in_sqlite, tmp_path, capsys, monkeypatch):
    """Stored lines stay, and the message says how far it came and that it may be repeated."""
    (tmp_path / "p.csv").write_text("item,count\n" + "".join(f"item {number},1\n" for number in range(100)))
    put = SQLitePantry.put

    def sometimes(self, item, count, key=None):
        if item == "item 40":
            raise StoreUnavailable("away")
        return put(self, item, count, key)

    monkeypatch.setattr(SQLitePantry, "put", sometimes)
    assert main(["pantry", "import", str(tmp_path / "p.csv")]) == 2
    said = capsys.readouterr().err
    assert "line 42 of the file: away; 40 of 100 lines were done before; import it again" in said
    monkeypatch.undo()
    assert "item 39" in in_sqlite()


def test_without_a_pantry_there_is_nothing_to_copy(tmp_path, monkeypatch, capsys):
    """LARDER_PANTRY=none is an error, and no empty file is written."""
    monkeypatch.setenv("LARDER_PANTRY", "none")
    assert main(["pantry", "export", str(tmp_path / "p.csv")]) == 2
    assert "LARDER_PANTRY is none" in capsys.readouterr().err
    assert not (tmp_path / "p.csv").exists()


def test_names_that_a_store_refuses_are_named(in_firestore, tmp_path, monkeypatch, capsys):
    """Firestore keeps some names for itself; the other lines are imported."""
    monkeypatch.setenv("LARDER_PANTRY", in_firestore)
    (tmp_path / "p.csv").write_text("item,count\nrice,1\n__x__,1\nsalt,1\n")
    assert main(["pantry", "import", str(tmp_path / "p.csv")]) == 1
    said = capsys.readouterr().err
    assert "line 3: the pantry is in Firestore, which keeps names like" in said
    assert "2 items imported, 1 lines left out" in said
