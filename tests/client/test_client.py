"""Both clients and the command against the real service."""

import ast
import asyncio
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import larder_client
import numpy as np
import pytest
from larder_client import (
    AsyncLarder,
    Busy,
    Conflict,
    Hit,
    InvalidImage,
    InvalidLabels,
    InvalidRequest,
    Item,
    Larder,
    NotFound,
    Query,
    TiedBarcode,
    Unauthorized,
)
from larder_client.command import main
from larder_client.lines import sentence

from harness.packages import RICE, package, symbol
from harness.server import Server
from tests.bundles import write_bundle
from tests.conftest import wait_until
from tests.fakes import as_bytes, picture

CLIENT = Path(larder_client.__file__).parents[1]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A separate service over a bundle that sees colours."""
    folder = tmp_path_factory.mktemp("service")
    write_bundle(folder / "tiny")
    (folder / "labels.txt").write_text("red\nblue @ cold\nazure blue | sky blue\n")
    files = {"model": folder / "tiny", "labels": folder / "labels.txt", "data": folder / "data"}
    with Server(**files, keep_pictures=True, drain=0) as server:
        server.ready()
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def larder(url):
    with Larder(url) as larder:
        yield larder


def test_it_recognises(larder):
    """A blue square is blue, with all fields of the answer."""
    found = larder.recognise(picture("blue"), top_k=2)
    assert (found.item, found.label_count, found.model, found.pantry) == ("blue", 3, "tiny", None)
    assert len(found.top_k_items) == len(found.top_k_scores) == len(found.top_k_cosines) == 2
    assert found.similarity_score == found.top_k_probabilities[0]


def test_categories(larder):
    """A label and the best label of a picture have categories if the label file defines them."""
    assert {each.label: each.categories for each in larder.labels()}["blue"] == ["cold"]
    blue, red = (larder.recognise(picture(colour), threshold=0) for colour in ("blue", "red"))
    assert (blue.category, blue.confident_category, red.category) == ("cold", "cold", None)


def test_recognising_can_change_the_pantry(larder):
    """`update` and `quantity` are sent, and the new count is returned."""
    larder.set_count("red", 2)
    assert larder.recognise(picture("red"), update="add", quantity=3, threshold=0).pantry == Item("red", 5)
    assert larder.recognise(picture("red"), update="remove", threshold=0).pantry == Item("red", 4)


def test_a_change_is_listed_and_undone(larder):
    """The journal is listed by page and by item; an undo works once."""
    larder.set_count("ginger", 2)
    larder.add("ginger", 3)
    first = larder.journal("ginger", limit=1)
    (put,) = larder.journal("ginger", cursor=first.cursor, limit=1)
    assert [(each.action, each.before, each.after, each.by) for each in (*first, put)] == [
        ("add", 2, 5, None),
        ("put", None, 2, None),
    ]
    undo = larder.undo(first[0].id)
    assert (undo.action, undo.undoes, larder.item("ginger").count) == ("undo", first[0].id, 2)
    with pytest.raises(Conflict, match="was undone before"):
        larder.undo(first[0].id)


def test_it_classifies_among_labels_of_ones_own(larder):
    """Labels are a list or a map to categories; the numbers are in the order of the request."""
    found = larder.classify(picture("green"), ["blue", "green", "red"], none_of_these=True)
    assert list(found.result) == ["blue", "green", "red"]
    assert max(found.result, key=found.result.get) == "green"
    assert found.none_of_these is not None
    kinds = larder.classify(picture("green"), {"blue": "cold", "red": "warm", "green": "cold"}, template="a {} thing")
    assert list(kinds.categories) == ["cold", "warm"]
    with pytest.raises(InvalidLabels, match="one label"):
        larder.classify(picture("green"), ["blue", "Blue"])


def test_the_pantry(larder):
    """Items are set, added to, taken from, listed and deleted."""
    assert larder.set_count("Soy sauce", 1) == Item("soy sauce", 1)
    assert larder.add("soy sauce", 4).count == 5
    removed = larder.remove("soy sauce", 9)
    assert (removed.count, removed.removed) == (0, 5)
    assert larder.item("soy sauce").count == 0
    assert "soy sauce" in [item.item for item in larder.items()]
    larder.delete("soy sauce")
    with pytest.raises(NotFound):
        larder.item("soy sauce")


def test_an_item_has_no_slash(larder):
    """The service's error message reaches the caller, for adding and for later calls."""
    for call in (larder.add, larder.item, larder.taught, larder.delete):
        with pytest.raises(
            InvalidRequest,
            match="invalid item name '1/2 litre of milk': it has the character U.002F SOLIDUS; .* without '/'",
        ):
            call("1/2 litre of milk")


