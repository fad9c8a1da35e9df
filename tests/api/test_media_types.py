"""Bodies by media type: the handler sees the same request for JSON, raw pictures and forms."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.forms import MAX_PARTS, read_form
from app.api.media_types import read_options
from app.api.schemas.recognition import Classify, ProcessImage
from app.api.schemas.search import ContentSearch
from app.errors import InvalidRequest
from tests.api.test_process_image import problem
from tests.fakes import as_bytes, picture

RED, BLUE = as_bytes(picture("red")), as_bytes(picture("blue"))
FILE = 'Content-Disposition: form-data; name="image"; filename="a.png"'
FIELD = 'Content-Disposition: form-data; name="regions"'
CALLS = [
    ("POST", "/process-image", {"top_k": 2, "threshold": 0.5}),
    ("POST", "/process-image", {"regions": [[0, 0, 8, 8], [4, 4, 20, 20]]}),
    ("POST", "/process-image", {"tiles": "auto"}),
    ("POST", "/process-image", {"pantry_update": {"operation": "add", "quantity": 0}}),
    ("POST", "/classify", {"labels": ["red", "blue"], "mode": "independent", "template": "a {}"}),
    ("POST", "/classify", {"labels": {"red": "warm", "blue": "cold"}, "none_of_these": True}),
    ("POST", "/classify", {"labels": "red"}),
    ("POST", "/contents/search", {"k": 1, "filter": {"shelf": {"gte": 1}}}),
    ("PUT", "/contents/shelf/1", {"type": "image", "metadata": {"shelf": 2}, "thumbnail": True}),
]


def as_text(value: object) -> str:
    """Return a field in the form of a query parameter or form field."""
    return value if isinstance(value, str) else json.dumps(value)


def multipart(*parts: tuple[str, bytes], boundary: bytes = b"edge") -> bytes:
    """A body of parts, each with its headers and its data."""
    lines = [b"--" + boundary + b"\r\n" + headers.encode() + b"\r\n\r\n" + data + b"\r\n" for headers, data in parts]
    return b"".join(lines) + b"--" + boundary + b"--\r\n"


def send_form(client, body: bytes, boundary: str = "edge"):
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return client.post("/process-image", content=body, headers=kind)


@pytest.mark.parametrize(("method", "path", "fields"), CALLS)
def test_raw_and_multipart_are_answered_as_json_is(client, method, path, fields):
    """The same picture and fields get the same answer or error for every media type."""
    texts = {name: as_text(value) for name, value in fields.items()}
    as_json = client.request(method, path, json=fields | {"image_data": base64.b64encode(RED).decode()})
    raw = client.request(method, path, content=RED, params=texts)
    form = client.request(method, path, files={"image": RED}, data=texts)
    for each in (raw, form):
        assert each.status_code in (as_json.status_code, as_json.status_code - 1)  # 201 once, 200 when put again
        assert each.json().get("detail") == as_json.json().get("detail")
        assert as_json.is_error or each.json() == as_json.json()


@pytest.mark.parametrize(
    "media_type", ["image/png", "image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded", None]
)
def test_a_picture_is_told_by_its_content(client, media_type):
    """A picture is detected with curl's media type for `--data-binary`, and without any."""
    headers = {"Content-Type": media_type} if media_type else {}
    assert client.post("/process-image", content=BLUE, headers=headers).json()["item"] == "blue"


@pytest.mark.parametrize("kind", ["HEIC", "AVIF", "WEBP", "GIF", "BMP", "JPEG"])
def test_every_format_is_taken_as_it_is(client, kind):
    """Raw pictures work without a media type, with a wrong one, and in a form."""
    data = as_bytes(picture("blue"), kind)
    for way in (
        {"content": data},
        {"content": data, "headers": {"Content-Type": "image/jpeg"}},
        {"files": {"image": data}},
    ):
        assert client.post("/process-image", **way).json()["item"] == "blue"


def test_a_body_that_claims_to_be_a_picture_is_judged_as_one(client):
    """A body with an image media type is 400 if it is no picture, and 415 if its format is not accepted."""
    for media_type in ("image/jpeg", "application/octet-stream"):
        headers = {"Content-Type": media_type}
        problem(client.post("/process-image", content=b'{"a": 1}', headers=headers), 400, "invalid_image")
        problem(client.post("/process-image", content=b"%PDF-1.7", headers=headers), 415, "unsupported_image")
    problem(client.post("/process-image", content=b"", headers=headers), 400, "invalid_image")
    problem(client.post("/process-image", content=b"hello"), 422, "invalid_request")
    problem(client.post("/process-image", content=b"%PDF-1.7"), 415, "unsupported_image")


