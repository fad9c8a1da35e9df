"""The `/contents` calls."""

import io
import json
from urllib.parse import quote

import pytest
from PIL import Image

from tests.api.test_process_image import problem
from tests.fakes import COLOURS, as_base64, picture


def text(client, id, words, **more):
    return client.put(f"/contents/{id}", json={"type": "text", "text": words} | more)


def image(client, id, colour, **more):
    return client.put(f"/contents/{id}", json={"type": "image", "image_data": as_base64(picture(colour))} | more)


def search(client, **body):
    response = client.post("/contents/search", json=body)
    assert response.status_code == 200, response.text
    return response.json()["hits"]


def ids(hits):
    return [hit["id"] for hit in hits]


@pytest.fixture
def colours(client):
    """A service with a text and a picture of each colour."""
    for number, colour in enumerate(COLOURS):
        text(client, f"word {colour}", f"a {colour} thing", metadata={"number": number, "kind": "word"})
        image(client, f"picture/{colour}", colour, metadata={"number": number}, collection="pictures")
    return client


def test_a_content_lives_and_dies(client):
    """PUT answers 201 for a new entry and 200 for a replacement; GET and DELETE work, and are 404 afterwards."""
    first = text(client, "a", "red", metadata={"deep": {"list": [1, None]}}, collection="c")
    assert first.status_code == 201
    assert first.json() == {
        "id": "a",
        "type": "text",
        "text": "red",
        "metadata": {"deep": {"list": [1, None]}},
        "collection": "c",
        "thumbnail": False,
    }
    assert client.get("/contents/a").json() == first.json()
    assert text(client, "a", "blue").status_code == 200
    assert client.get("/contents/a").json()["text"] == "blue"
    assert client.get("/contents").json() == {"count": 1}
    assert client.get("/contents?collection=c").json() == {"count": 0}
    assert client.delete("/contents/a").json() == {"id": "a"}
    for response in (client.get("/contents/a"), client.delete("/contents/a"), client.get("/thumbnails/a")):
        assert "no entry 'a'" in problem(response, 404, "not_found")


def test_a_picture_is_found_by_text_and_a_text_by_picture(colours):
    """Both kinds share one space; scores are cosines, best first."""
    hits = search(colours, text="something red", k=3)
    assert set(ids(hits[:2])) == {"word red", "picture/red"}
    assert hits[0]["score"] == pytest.approx(1, abs=2e-3)
    assert hits[0]["score"] >= hits[1]["score"] > hits[2]["score"]
    found = search(colours, image_data=as_base64(picture("blue")), k=2)
    assert set(ids(found)) == {"word blue", "picture/blue"}
    assert set(found[0]) == {"id", "type", "score", "metadata"}


def test_more_like_this(colours):
    """A search by an entry's id finds its neighbours, without the entry itself."""
    assert ids(search(colours, id="word red", k=1)) == ["picture/red"]
    assert len(search(colours, id="word red", k=1000)) == 2 * len(COLOURS) - 1


def test_more_like_these(colours):
    """A search by several ids finds what is near the mean of their vectors, without themselves."""
    hits = search(colours, ids=["word red", "word green"], k=2)
    assert set(ids(hits)) <= {"picture/red", "picture/green", "word yellow", "picture/yellow"}
    problem(colours.post("/contents/search", json={"ids": ["word red", "no"]}), 404, "not_found")


def test_queries_are_added_by_weight(colours):
    """A yellow picture plus "red" minus "green" finds red; the query's own entry is not a hit."""
    asked = [{"image_data": as_base64(picture("yellow"))}, {"text": "red"}, {"text": "green", "weight": -1}]
    assert set(ids(search(colours, queries=asked, k=2))) == {"word red", "picture/red"}
    by_id = search(colours, queries=[{"id": "word yellow"}, *asked[1:]], k=16)
    assert set(ids(by_id[:2])) == {"word red", "picture/red"}
    assert "word yellow" not in ids(by_id)


def test_a_single_query_is_the_same_in_both_forms(colours):
    """The weight does not matter: a sum of one vector has the direction of that vector."""
    assert search(colours, queries=[{"text": "red", "weight": 3}]) == search(colours, text="red")


def test_queries_that_cancel_out_are_422(colours):
    """They have no direction to search in."""
    asked = [{"text": "red"}, {"text": "red", "weight": -1}]
    response = colours.post("/contents/search", json={"queries": asked})
    assert "cancel each other out" in problem(response, 422, "invalid_request")