@pytest.mark.parametrize("name", [".", "..", "50 % rye?", "a+b#c"])
def test_any_other_sign_is_part_of_a_name(larder, name):
    """Special characters of URLs are part of a name or an id."""
    assert (larder.add(name, 2).item, larder.item(name).count) == (name, 2)
    larder.delete(name)
    assert larder.put_text(name, "red").id == larder.content(name).id == name
    larder.delete_content(name)


def test_duplicates(larder):
    """Groups are dataclasses, with the entry to keep first and the facts of each file."""
    for name, side in (("small", 16), ("large", 32)):
        larder.put_picture(f"copies/{name}", as_bytes(picture("red", (side, side))), collection="copies", shrink=False)
    job = larder.duplicates("copies", distance="scene")
    wait_until(lambda: larder.job(job.job).status == "done")
    (group,) = larder.job(job.job, limit=5).groups
    assert [(each.id, each.width, each.thumbnail) for each in group.entries] == [
        ("copies/large", 32, True),
        ("copies/small", 16, True),
    ]
    assert (group.keep, group.size, group.why[:11]) == ("copies/large", 2, "most pixels")
    assert larder.delete_collection("copies") == 2


def test_contents(larder):
    """Texts and pictures are stored under their ids, found by text, picture and each other, and deleted."""
    larder.put_text("notes/1", "a red note", metadata={"shelf": 2}, collection="things")
    red = larder.put_picture("photos/red", picture("red"), metadata={"shelf": 3}, collection="things")
    larder.put_picture("photos/blue", picture("blue"), collection="things", thumbnail=False)
    assert (red.type, red.metadata, red.thumbnail) == ("image", {"shelf": 3}, True)
    assert larder.content("notes/1").text == "a red note"
    assert larder.count_contents("things") == larder.count_contents() == 3
    (best, *_) = larder.search("blue", collection="things", type="image")
    assert best == Hit("photos/blue", "image", best.score, {})
    assert [hit.id for hit in larder.search(picture=picture("red"), k=1, filter={"shelf": {"gt": 2}})] == ["photos/red"]
    assert larder.search(id="photos/red", k=1)[0].id == "notes/1"
    assert [hit.id for hit in larder.search(ids=["photos/red", "notes/1"])] == ["photos/blue"]
    page = larder.contents("things", limit=2)
    rest = larder.contents("things", limit=2, cursor=page.cursor)
    assert ([each.id for each in [*page, *rest]], rest.cursor) == (["notes/1", "photos/red", "photos/blue"], None)
    assert (larder.rename_collection("things", "photos"), larder.count_contents("things")) == (3, 0)
    assert larder.rename_collection("photos", "things") == 3
    asked = [Query(picture=picture("red")), Query("blue", weight=2), Query(id="notes/1", weight=-1)]
    (page,) = hits = larder.search(queries=asked, k=1, only="image")
    assert (page.id, hits.cursor is None) == ("photos/blue", False)
    rest = larder.search(cursor=hits.cursor, only="image")
    assert ([hit.id for hit in rest], rest.cursor) == (["photos/red"], None)
    assert larder.search("blue", min_score=0.99, only="text") == []
    assert larder.thumbnail("photos/red").startswith(b"\xff\xd8")
    with pytest.raises(NotFound, match="thumbnail"):
        larder.thumbnail("photos/blue")
    larder.delete_content("notes/1")
    assert larder.delete_collection("things") == 2
    assert larder.count_contents("things") == 0
    with pytest.raises(NotFound):
        larder.content("notes/1")


def test_embeddings(larder):
    """Texts and pictures become unit vectors (N, D) of one space."""
    texts, pictures = larder.embed_texts(["red", "blue"]), larder.embed_pictures([picture("blue"), picture("red")])
    assert texts.dtype == pictures.dtype == np.float32
    assert texts.shape == pictures.shape == (2, texts.shape[1])
    assert np.linalg.norm(pictures, axis=1) == pytest.approx(1, abs=1e-5)
    assert (texts @ pictures.T).argmax(axis=1).tolist() == [1, 0]