def test_several_files_are_several_pictures(client):
    """They are frames of one thing, or examples; one file is one picture under either name."""
    files = [("images", RED), ("images", RED), ("image", BLUE)]
    answer = client.post("/process-image", files=files).json()
    assert (answer["item"], answer["frames"]["used"]) == ("red", [True, True, False])
    assert "frames" not in client.post("/process-image", files=[("images", RED)]).json()
    assert len(client.post("/pantry/rice/examples", files=files).json()["examples"]) == 3
    assert len(client.post("/pantry/rice/examples", content=BLUE).json()["examples"]) == 1
    assert "3 images were found; one is" in problem(
        client.post("/classify", files=files, data={"labels": ["red", "blue"]}), 422, "invalid_request"
    )


def test_an_update_of_the_pantry_happens_once(client):
    """An idempotency key covers the picture's raw bytes as it covers their base64."""
    send = {"content": RED, "params": {"pantry_update": '{"operation": "add"}'}, "headers": {"Idempotency-Key": "k"}}
    assert [client.post("/process-image", **send).json()["pantry"]["count"] for _ in range(2)] == [1, 1]
    problem(
        client.post("/process-image", **send | {"content": as_bytes(picture("red", (9, 9)))}), 422, "invalid_request"
    )


def test_pictures_are_kept_as_they_came(start):
    """Contents and feedback store the bytes of a raw body."""
    client = start(keep_pictures=True)
    assert client.put("/contents/a", content=RED).status_code == 201
    request_id = client.post("/process-image", content=RED).headers["x-request-id"]
    feedback = client.post("/feedback", json={"request_id": request_id, "item": "red"}).json()
    assert (feedback["right"], feedback["pictures_kept"]) == (True, 1)


def test_misspelt_fields_are_refused(client):
    """An unknown parameter, an unknown file and a repeated field are rejected as in JSON."""
    assert "topk" in problem(client.post("/process-image?topk=3", content=RED), 422, "invalid_request")
    assert "called image" in problem(client.post("/process-image", files={"photo": RED}), 422, "invalid_request")
    twice = client.post("/process-image?top_k=3&top_k=4", content=RED)
    assert "top_k: 2 values were found; one is accepted" in problem(twice, 422, "invalid_request")
    nothing = send_form(client, multipart((FILE.replace("a.png", ""), b""), (FIELD, b"[[0, 0, 1, 1]]")))
    assert "one of image_data, image_url, images is needed" in problem(nothing, 422, "invalid_request")


@pytest.mark.parametrize(
    ("model", "sent", "read"),
    [
        (ProcessImage, [("top_k", "3"), ("threshold", "0.5"), ("tiles", "auto")], {"top_k": 3, "threshold": 0.5}),
        (ProcessImage, [("regions", "[0, 0]"), ("regions", "[1, 1]")], {"regions": [[0, 0], [1, 1]]}),
        (ProcessImage, [("top_k", "three")], {"top_k": "three"}),
        (Classify, [("labels", "1"), ("labels", "true")], {"labels": ["1", "true"]}),
        (Classify, [("labels", '["a", "b"]'), ("template", "[1]")], {"labels": ["a", "b"], "template": "[1]"}),
        (Classify, [("labels", '{"a": "b"}'), ("template", "{}")], {"labels": {"a": "b"}, "template": "{}"}),
        (Classify, [("none_of_these", "true")], {"none_of_these": True}),
        (ContentSearch, [("text", "12"), ("filter", '{"a": 1}')], {"text": "12", "filter": {"a": 1}}),
        (ContentSearch, [("other", "12")], {"other": "12"}),
    ],
)  # fmt: skip
def test_a_text_is_parsed_where_the_field_is_no_text(model, sent, read):
    """Numbers, lists and objects are JSON; texts are word for word; a list may come value by value."""
    found = read_options(sent, model)
    assert {name: found[name] for name in read} == read


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_pass_through_a_form(data, more):
    """A part has exactly the bytes that were sent, including line breaks and hyphens."""
    parts = [(FILE, b"-" + data), (FILE.replace("image", "images"), b"-" + more)]
    body = multipart(*parts, boundary=b"a.boundary.that.is.long")
    assert read_form(body, b"a.boundary.that.is.long") == ([b"-" + data, b"-" + more], [])


