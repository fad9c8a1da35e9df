"""`python -m app bulk index`: pictures into the contents, each once."""

import io
import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from app.__main__ import main
from app.components import open_contents, open_model
from app.contents import Content, ContentStore, Where
from app.settings import read_settings
from harness.server import Server
from tests.bulk.conftest import BROKEN, GOOD, write_parquet
from tests.bulk.test_command import ROOT, reasons
from tests.conftest import wait_until
from tests.fakes import as_bytes, picture

REPORT = Path("data/bulk-bad.jsonl")


@pytest.fixture
def contents(home):
    """Open the contents that the command fills, and the model that encodes texts for them."""
    settings = read_settings()
    model = open_model(settings)

    def opened() -> closing[ContentStore]:
        return closing(open_contents(settings, model))

    opened.text = lambda text: model.encoder.texts([text])[0]
    return opened


def test_pictures_are_found_by_text(photos, contents):
    """Good pictures are entries with path and thumbnail, nearest to the text that names them; bad ones are listed."""
    assert main(["bulk", "index", "photos", "--collection", "phone"]) == 1
    assert reasons(REPORT).keys() == BROKEN.keys()
    with contents() as store:
        assert store.count("phone") == store.count() == len(GOOD)
        hits = store.search(contents.text("red"), 4, Where(type="image", collection="phone"))
        small = store.get(hits[0].id).thumbnail
    assert {hit.id for hit in hits[:2]} == {"phone/red/1.png", "phone/red/2.png"}
    assert Image.open(io.BytesIO(small)).size == picture("red").size
    assert hits[0].metadata == {"path": hits[0].id.removeprefix("phone/"), "source": str(photos)}


def test_rows_are_contents(home, contents):
    """A row's id names its file and its place, its path is what the data set says."""
    write_parquet(home / "test.parquet", [as_bytes(picture("red")), as_bytes(picture("blue"))])
    assert main(["bulk", "index", "test.parquet"]) == 0
    with contents() as store:
        (hit,) = store.search(contents.text("blue"), 1)
    assert (hit.id, hit.metadata["path"]) == ("default/test.parquet:1", "picture 1")