def test_vectors_without_numpy():
    """Without numpy, vectors are lists of numbers."""
    without = "import sys; sys.modules['numpy'] = None; from larder_client.vectors import vectors"
    script = f"{without}; print(vectors(['AACAPwAAAEA=']))"
    assert subprocess.check_output([sys.executable, "-c", script], cwd=CLIENT, text=True) == "[[1.0, 2.0]]\n"


def test_teaching_and_its_undoing(larder):
    """An item taught by pictures has examples, which are deleted one by one or all."""
    first, second = larder.teach("quince", [picture("green"), picture("yellow")])
    assert [each.id for each in larder.taught("quince")] == [first.id, second.id]
    assert (first.used, first.near_duplicate_of, first.contradicts) == (True, None, None)
    assert [larder.forget("quince", first.id), larder.forget("quince")] == [1, 1]
    larder.delete("quince")


def test_frames_and_several_things(larder):
    """Frames say how far they agree; a picture of several things is a list."""
    frames = larder.recognise_frames([picture("red"), picture("red")]).frames
    assert (frames.used, frames.agreement) == ([True, True], 1)
    (found,) = larder.recognise_shelf(picture("red", (32, 32)), threshold=0)
    assert (found.item, found.count, found.pantry) == ("red", 1, None)


def test_boxes_of_a_picture(larder):
    """Each box is answered separately, in order, and counted if requested."""
    halves = picture("red", (40, 20))
    halves.paste(picture("blue", (20, 20)), (20, 0))
    left, right = larder.recognise_regions(halves, [(0, 0, 20, 20), (20, 0, 40, 20)], top_k=2)
    assert [(left.item, left.box), (right.item, right.box)] == [("red", [0, 0, 20, 20]), ("blue", [20, 0, 40, 20])]
    assert (left.pantry, len(left.top_k_items)) == (None, 2)
    larder.set_count("red", 2)
    (counted,) = larder.recognise_regions(halves, [[0, 0, 20, 20]], threshold=0, update="add", quantity=3)
    assert counted.pantry == Item("red", 5)
    with pytest.raises(InvalidRequest, match="40 wide and 20 high"):
        larder.recognise_regions(halves, [(0, 0, 99, 20)])


def test_feedback(larder):
    """The request id of an answer is enough to correct it and to teach the correction."""
    found = larder.recognise(picture("green"))
    said = larder.feedback(found.request_id, "Greengage")
    assert (said.item, said.answered, said.right, said.taught) == ("greengage", found.item, False, None)
    again = larder.recognise_frames([picture("green"), picture("blue")])
    said = larder.feedback(again.request_id, "greengage", teach=True)
    assert [each.id for each in said.taught] == [each.id for each in larder.taught("greengage")]
    assert len(said.taught) == again.frames.used.count(True)
    larder.delete("greengage")
    with pytest.raises(NotFound, match="no answer to request 'never asked'"):
        larder.feedback("never asked", "banana")


def test_the_review_queue(larder):
    """An unsure picture is listed, labelled and dismissed; a missing entry is not found."""
    for colour in ("white", "cyan"):
        larder.recognise(as_bytes(picture(colour)))
    queue = larder.review()
    by_picture = {larder.review_picture(each.id): each for each in queue}
    assert queue.total == len(queue) >= 2
    assert all(0 <= each.uncertainty <= 1 and len(each.top_k_items) == len(each.top_k_scores) for each in queue)
    white, cyan = (by_picture[as_bytes(picture(colour))] for colour in ("white", "cyan"))
    made = larder.label(white.id, "Quince")
    assert (made.item, made.right, made.pictures_kept) == ("quince", False, 1)
    assert [each.id for each in made.taught] == [each.id for each in larder.taught("quince")]
    larder.dismiss(cyan.id)
    assert {white.id, cyan.id}.isdisjoint(each.id for each in larder.review())
    with pytest.raises(NotFound, match="not in the review queue"):
        larder.label(cyan.id, "sky")
    assert len(larder.review(1)) <= 1
    larder.delete("quince")


