"""`python -m app contents reindex`: another model's contents are re-encoded."""

import json
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from app.__main__ import main
from app.components import open_contents, open_model
from app.contents import Content
from app.contents.database import Database
from app.contents.local import LocalContents
from app.errors import NotFound
from app.main import create_app
from app.settings import Settings
from tests.bundles import write_bundle
from tests.fakes import as_bytes, picture


@pytest.fixture
def bundles(tmp_path, monkeypatch):
    """Two bundles with different checksums; the environment names the new one."""
    write_bundle(tmp_path / "old", name="old", mean=[0.4, 0.5, 0.5])
    write_bundle(tmp_path / "new", name="new")
    monkeypatch.setenv("LARDER_MODEL", str(tmp_path / "new"))
    monkeypatch.setenv("LARDER_DATA", str(tmp_path / "data"))
    return [Settings(model=str(tmp_path / name), data=tmp_path / "data") for name in ("old", "new")]


def fill(settings, contents):
    """Store entries with the vectors of the model in the settings."""
    model = open_model(settings)
    with closing(open_contents(settings, model)) as store:
        for content in contents:
            store.put(content, model.encoder.texts(["red"])[0])


def texts(count):
    return [Content(f"t{number}", "text", ("red", "green", "blue")[number % 3]) for number in range(count)]


def test_another_models_contents_stop_the_start(bundles):
    """The error is one line, which says what to do."""
    fill(bundles[0], texts(3))
    with pytest.raises(SystemExit, match="3 entries in .* of the model old, not of new: .*contents reindex"):
        create_app(bundles[1])


def test_texts_and_kept_pictures_are_encoded_anew(bundles, capsys):
    """Afterwards the service starts, and every entry is found."""
    kept = [Content("p", "image", picture=as_bytes(picture("green")), thumbnail=b"small")]
    fill(bundles[0], [*texts(2), *kept, *texts(0)])
    assert main(["contents", "reindex", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"encoded": 3, "dropped": 0, "failed": [], "model": "new"}
    model = open_model(bundles[1])
    with closing(open_contents(bundles[1], model)) as store:
        hits = store.search(model.encoder.texts(["green"])[0], 3)
        assert {hit.id for hit in hits[:2]} == {"t1", "p"}
        assert store.get("p").thumbnail == b"small"
    assert main(["contents", "reindex", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["encoded"] == 0


def test_pictures_without_originals_are_counted_and_kept_unless_dropped(bundles, capsys):
    """Without `--drop` nothing is changed."""
    fill(bundles[0], [*texts(2), Content("p", "image", metadata={"n": 1}), Content("q", "image")])
    assert main(["contents", "reindex"]) == 2
    assert "2 pictures cannot be re-encoded" in capsys.readouterr().err
    model = open_model(bundles[0])
    with closing(open_contents(bundles[0], model)) as store:
        assert store.count() == 4
    assert main(["contents", "reindex", "--drop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"encoded": 2, "dropped": 2, "failed": [], "model": "new"}


GOOD = as_bytes(picture("green"))
UNREADABLE = {  # originals that cannot be read under other settings, or at all, and a part of the reason
    "webp": (as_bytes(picture("green"), "WEBP"), "WEBP pictures are not accepted"),
    "cut": (GOOD[:60], "truncated"),
    "noise": (b"\0" * 100, "not a picture"),
    "wide": (as_bytes(picture("green", (3000, 2))), "5,000 in all"),
}


@pytest.fixture
def originals(bundles, monkeypatch):
    """A text, a good picture, and each kind of original that cannot be read."""
    kept = [Content(name, "image", picture=data) for name, (data, _) in UNREADABLE.items()]
    fill(bundles[0], [kept[0], *texts(1), Content("good", "image", picture=GOOD), *kept[1:]])
    monkeypatch.setenv("LARDER_FORMATS", "JPEG,PNG")
    monkeypatch.setenv("LARDER_MAX_PIXELS", "5000")


def test_an_original_that_cannot_be_read_fails_alone(bundles, originals, capsys):
    """The others are encoded, each bad one is named with its reason, and the next run tries it again."""
    for encoded in (2, 0):
        assert main(["contents", "reindex", "--json"]) == 1
        told = json.loads(capsys.readouterr().out)
        assert (told["encoded"], told["dropped"]) == (encoded, 0)
        assert {each["id"] for each in told["failed"]} == UNREADABLE.keys()
        for each in told["failed"]:
            assert UNREADABLE[each["id"]][1] in each["reason"]
    assert main(["contents", "reindex"]) == 1
    assert "webp: WEBP pictures are not accepted" in capsys.readouterr().err


def test_drop_removes_what_cannot_be_read(bundles, originals, capsys):
    """Afterwards the service starts with the others."""
    assert main(["contents", "reindex", "--drop", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["encoded"], told["dropped"], len(told["failed"])) == (2, len(UNREADABLE), len(UNREADABLE))
    with closing(open_contents(bundles[1], open_model(bundles[1]))) as store:
        assert store.count() == 2


def test_a_service_with_the_old_model_goes_on(bundles, capsys):
    """While its entries are re-encoded it finds them as before, refuses searches by their ids, and stores new ones."""
    old = bundles[0]
    fill(old, [*texts(3), Content("p", "image", picture=GOOD)])
    model = open_model(old)
    red = model.encoder.texts(["red"])[0]
    with closing(open_contents(old, model)) as store:
        before = store.search(red, 10)
        assert main(["contents", "reindex", "--json"]) == 0
        store.refresh()
        assert store.search(red, 10) == before
        with pytest.raises(NotFound, match="'p' was encoded by another model .* restart"):
            store.vectors(["p"])
        store.put(Content("t1", "text", "blue"), red)
        assert (store.vectors(["t1"]) == red.astype(np.float16)).all()
        store.delete("t2")
    capsys.readouterr()
    assert main(["contents", "reindex", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["encoded"] == 1
    model = open_model(bundles[1])
    with closing(open_contents(bundles[1], model)) as store:
        assert {hit.id for hit in store.search(model.encoder.texts(["green"])[0], 10)} == {"t0", "t1", "p"}


def test_what_was_interrupted_goes_on(bundles, tmp_path):
    """Killed at the third part, it resumes there, and no model reads half-encoded contents."""
    fill(bundles[0], texts(300))
    script = """
import app.contents.database as d, os, sys
from app.__main__ import main
replace, calls = d.Database.replace_vectors, []
def dying(self, vectors):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), 9)
    replace(self, vectors)
d.Database.replace_vectors = dying
main(["contents", "reindex"])
"""
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert process.returncode == -9
    model = open_model(bundles[1])
    with closing(Database(tmp_path / "data/contents.sqlite", model.vectors)) as database:
        assert database.outdated_count() == 300 - 2 * 64
    for settings in bundles:
        with pytest.raises(SystemExit, match="contents reindex"):
            create_app(settings)
    assert main(["contents", "reindex"]) == 0
    with closing(LocalContents(tmp_path / "data/contents.sqlite", model.vectors, 1)) as store:
        assert {hit.id for hit in store.search(model.encoder.texts(["red"])[0], 100)} == {
            f"t{number}" for number in range(0, 300, 3)
        }


def test_there_has_to_be_something(bundles, capsys, monkeypatch):
    """A missing file, or contents in another store, is a one-line error."""
    assert main(["contents", "reindex"]) == 2
    assert "nothing to re-encode" in capsys.readouterr().err
    monkeypatch.setenv("LARDER_CONTENTS", "none")
    assert main(["contents", "reindex"]) == 2
    assert "LARDER_CONTENTS must be faiss" in capsys.readouterr().err
