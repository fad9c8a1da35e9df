"""JSON bodies: bounded before parsing, rejected at the first wrong element, and null counts as absent."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.media_types import MAX_ELEMENTS, check_structure
from app.errors import InvalidRequest
from tests.api.test_process_image import problem
from tests.fakes import as_base64, picture

RED = as_base64(picture("red"))

MANY = 9_000  # elements: below the bound on a body, so that validation sees them

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='",\\[]{}:ab\n'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='",\\a'), inner, max_size=4),
    max_leaves=20,
)


def commas_between_elements(value: object) -> int:
    """A slow reference count of the separators of elements."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return max(len(inside) - 1, 0) + sum(map(commas_between_elements, inside))


def refused(body, most=MAX_ELEMENTS):
    """Return why the structure of a JSON body is rejected; empty if it is not."""
    try:
        check_structure("application/json", body, most)
    except InvalidRequest as error:
        return str(error)
    return ""


@given(JSON_VALUES, st.integers(1, 6), st.booleans())
def test_elements_are_counted_outside_of_strings(value, most, ascii_only):
    """Commas within texts, escaped quotes and backslashes do not count."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert ("elements" in refused(body, most)) == (commas_between_elements(value) >= most)


@given(st.text(alphabet='"\\,1[]{}:nu0 '), st.text(alphabet='",\\[]1 '))
def test_what_is_no_json_is_counted_as_far_as_it_is_parsed(text, end):
    """Quotes and backslashes cannot hide elements that the parser would read."""
    body = (json.dumps([text] * 3)[:-1] + ", 1, 2, 3" + end).encode()
    assert refused(body, most=5)


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-32"])
def test_json_is_in_utf_8(client, coding):
    """In UTF-16 an escaped quote would confuse the scan for strings."""
    body = '{"text": "\\"", "filter": {"a": {"in": [' + "1," * 100_000 + "1]}}}"
    answer = client.post("/contents/search", content=body.encode(coding), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b'"",' * 100_000, b'""' * 200_000, b"," * 100_000, b'"' * 200_000])
def test_strings_and_commas_without_an_end_are_refused(body):
    """A body of nothing but strings is rejected too."""
    assert "too many" in refused(body, most=1000)


@pytest.mark.parametrize(
    "number", ["9" * 4299, "-" + "9" * 4299, "9" * 100_000, "0." + "3" * 4299, "9" * 300 + "e-300", "1" + " " * 4299]
)
def test_numbers_of_many_digits_are_bounded_together(client, number):
    """Two megabytes are refused before the parser sees them, which takes 0.1 ms for an integer of 4,299 digits."""
    few, many = (
        f'{{"image_data": "x", "top_k": [{",".join([number] * times)}]}}' for times in (2, 2_000_000 // len(number))
    )
    headers = {"Content-Type": "application/json"}
    problem(client.post("/process-image", content=few, headers=headers), 422, "invalid_request")
    message = problem(client.post("/process-image", content=many, headers=headers), 422, "invalid_request")
    assert "too much beside its strings: at most 524,288 bytes" in message


def test_a_picture_with_escaped_slashes_is_no_structure():
    r"""Some clients write every slash as `\/`; nothing of a string counts, however long it is."""
    body = json.dumps({"image_data": RED + "A" * 1_000_000 + "//"}).replace("/", "\\/").encode()
    assert refused(body) == ""


@pytest.mark.parametrize(
    ("path", "head", "element", "end"),
    [
        ("/classify", '{"image_data": "x", "labels": [', "1,", "1]}"),
        ("/classify", '{"image_data": "x", "labels": ["a",', "[],", "[]]}"),
        ("/models/colours", '{"inputs": "x", "parameters": {"candidate_labels": [', "1,", "1]}}"),
        ("/v1/embeddings", '{"input": [', "null,", "null]}"),
        ("/process-image", '{"images": [', "1,", "1]}"),
        ("/contents/search", '{"ids": [', "1,", "1]}"),
        ("/contents/search", '{"text": "a", "filter": {"a": {"in": [', "[],", "[]]}}}"),
    ],
)
@pytest.mark.parametrize("elements", [MANY, 10 * MAX_ELEMENTS])
def test_wrong_elements_cost_no_error_each(client, path, head, element, end, elements):
    """Of any number of wrong elements one is reported, and memory is bounded by the parsed body."""
    body = (head + element * elements + end).encode()
    tracemalloc.start()
    try:
        response = client.post(path, content=body, headers={"Content-Type": "application/json"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.status_code == 422
    assert len(response.json()["detail"]) < 1000
    assert peak < 20 * len(body) + 2**23


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/pantry/x/add", {}),
        ("PUT", "/pantry/x", {"count": 1}),
        ("POST", "/classify", {"image_data": "x", "labels": ["a"]}),
        ("POST", "/feedback", {"request_id": "x", "item": "a"}),
        ("POST", "/process-image", {"image_data": "x"}),
        ("POST", "/contents/search", {"text": "a"}),
    ],
)
def test_many_unknown_fields_are_one_error(client, method, path, body):
    """The error names three of them and counts the others."""
    response = client.request(method, path, json=body | {f"field{place}": 0 for place in range(MANY)})
    assert "9,000 unknown fields: field0, field1, field2, ..." in problem(response, 422, "invalid_request")


def test_one_unknown_field_is_named(client):
    """A misspelt field is reported as before."""
    message = problem(client.put("/pantry/x", json={"quantity": 3}), 422, "invalid_request")
    assert "count: Field required" in message
    assert "quantity: Extra inputs are not permitted" in message


def test_wrong_values_of_a_map_stop_at_the_first(client):
    """This holds for labels with non-string categories, and for a filter with too many fields."""
    body = {"image_data": "x", "labels": {f"label{place}": 0 for place in range(MANY)}}
    assert "labels.map: 'label0' has a value" in problem(client.post("/classify", json=body), 422, "invalid_request")
    body = {"text": "a", "filter": {f"field{place}": [] for place in range(MANY)}}
    assert "filter: 9,000 fields were found; at most 10 are accepted" in problem(
        client.post("/contents/search", json=body), 422, "invalid_request"
    )


def test_a_text_full_of_commas_is_no_list(client):
    """Only separators of elements count, so a long text is limited only by its own bound."""
    body = {"type": "text", "text": "," * (MAX_ELEMENTS + 1)}
    assert "text: String should have at most 10000" in problem(
        client.put("/contents/a", json=body), 422, "invalid_request"
    )


@pytest.mark.parametrize(
    ("method", "path", "required", "optional"),
    [
        ("POST", "/process-image", {"image_data": RED}, ["images", "regions", "top_k", "threshold", "tiles"]),
        ("POST", "/process-image", {"images": [RED] * 2}, ["image_data", "pantry_update"]),
        ("POST", "/classify", {"image_data": RED, "labels": ["red"]}, ["template", "mode", "none_of_these"]),
        ("POST", "/v1/embeddings", {"input": ["red"]}, ["encoding_format", "modality", "dimensions", "model", "user"]),
        ("POST", "/pantry/red/add", {}, ["quantity"]),
        ("PUT", "/contents/a", {"type": "text", "text": "red"}, ["image_data", "metadata", "collection", "thumbnail"]),
        ("POST", "/contents/search", {"text": "red"}, ["id", "ids", "k", "type", "collection", "filter"]),
    ],
)
def test_null_is_absent(client, method, path, required, optional):
    """An optional field that is null answers as if it had not been sent."""
    without = client.request(method, path, json=required)
    assert without.status_code < 300
    response = client.request(method, path, json=required | dict.fromkeys(optional))
    assert response.status_code in (without.status_code, 200)


def test_null_in_hugging_faces_form_is_absent(client):
    """The template's default is used."""
    parameters = {"candidate_labels": ["red", "blue"], "hypothesis_template": None}
    response = client.post("/models/colours", json={"inputs": RED, "parameters": parameters})
    assert response.json()[0]["label"] == "red"


@pytest.mark.parametrize("body", [{"image_data": None}, {"image_data": None, "top_k": 3}, {"images": None}])
def test_null_is_nothing_that_is_needed(client, body):
    """A required field that is null is missing."""
    assert "one of image_data, image_url, images is needed" in problem(
        client.post("/process-image", json=body), 422, "invalid_request"
    )


def test_more_labels_may_come_where_the_setting_allows_them(start):
    """The bound on elements grows with LARDER_MAX_LABELS, so allowed labels are not rejected as too many."""
    labels = {f"label {place}": "category" for place in range(MAX_ELEMENTS + 1)}
    body = {"image_data": RED, "labels": labels}
    assert "10,001 labels were sent" in problem(start().post("/classify", json=body), 422, "invalid_labels")
    body["labels"] |= {f"more {place}": "category" for place in range(MAX_ELEMENTS)}
    assert "elements" in problem(start().post("/classify", json=body), 422, "invalid_request")
    many = start(max_labels=20_000).post("/classify", json=body)
    assert "20,001 labels were sent" in problem(many, 422, "invalid_labels")