def test_the_report_on_the_examples(url, larder, capsys):
    """Both the client and the command report an example of the wrong item."""
    for item, colours in (("quince", ["yellow", "yellow"]), ("sky", ["cyan", "cyan", "yellow"])):
        pictures = [as_bytes(picture(colour, size=(32 + place, 24))) for place, colour in enumerate(colours)]
        larder.teach(item, pictures)
    wait_until(lambda: {"quince", "sky"} <= {each.item for each in larder.examples_report().items})
    report = larder.examples_report()
    assert report.examples == sum(each.examples for each in report.items)
    assert [each for each in report.misleading if each.item == "sky" and each.looks_like == "quince"]
    assert main(["--url", url, "report"]) == 0
    told = capsys.readouterr().out
    assert "1 x sky is taken for quince" in told
    assert f"{report.right} of {report.judged} examples are recognised by the others" in told
    for item in ("quince", "sky"):
        larder.delete(item)


def test_a_barcode_is_tied_and_decides(larder):
    """A code is assigned by call and by feedback; the answer has the codes and the evidence."""
    picture = package(symbol(RICE), colour=(120, 120, 120))
    plain = larder.recognise(picture, threshold=0.99)
    assert (plain.barcodes, plain.evidence, plain.disagreement) == (None, None, None)
    unknown = larder.recognise(picture, threshold=0.99, barcodes=True)
    assert ([(each.code, each.item) for each in unknown.barcodes], unknown.evidence) == ([(RICE, None)], "picture")
    assert larder.feedback(unknown.request_id, "rice", tie_barcode=True).tied == RICE
    found = larder.recognise(picture, threshold=0.99, barcodes=True, update="add")
    assert (found.item, found.evidence, found.barcodes[0].item) == ("rice", "barcode", "rice")
    larder.undo(larder.journal("rice", limit=1)[0].id)
    assert sentence(found) == "rice, by its barcode; 1 of it now"
    assert larder.tie_barcode("036000291452", "paper towels") == TiedBarcode("0036000291452", "paper towels")
    page = larder.barcodes(limit=1)
    assert [*page, *larder.barcodes(cursor=page.cursor)] == [larder.barcode("036000291452"), TiedBarcode(RICE, "rice")]
    for code in ("036000291452", RICE):
        larder.untie_barcode(code)
    with pytest.raises(NotFound):
        larder.untie_barcode(RICE)


def test_health_labels_and_metrics(larder):
    """The service's status, labels and metrics are available too."""
    health = larder.health()
    assert "larder_labels " in larder.metrics()
    assert (health.status, health.model) == ("ready", "tiny")
    assert [label.synonyms for label in larder.labels() if label.label == "azure blue"] == [["sky blue"]]


def test_a_bad_picture_is_named(larder):
    """The service's own message reaches the caller."""
    with pytest.raises(InvalidImage, match="picture"):
        larder.recognise(b"not a picture")


def test_async_does_the_same(url):
    """Sixteen pictures at once get sixteen right answers."""

    async def ask():
        async with AsyncLarder(url) as larder:
            colours = ["red", "blue"] * 8
            found = await asyncio.gather(*(larder.recognise(picture(colour)) for colour in colours))
            assert [each.item for each in found] == colours
            assert (await larder.classify(picture("red"), ["red", "blue"])).confident
            await larder.set_count("async", 1)
            assert (await larder.remove("async")).removed == 1
            (change,) = await larder.journal("async", limit=1)
            assert (await larder.undo(change.id)).after == 1
            await larder.delete("async")
            assert (await larder.health()).status == "ready"
            assert len(await larder.labels()) >= 3
            assert isinstance(await larder.items(), list)
            await larder.put_picture("async", picture("red"))
            assert [hit.id for hit in await larder.search("red")] == ["async"]
            assert (await larder.thumbnail("async")).startswith(b"\xff\xd8")
            await larder.delete_content("async")
            found = await larder.recognise(picture("red"))
            assert (await larder.feedback(found.request_id, "red")).answered == found.item
            await larder.recognise(picture("magenta"))
            (entry, *_) = await larder.review(1)
            assert (await larder.review_picture(entry.id)).startswith(b"\xff\xd8")
            await larder.dismiss(entry.id)
            assert [each.item for each in await larder.recognise_regions(picture("red"), [[0, 0, 8, 8]])] == ["red"]

    asyncio.run(ask())


def test_both_clients_offer_the_same():
    """Every method of one is a method of the other, with the same arguments and the documentation of its call."""

    def methods(client):
        public = {name: each for name, each in vars(client).items() if callable(each) and not name.startswith("_")}
        signatures = {name: str(inspect.signature(each)) for name, each in public.items()}
        kinds = (
            "AsyncGenerator[larder_client.answers.Event, None]",
            "Generator[larder_client.answers.Event, None, None]",
        )
        return {name: each.replace(*kinds) for name, each in signatures.items()}  # of `events`

    assert methods(Larder) == methods(AsyncLarder)
    assert methods(Larder)["add"] == "(self, /, name: str, quantity: int = 1) -> larder_client.answers.Item"
    assert all(inspect.getdoc(getattr(Larder, name)) for name in methods(Larder))