def test_a_least_score_may_empty_the_list(colours):
    """Hits below `min_score` are left out, even if none remains."""
    assert set(ids(search(colours, text="red", min_score=0.95))) == {"word red", "picture/red"}
    assert search(colours, queries=[{"text": "red"}, {"text": "cyan"}], min_score=0.9) == []


def test_the_next_page_by_its_cursor(colours):
    """The cursor replaces the query; the pages together are the whole list, and the last has no cursor."""
    whole = ids(search(colours, text="red", k=1000, only="image"))
    body, found = {"text": "red", "k": 3, "only": "image"}, []
    while body:
        answer = colours.post("/contents/search", json=body).json()
        found += ids(answer["hits"])
        body = {"cursor": answer["cursor"], "k": 3, "only": "image"} if answer["cursor"] else None
    assert found == whole
    cursor = colours.post("/contents/search", json={"text": "red", "k": 3}).json()["cursor"]
    other = colours.post("/contents/search", json={"cursor": cursor, "only": "text"})
    assert "another search" in problem(other, 422, "invalid_request")


def test_the_older_name_of_only_says_so(colours):
    """`type` works as before, its response has the header Deprecation, and two different kinds are refused."""
    old = colours.post("/contents/search", json={"text": "red", "type": "image"})
    new = colours.post("/contents/search", json={"text": "red", "only": "image"})
    assert old.json()["hits"] == new.json()["hits"]
    assert old.headers["deprecation"].startswith("@")
    assert "deprecation" not in new.headers
    both = colours.post("/contents/search", json={"text": "red", "only": "image", "type": "text"})
    assert "older name" in problem(both, 422, "invalid_request")
    fields = colours.get("/openapi.json").json()["components"]["schemas"]["ContentSearch"]["properties"]
    assert [name for name in fields if fields[name].get("deprecated")] == ["type"]


def test_entries_are_listed_by_page(colours):
    """With a limit, GET also lists entries, of all collections or of one, until there is no cursor."""
    assert colours.get("/contents").json() == {"count": 2 * len(COLOURS)}
    found, cursor = [], ""
    while cursor is not None:
        page = colours.get("/contents", params={"collection": "pictures", "limit": 3, "cursor": cursor}).json()
        found, cursor = found + page["entries"], page["cursor"]
        assert page["count"] == len(COLOURS)
    assert ids(found) == [f"picture/{colour}" for colour in COLOURS]
    assert found[0] == colours.get("/contents/picture/red").json()
    for query in ("limit=0", "limit=1001", "limit=x", "cursor=x", "collection=", f"cursor={'9' * 30}"):
        problem(colours.get(f"/contents?{query}"), 422, "invalid_request")


def test_a_collection_is_renamed_and_deleted(colours):
    """All entries move; into an existing collection only with `merge`; a missing one is 404."""
    renamed = colours.post("/contents/rename", json={"collection": "pictures", "to": "photos"})
    assert renamed.json() == {"collection": "photos", "renamed": len(COLOURS)}
    body = {"collection": "photos", "to": "default"}
    assert "has entries already" in problem(colours.post("/contents/rename", json=body), 422, "invalid_request")
    assert colours.post("/contents/rename", json=body | {"merge": True}).json()["renamed"] == len(COLOURS)
    assert colours.delete("/contents?collection=default").json() == {
        "collection": "default",
        "deleted": 2 * len(COLOURS),
    }
    assert colours.get("/contents").json() == {"count": 0}
    for response in (
        colours.delete("/contents?collection=default"),
        colours.post("/contents/rename", json={"collection": "default", "to": "b"}),
    ):
        assert "no collection 'default'" in problem(response, 404, "not_found")
    problem(colours.delete("/contents"), 422, "invalid_request")
    problem(colours.post("/contents/rename", json={"collection": "a", "to": "a"}), 422, "invalid_request")