def test_a_second_run_adds_what_is_new(photos, contents, capsys):
    """Pictures that the collection has from this source are skipped; another collection gets its own entries."""
    main(["bulk", "index", "photos"])
    (photos / "new.png").write_bytes(as_bytes(picture("green")))
    capsys.readouterr()
    main(["bulk", "index", "photos", "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert (summary["good"], summary["bad"], summary["done_before"]) == (1, 6, 4)
    main(["bulk", "index", "photos", "--collection", "phone", "--json"])
    assert json.loads(capsys.readouterr().out)["good"] == 5
    with contents() as store:
        assert (store.count("default"), store.count("phone")) == (5, 5)


def write(path: Path, colour: str) -> str:
    """Write a file of one colour into a new folder; returns the folder's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(picture(colour)))
    return path.parent.name


def summary(capsys, *words: str) -> dict:
    """Return the last output of `bulk index WORDS...`."""
    capsys.readouterr()
    main(["bulk", "index", *words, "--json"])
    return json.loads(capsys.readouterr().out)


def test_two_collections_keep_pictures_of_the_same_name(home, contents):
    """Cameras reuse file names: the second collection replaces nothing in the first."""
    for folder, colour in (("2023", "red"), ("2024", "green")):
        assert main(["bulk", "index", write(home / folder / "IMG_0001.png", colour), "--collection", folder]) == 0
    with contents() as store:
        assert (store.count("2023"), store.count("2024")) == (1, 1)
        (hit,) = store.search(contents.text("red"), 1)
    assert hit.id == "2023/IMG_0001.png"


def test_two_sources_in_one_collection_replace_nothing(home, contents, capsys):
    """A picture of another source is refused by name, with the place that the entry came from, each time again."""
    main(["bulk", "index", write(home / "2023/IMG_0001.png", "red")])
    write(home / "2024/IMG_0002.png", "blue")
    for _ in range(2):
        main(["bulk", "index", write(home / "2024/IMG_0001.png", "green"), "--json"])
        (reason,) = reasons(REPORT).values()
        assert f"default/IMG_0001.png is another picture already, from {home / '2023'}" in reason
    with contents() as store:
        assert store.count() == 2
        (hit,) = store.search(contents.text("red"), 1)
        assert hit.metadata["source"] == str(home / "2023")
        store.delete("default/IMG_0001.png")
    assert summary(capsys, "2024")["good"] == 1


@pytest.mark.parametrize("spelling", ["photos", "./photos/", "photos/../photos", "absolute"])
def test_a_source_is_the_same_however_it_is_spelt(home, photos, contents, capsys, spelling):
    """A relative path, a trailing slash and an absolute path name the same folder, and nothing is done twice."""
    main(["bulk", "index", "photos"])
    told = summary(capsys, str(photos) if spelling == "absolute" else spelling)
    assert (told["good"], told["done_before"]) == (0, len(GOOD))


def test_a_folder_that_was_moved_is_indexed_again(home, photos, contents, capsys):
    """The same pictures under the same names stay, with their new source."""
    main(["bulk", "index", "photos"])
    photos.rename(home / "moved")
    assert summary(capsys, "moved")["good"] == len(GOOD)
    assert summary(capsys, "moved")["done_before"] == len(GOOD)
    with contents() as store:
        assert store.count() == len(GOOD)
        assert store.get("default/blue.png").metadata["source"] == str(home / "moved")


def test_an_entry_that_somebody_put_is_not_replaced(home, contents):
    """A file never replaces a text or picture that was stored through the service."""
    with contents() as store:
        store.put(Content("default/note.png", "text", "a note"), contents.text("red"))
        store.put(Content("default/photo.png", "image", metadata={"by": "hand"}), contents.text("blue"))
    write(home / "photos/note.png", "red")
    write(home / "photos/photo.png", "green")
    assert main(["bulk", "index", "photos"]) == 1
    assert reasons(REPORT).keys() == {"note.png", "photo.png"}
    assert "an unknown source" in reasons(REPORT)["note.png"]
    with contents() as store:
        assert store.get("default/note.png").text == "a note"
        assert store.get("default/photo.png").metadata == {"by": "hand"}


def test_entries_of_earlier_versions_get_their_new_id(home, contents):
    """A bare name that shows the same picture is replaced; one that shows another picture stays."""
    with contents() as store:
        for name, colour in (("1.png", "red"), ("2.png", "blue")):
            store.put(Content(name, "image", metadata={"path": name}), contents.text(colour))
    for name in ("1.png", "2.png"):
        write(home / "photos" / name, "red")
    assert main(["bulk", "index", "photos"]) == 0
    with contents() as store:
        assert store.count() == 3
        assert {hit.id for hit in store.search(contents.text("red"), 2)} == {"default/1.png", "default/2.png"}
        assert store.get("2.png").metadata == {"path": "2.png"}


def test_an_id_that_no_content_can_have_is_reported(home, contents):
    """A name that is too long is a bad picture, not the end of the run."""
    name = "/".join(["x" * 150] * 2) + ".png"
    (home / "photos" / name).parent.mkdir(parents=True)
    (home / "photos" / name).write_bytes(as_bytes(picture("red")))
    (home / "photos/1.png").write_bytes(as_bytes(picture("red")))
    assert main(["bulk", "index", "photos"]) == 1
    assert "1 to 200 characters" in reasons(REPORT)[name]
    with contents() as store:
        assert store.count() == 1


def test_a_running_service_finds_what_is_added(home, photos, capsys):
    """It finds them without a restart, and again after it has deleted some of them."""
    settings = {name: home / f"labels/{name}.txt" for name in ("templates", "background")}
    with Server(
        model=home / "models/tiny", labels=home / "labels/pantry.txt", data=home / "data", **settings
    ) as server:
        server.ready()

        def found() -> set[str]:
            hits = server.client.post("/contents/search", json={"text": "red", "k": 100}).json()["hits"]
            return {hit["id"] for hit in hits}

        assert found() == set()
        main(["bulk", "index", "photos"])
        ids = {f"default/{name}" for name in GOOD}
        wait_until(lambda: found() == ids)
        assert server.client.delete("/contents/default/blue.png").status_code == 200
        assert found() == ids - {"default/blue.png"}
        main(["bulk", "index", "photos"])
        wait_until(lambda: found() == ids)


@pytest.mark.parametrize("keep", [True, False])
def test_originals_are_kept_where_they_are_asked_for(home, contents, monkeypatch, keep):
    """LARDER_KEEP_PICTURES applies here too."""
    import sqlite3

    monkeypatch.setenv("LARDER_KEEP_PICTURES", str(keep))
    data = as_bytes(picture("red"))
    write_parquet(home / "test.parquet", [data])
    main(["bulk", "index", "test.parquet"])
    with closing(sqlite3.connect("data/contents.sqlite")) as database:
        stored = "\n".join(database.iterdump())
    assert (data.hex().upper() in stored.upper()) is keep


def test_kill_9_loses_nothing(home, contents, monkeypatch):
    """After a kill and a second run, every good picture is an entry."""
    monkeypatch.setenv("LARDER_ENGINE", "onnxruntime")  # it starts the soonest
    monkeypatch.setenv("LARDER_MAX_PIXELS", "5000000")
    monkeypatch.setenv("LARDER_MAX_BODY", "1000000")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    drawn = as_bytes(picture("red", (1200, 1200)), "JPEG")
    write_parquet(home / "test.parquet", [drawn if number % 30 else drawn[:5000] for number in range(300)])
    command = [sys.executable, "-m", "app", "bulk", "index", "test.parquet", "--part", "10"]
    with contents() as store, subprocess.Popen(command) as process:
        wait_until(lambda: store.count() > 50)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 1
    assert reasons(REPORT).keys() == {f"test.parquet:{number}" for number in range(0, 300, 30)}
    with contents() as store:
        assert store.count() == 290


def test_without_contents_it_says_so(home, photos, monkeypatch, capsys):
    """With LARDER_CONTENTS=none there is no store for pictures."""
    monkeypatch.setenv("LARDER_CONTENTS", "none")
    assert main(["bulk", "index", "photos"]) == 2
    assert "LARDER_CONTENTS is none" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_collection_that_no_search_can_name_is_refused(home, photos, capsys, name):
    """Its name has the same bounds as in the API."""
    assert main(["bulk", "index", "photos", "--collection", name]) == 2
    assert "--collection: " in capsys.readouterr().err