def test_a_service_that_drains_is_an_answer_to_health_alone(start):
    """`GET /` returns the status of a 503; other calls raise."""
    from larder_client import calls
    from larder_client.exchange import answer

    client = start()
    client.app.state.service.draining = True
    assert answer(calls.health(), client.get("/")).status == "draining"
    with pytest.raises(Busy):
        answer(calls.items(), client.get("/"))


def test_a_wrong_key(tmp_path, capsys):
    """A missing key is Unauthorized, the right one works; the command stops at the first rejection."""
    write_bundle(tmp_path / "tiny")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    files = {"model": tmp_path / "tiny", "labels": tmp_path / "labels.txt", "data": tmp_path, "api_keys": "right"}
    with Server(**files) as server:
        server.ready()
        address = f"http://127.0.0.1:{server.port}"
        with Larder(address) as none, Larder(address, "right") as right:
            with pytest.raises(Unauthorized):
                none.labels()
            assert len(right.labels()) == 2
        photo = tmp_path / "red.png"
        photo.write_bytes(as_bytes(picture("red")))
        assert main(["--url", address, "--key", "wrong", "recognise", *[str(photo)] * 16]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("larder: ")) == ("", 1)


def test_the_command_on_a_new_service(tmp_path, capsys):
    """Empty lists are reported, with a hint how to fill them."""
    write_bundle(tmp_path / "tiny")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    files = {"model": tmp_path / "tiny", "labels": tmp_path / "labels.txt", "data": tmp_path / "data"}
    with Server(**files) as server:
        server.ready()
        address = f"http://127.0.0.1:{server.port}"
        assert main(["--url", address, "journal"]) == 0
        assert capsys.readouterr().err.endswith("larder: the journal has no change yet\n")
        assert main(["--url", address, "report"]) == 0
        assert "teach an item two examples or more" in capsys.readouterr().out
        assert main(["--url", address, "events", "weather"]) == 2
        assert "should be 'change' or 'recognition'" in capsys.readouterr().err


def test_the_command_ends_quietly_when_its_reader_has_enough(url, larder):
    """`larder pantry | head -1` prints no message and has the exit status of SIGPIPE."""
    larder.add("oats")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "larder_client.command", "--url", url, "pantry"]
    environment = os.environ | {"PYTHONPATH": str(CLIENT)}
    with os.fdopen(writing) as closed:
        ended = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (ended.returncode, ended.stderr) == (141, "")
    larder.delete("oats")