def test_never_more_than_exist(client):
    """An empty index has no hits, a small one has all its entries."""
    assert search(client, text="red") == []
    text(client, "a", "red")
    assert ids(search(client, text="blue", k=1000)) == ["a"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"type": "image"}, {"picture/red", "picture/green", "picture/blue"}),
        ({"collection": "default"}, {"word red", "word green", "word blue"}),
        ({"collection": "no such"}, set()),
        ({"filter": {"kind": "word"}}, {"word red", "word green", "word blue"}),
        ({"filter": {"number": 1}}, {"word green", "picture/green"}),
        ({"filter": {"number": {"gte": 1, "lt": 2.5}}}, {"word green", "picture/green", "word blue", "picture/blue"}),
        ({"filter": {"number": {"gt": 1}, "kind": {"in": ["word", "other"]}}}, {"word blue"}),
        ({"filter": {"number": True}}, set()),
        ({"filter": {"number": "1"}}, set()),
        ({"filter": {"no such": 1}}, set()),
    ],
)
def test_a_search_is_narrowed(client, question, expected):
    """A search can be limited by type, collection and metadata fields."""
    for number, colour in enumerate(("red", "green", "blue")):
        text(client, f"word {colour}", colour, metadata={"number": number, "kind": "word"})
        image(client, f"picture/{colour}", colour, metadata={"number": float(number)}, collection="pictures")
    assert set(ids(search(client, text="red", **question))) == expected


@pytest.mark.parametrize("id", ["photos/2024/a b.jpg", "müsli 🥣", "a?b#c%", "x" * 200, "search", "'; --"])
def test_an_id_may_be_any_text(client, id):
    """Slashes, spaces and other special characters are part of the id."""
    assert text(client, quote(id), "red").json()["id"] == id
    assert client.get(f"/contents/{quote(id, safe='')}").json()["id"] == id
    assert ids(search(client, text="red")) == [id]
    assert client.delete(f"/contents/{quote(id)}").json() == {"id": id}


@pytest.mark.parametrize("id", ["", "x" * 201, "a%00b", "%7F"])
def test_an_id_that_is_none_is_422(client, id):
    """An id has 1 to 200 characters and no control characters."""
    assert "1 to 200 characters" in problem(text(client, id, "red"), 422, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "text"},
        {"type": "text", "text": ""},
        {"type": "text", "text": "x" * 10_001},
        {"type": "text", "text": "half \ud800"},
        {"type": "text", "text": "a", "image_data": "YQ=="},
        {"type": "image", "text": "a"},
        {"type": "image"},
        {"type": "sound", "text": "a"},
        {"type": "text", "text": "a", "thumbnail": True},
        {"type": "text", "text": "a", "collection": ""},
        {"type": "text", "text": "a", "metadata": []},
        {"type": "text", "text": "a", "metadata": {"a": "x" * 16_384}},
        {"type": "text", "text": "a", "metadata": {"a": 2**63}},
        {"type": "text", "text": "a", "metadata": {"a": float("inf")}},
        {"type": "text", "text": "a", "metadata": {"a": {"b": float("nan")}}},
        {"type": "text", "text": "a", "metadata": {"half \ud800": 1}},
        {"type": "text", "text": "a", "metadata": {"a": [[[[[[[[[1]]]]]]]]]}},
        {"type": "text", "text": "a", "other": 1},
    ],
)
def test_a_malformed_content_is_422(client, body):
    """Invalid or excessive input is refused, and nothing is stored."""
    response = client.put("/contents/a", content=json.dumps(body), headers={"Content-Type": "application/json"})
    problem(response, 422, "invalid_request")
    assert client.get("/contents").json() == {"count": 0}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "a", "id": "b"},
        {"ids": []},
        {"ids": ["a"] * 101},
        {"text": "a", "k": 0},
        {"text": "a", "k": 1001},
        {"text": "a", "k": "5"},
        {"text": "a", "filter": {"a": {}}},
        {"text": "a", "filter": {"a": {"like": "b"}}},
        {"text": "a", "filter": {"a": None}},
        {"text": "a", "filter": {"a": [1]}},
        {"text": "a", "filter": {"a": {"in": []}}},
        {"text": "a", "filter": {"a": "half \ud800"}},
        {"text": "a", "filter": {"half \ud800": 1}},
        {"text": "a", "filter": {str(n): 1 for n in range(11)}},
        {"text": "a", "collection": "half \ud800"},
        {"id": "a\u0000"},
        {"queries": []},
        {"queries": [{}]},
        {"queries": [{"text": "a", "id": "b"}]},
        {"queries": [{"text": "a", "weight": 101}]},
        {"queries": [{"text": "a", "weight": float("nan")}]},
        {"queries": [{"text": "a"}], "text": "a"},
        {"queries": [{"text": "a"}] * 21},
        {"queries": [{"text": "a", "weight": 0}]},
        {"text": "a", "min_score": 1.1},
        {"text": "a", "only": "sound"},
        {"cursor": "made up"},
        {"cursor": ""},
    ],
)
def test_a_malformed_search_is_422(client, body):
    """A search needs exactly one query, a valid k, and filters of the three forms."""
    response = client.post("/contents/search", content=json.dumps(body), headers={"Content-Type": "application/json"})
    problem(response, 422, "invalid_request")


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        (
            "PUT",
            "/contents/a",
            {"type": "text", "txt": "a"},
            "one of text, image_data, image_url is needed; found: type, txt",
        ),
        (
            "POST",
            "/contents/search",
            {"txt": "a"},
            "one of text, image_data, image_url, id, ids, queries, cursor is needed; found: txt",
        ),
        (
            "POST",
            "/contents/search",
            {"text": "a", "filter": {"year": {"get": 1}}},
            "filter.year.range: one of gte, gt, lte, lt is needed; found: get",
        ),
    ],
)
def test_a_misspelt_field_is_told_its_name(client, method, path, body, said):
    """If one of several fields is required, the message lists them and what was found."""
    assert said in problem(client.request(method, path, json=body), 422, "invalid_request")