BROKEN = {
    "no boundary": (multipart((FILE, RED)), ""),
    "a long boundary": (multipart((FILE, RED)), "x" * 71),
    "another boundary": (multipart((FILE, RED)), "another"),
    "cut short": (multipart((FILE, RED))[:-10], "edge"),
    "cut within a header": (b"--edge\r\nContent-Dispo", "edge"),
    "nothing": (b"\r\n", "edge"),
    "no name": (multipart(("Content-Disposition: form-data", RED)), "edge"),
    "no disposition": (multipart(("X: y", RED)), "edge"),
    "base64": (multipart((FILE + "\r\nContent-Transfer-Encoding: base64", b"YQ==")), "edge"),
    "a text that is none": (multipart(('Content-Disposition: form-data; name="tiles"', b"\xff")), "edge"),
    "many headers": (multipart(("\r\n".join([FILE, *["X: y"] * 100]), RED)), "edge"),
    "a long header": (multipart((f"{FILE}\r\nX: {'y' * 100_000}", RED)), "edge"),
    "many semicolons": (multipart((f'{FILE}; x="{";" * 3000}"', RED)), "edge"),
    "many semicolons in the boundary": (multipart((FILE, RED)), f'"{";" * 60_000}"'),
    "many parts": (multipart(*[(FILE, b"")] * 100_000), "edge"),
    "many boundaries": (b"--edge\r\n" * 100_000, "edge"),
    "padding": (b"--edge\r\n" + FILE.encode() + b"\r\n\r\nx\r\n--edge" + b" " * 1_000_000, "edge"),
    "almost boundaries": (multipart((FILE, b"\r\n--edgy\r\n--edge." * 100_000)), "edge"),
    "deep JSON": (multipart((FIELD, b"[" * 100_000), (FILE, RED)), "edge"),
    "much JSON": (multipart((FIELD, b"[1" + b",1" * 90_000), (FILE, RED)), "edge"),
}  # fmt: skip


@pytest.mark.parametrize("why", BROKEN)
def test_broken_forms_are_refused(client, why):
    """They are 422 with a message, before the slow parser sees them."""
    problem(send_form(client, *BROKEN[why]), 422, "invalid_request")


def test_a_form_has_a_bound_on_its_parts():
    """The bound is higher than any call needs."""
    form = ('Content-Disposition: form-data; name="labels"', b"x")
    assert len(read_form(multipart(*[form] * MAX_PARTS), b"edge")[1]) == MAX_PARTS
    with pytest.raises(InvalidRequest, match="more than 64 parts"):
        read_form(multipart(*[form] * (MAX_PARTS + 1)), b"edge")


def test_limits_are_those_of_json(start):
    """The limits on body bytes, pixels and list elements apply."""
    client = start(max_body=2000, max_pixels=600)
    problem(client.post("/process-image", content=RED), 413, "image_too_large")
    problem(client.post("/process-image", files={"image": RED}), 413, "image_too_large")
    problem(client.post("/process-image", content=RED + b"\0" * 2000), 413, "image_too_large")
    problem(client.post("/process-image", content=RED, headers={"X-Request-Timeout": "0"}), 422, "invalid_request")


def test_routes_without_pictures_take_json_alone(client):
    """They reject a raw picture."""
    problem(client.post("/feedback", content=RED), 422, "invalid_request")
    problem(client.put("/pantry/rice", content=RED), 422, "invalid_request")


def test_the_document_names_every_media_type(client):
    """Each call that takes a picture says so, with its fields as query parameters and as form fields."""
    paths = client.get("/openapi.json").json()["paths"]
    for method, path in {("post", "/pantry/{item}/examples"), ("put", "/contents/{id}")} | {
        (method.lower(), path) for method, path, _ in CALLS if method == "POST"
    }:
        operation = paths[path][method]
        content = operation["requestBody"]["content"]
        assert set(content) == {"application/json", "image/*", "application/octet-stream", "multipart/form-data"}
        form = set(content["multipart/form-data"]["schema"]["properties"]) - {"image", "images"}
        assert {each["name"] for each in operation["parameters"] if each["in"] == "query"} == form