def test_the_command(url, tmp_path, capsys):
    """`larder` recognises files, continues after a bad one and reports it by its exit status."""
    (tmp_path / "red.png").write_bytes(as_bytes(picture("red")))
    (tmp_path / "bad.png").write_bytes(b"no")
    assert main(["--url", url, "recognise", str(tmp_path / "bad.png"), str(tmp_path / "red.png")]) == 1
    told = capsys.readouterr()
    assert "red.png: red, " in told.out
    assert "bad.png: " in told.err
    assert main(["--url", url, "add", "rice", "3"]) == 0
    assert capsys.readouterr().out == "     3  rice\n"
    assert main(["--url", url, "--json", "pantry"]) == 0
    assert {"item": "rice", "count": 3} in [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with Larder(url) as larder:
        larder.put_picture("photo", picture("red"))
    assert main(["--url", url, "journal", "rice", "-n", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[2:] == ["add", "rice:", "-", "->", "3"]
    assert main(["--url", url, "undo", line.split()[0]]) == 0
    assert f"rice: 3 -> -  undoes {line.split()[0]}" in capsys.readouterr().out
    assert main(["--url", url, "undo", line.split()[0]]) == 2
    assert "was undone before" in capsys.readouterr().err
    assert main(["--url", url, "journal", "nothing of the kind"]) == 0
    assert "the journal has no change of nothing of the kind\n" in capsys.readouterr().err
    assert main(["--url", url, "search", "red"]) == 0
    assert capsys.readouterr().out.endswith("  photo\n")
    assert main(["--url", url, "search", "--picture", str(tmp_path / "red.png"), "-k", "1"]) == 0
    assert capsys.readouterr().out == "1.000  photo\n"
    assert main(["--url", url, "status"]) == 0
    assert "ready" in capsys.readouterr().out
    assert main(["--url", url, "remove", "nothing of the kind"]) == 2
    assert "larder: " in capsys.readouterr().err


def test_the_command_reviews(url, capsys):
    """`larder review` lists, labels and dismisses; incomplete arguments are an error."""
    with Larder(url) as larder:
        larder.set_count("anything", 1)
        for each in larder.review(100):
            larder.label(each.id, "anything")
        wait_until(lambda: "anything" in [each.label for each in larder.labels()])
        larder.delete("anything")
        wait_until(lambda: "anything" not in [each.label for each in larder.labels()])  # white would be sure by it
        assert main(["--url", url, "review"]) == 0
        assert capsys.readouterr().err.endswith("larder: nothing is to be reviewed\n")
        for colour in ("white", "white", "black"):
            larder.recognise(picture(colour))
        white, black = sorted(larder.review(), key=lambda each: -each.seen)
    assert main(["--url", url, "review"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"{white.id}  ") and line.endswith("seen 2 times") for line in lines)
    assert main(["--url", url, "review", white.id]) == 2
    assert main(["--url", url, "review", white.id, "salt"]) == 0
    assert capsys.readouterr().out == "salt was taught\n"
    assert main(["--url", url, "review", black.id, "--dismiss"]) == 0
    assert main(["--url", url, "review", black.id, "pepper"]) == 2
    assert main(["--url", url, "--json", "review", "-n", "1"]) == 0
    assert main(["--url", url, "remove", "salt"]) == 0


def test_the_command_says_when_nothing_was_counted_or_found(url, tmp_path, capsys):
    """`larder` says whether a picture was counted, and that a search found no entry."""
    (tmp_path / "red.png").write_bytes(as_bytes(picture("red")))
    (tmp_path / "green.png").write_bytes(as_bytes(picture("green")))
    red, green = str(tmp_path / "red.png"), str(tmp_path / "green.png")
    assert main(["--url", url, "recognise", red, green, "--add", "2"]) == 0
    counted, uncounted = capsys.readouterr().out.splitlines()
    with Larder(url) as larder:
        assert counted.endswith(f"; {larder.item('red').count} of it now")
    assert "; not counted" in uncounted
    assert main(["--url", url, "recognise", green]) == 0
    assert "counted" not in capsys.readouterr().out
    assert main(["--url", url, "search", "red", "--collection", "empty"]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith("larder: no entry was found\n")  # a service in the same process may log before


def test_the_command_prints_the_score_that_is_compared(larder):
    """The percentage is the best score, above 80 exactly if the answer is confident."""
    for name in ("red", "green", "blue", "magenta"):
        found = larder.recognise(picture(name))
        line = sentence(found)
        assert f"{found.item}, {int(found.top_k_scores[0] * 100)}%" in line
        assert ("not sure" in line) == (not found.confident)


def test_the_command_searches_by_the_picture_at_a_path(url, tmp_path, capsys):
    """`larder search FILE` equals `larder search --picture FILE`; any other argument is a text of any length."""
    path = tmp_path / "red.png"
    path.write_bytes(as_bytes(picture("red")))
    with Larder(url) as larder:
        larder.put_picture("by path/red", path, collection="by path")
        larder.put_picture(
            "by path/blue", as_bytes(picture("blue")), metadata={"file": "sea.jpg"}, collection="by path"
        )
    found = []
    for words in ([str(path)], ["--picture", str(path)]):
        assert main(["--url", url, "search", *words, "--collection", "by path"]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]
    assert found[0].startswith("1.000  by path/red\n")
    assert found[0].endswith("  by path/blue  sea.jpg\n")
    assert main(["--url", url, "search", "red " * 500, "--collection", "by path"]) == 0


def test_the_client_needs_nothing_of_the_service():
    """It imports only httpx2, Pillow and the standard library, and numpy, pi-heif and mcp if installed."""
    for path in Path(larder_client.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                root = name.partition(".")[0]
                known = {"httpx2", "PIL", "larder_client"} | sys.stdlib_module_names
                optional = {("numpy", "vectors.py"), ("pi_heif", "pictures.py")}
                optional |= {("mcp", "mcp_server.py"), ("pydantic", "mcp_server.py")}
                assert root in known or (root, path.name) in optional, f"{path.name}: {name}"