def test_a_picture_that_is_none_is_400(client):
    """A broken picture is neither stored nor searched with."""
    problem(client.put("/contents/a", json={"type": "image", "image_data": "YWJj"}), 400, "invalid_image")
    problem(client.put("/contents/a", json={"type": "image", "image_data": "!"}), 400, "invalid_image")
    problem(client.post("/contents/search", json={"image_data": "YWJj"}), 400, "invalid_image")
    assert client.get("/contents").json() == {"count": 0}


def test_a_thumbnail_is_kept_when_asked_for(client):
    """It is an upright JPEG of at most 256 pixels a side; without a request there is none."""
    wide = as_base64(picture("red", (1024, 512)))
    answer = client.put("/contents/a/b", json={"type": "image", "image_data": wide, "thumbnail": True})
    assert answer.json()["thumbnail"] is True
    response = client.get("/thumbnails/a/b")
    assert response.headers["content-type"] == "image/jpeg"
    small = Image.open(io.BytesIO(response.content))
    assert (small.format, small.size) == ("JPEG", (256, 128))
    image(client, "a/b", "red")
    assert "without `thumbnail`" in problem(client.get("/thumbnails/a/b"), 404, "not_found")


def originals(client):
    with client.app.state.service.contents.store._database._file.reader() as reader:
        return reader.execute("SELECT picture FROM pictures").fetchall()


def test_originals_are_kept_only_when_asked_for(start, tmp_path):
    """LARDER_KEEP_PICTURES keeps the bytes that were sent."""
    client = start(keep_pictures=True)
    image(client, "a", "red")
    kept = originals(client)
    assert Image.open(io.BytesIO(kept[0][0])).size == (32, 24)
    other = start(data=tmp_path / "other")
    image(other, "a", "red")
    assert originals(other) == []


def test_without_contents_calls_are_404(start):
    """A service without contents says so."""
    client = start(contents="none")
    for response in (
        client.get("/contents"),
        text(client, "a", "red"),
        client.post("/contents/search", json={"id": "a"}),
    ):
        assert "LARDER_CONTENTS=none" in problem(response, 404, "not_found")


def test_contents_that_are_away_are_503(client):
    """Every call has Retry-After."""
    text(client, "a", "red")
    client.app.state.service.contents.store._database._writer.execute("ALTER TABLE contents RENAME TO lost")
    for response in (client.get("/contents/a"), text(client, "b", "red"), client.delete("/contents/a")):
        problem(response, 503, "store_unavailable")
        assert response.headers["retry-after"] == "5"


def test_contents_outlive_the_service(start):
    """After a restart with the same folder, acknowledged entries are found."""
    text(start(), "a", "red", metadata={"n": 1})
    assert search(start(), text="red", filter={"n": 1})[0]["id"] == "a"


def test_a_score_is_a_cosine(client):
    """An entry's score with itself is at most 1, though float16 vectors may be a little longer."""
    pictures = [as_base64(Image.new("RGB", (8, 8), (17 * n % 256, 91 * n % 256, 200 - n))) for n in range(40)]
    for n, image_data in enumerate(pictures):
        client.put(f"/contents/{n}", json={"type": "image", "image_data": image_data})
    scores = [search(client, image_data=image_data, k=1)[0]["score"] for image_data in pictures]
    assert min(scores) == pytest.approx(1, abs=1e-3)
    assert max(scores) <= 1


def test_a_long_text_is_told_the_bound(client):
    """The bound is in characters, as in the OpenAPI document."""
    assert "text: String should have at most 10000 characters" in problem(
        text(client, "a", "x" * 10_001), 422, "invalid_request"
    )
