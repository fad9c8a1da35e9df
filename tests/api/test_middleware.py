"""The middlewares for every request: ids, headers, bodies, the origins of pages."""

import gzip
import json
import re
import socket

import pytest

from tests.api.test_process_image import post, problem
from tests.conftest import wait_until


@pytest.fixture
def guarded(start):
    return start(api_keys="first, second")


def test_a_body_is_not_read_without_a_key(guarded):
    """The key is checked before the body is read."""
    problem(post(guarded, image_data="A" * 11_000_000), 401, "unauthorized")


def test_health_needs_no_key(guarded):
    """Load balancers have no key."""
    assert guarded.get("/").status_code == 200
    assert guarded.get("/livez").status_code == 200


def test_without_keys_it_is_open(client):
    """If no keys are set, none are required."""
    assert client.get("/labels", headers={"x-api-key": "any"}).status_code == 200


def test_keys_are_changed_without_a_restart(start, tmp_path):
    """A key added to the file is accepted within a second, and a removed one is rejected."""
    (tmp_path / "keys").write_text("old\n")
    client = start(api_keys_file=tmp_path / "keys")
    assert client.get("/labels", headers={"x-api-key": "old"}).status_code == 200
    (tmp_path / "keys").write_text("new-one\n")
    wait_until(lambda: client.get("/labels", headers={"x-api-key": "new-one"}).status_code == 200)
    assert client.get("/labels", headers={"x-api-key": "old"}).status_code == 401


def test_every_answer_tells_browsers_to_keep_out(client):
    """Answers and errors are not to be framed, sniffed, cached or run; /docs runs scripts of the service alone."""
    for path in ("/", "/labels", "/nothing", "/docs"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert ("script-src 'self'" in headers["content-security-policy"]) is (path == "/docs")


def test_pages_of_the_named_origins_may_call(start):
    """A preflight is answered without a key, only for the origins of the setting."""
    client = start(cors="https://example.org, http://localhost:3000", api_keys="k")
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    response = client.options("/process-image", headers=ask | {"origin": "http://localhost:3000"})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
    other = client.options("/process-image", headers=ask | {"origin": "https://else.org"})
    assert "access-control-allow-origin" not in other.headers
    refused = client.get("/labels", headers={"origin": "https://example.org"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://example.org"
    assert "access-control-allow-origin" not in client.get("/labels", headers={"origin": "https://else.org"}).headers


def test_a_wrong_method_is_told_the_right_ones(client):
    """Allow names every method of the path, not those of its first route."""
    response = client.post("/pantry/rice")
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "PUT", "DELETE"}
    assert client.post("/docs").headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/process-image/", "//process-image", "/pantry/", "/Labels"])
def test_a_path_that_is_nearly_right_is_none(client, path):
    """A path with an extra slash is 404, without a redirect to an address unknown to a proxy."""
    response = client.post(f"http://testserver{path}", json={})
    assert problem(response, 404, "not_found") == f"there is no {path}"


@pytest.mark.parametrize("path", ["/", "/livez"])
def test_monitors_may_ask_for_the_head_alone(client, path):
    """HEAD has the status and the headers of GET."""
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.headers["content-type"]) == (200, get.headers["content-type"])


@pytest.mark.parametrize(
    "body", [b'{"image_data": "\xff"}', b"\x80", b"[" * 100_000, b'{"top_k": 1' + b"0" * 5000 + b"}"]
)
def test_json_that_cannot_be_read_is_told_what_can(client, body):
    """Invalid UTF-8, deep nesting and long numbers are errors that name the limits."""
    response = client.post("/process-image", content=body, headers={"Content-Type": "application/json"})
    assert "invalid JSON: expected UTF-8" in problem(response, 422, "invalid_request")


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/plain"}, {"Content-Type": "image/jpeg"}])
def test_json_has_to_say_that_it_is(client, headers):
    """Otherwise a page of another origin could send it; the error names the header."""
    response = client.post("/pantry/rice/add", content=b'{"quantity": 2}', headers=headers)
    assert "send Content-Type: application/json" in problem(response, 422, "invalid_request")


@pytest.mark.parametrize("path", ["/process-image", "/mv_retrieval/v0.1/add_content?id=a&type=text"])
def test_a_compressed_body_is_refused(client, path):
    """Every compressed form is named in the error instead of being parsed as broken JSON or text."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = client.post(path, content=gzip.compress(b"{}"), headers=headers)
    assert "Content-Encoding: 'gzip' was found" in problem(response, 422, "invalid_request")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/process-image", {"image_data": "URL"}),
        ("/process-image", {"images": ["URL", "URL"]}),
        ("/classify", {"image_data": "URL", "labels": ["red", "blue"]}),
        ("/v1/embeddings", {"input": [{"text": "red", "image": "x/URL"}]}),
        ("/models/colours", {"inputs": "URL", "parameters": {"candidate_labels": ["red", "blue"]}}),
        ("/contents/search", {"image_data": "URL"}),
        ("/pantry/rice/examples", {"images": ["URL"]}),
    ],
)
def test_an_address_is_no_picture(client, path, body):
    """A URL is not base64 and is not fetched: the service gives no access to its network."""
    with socket.create_server(("127.0.0.1", 0)) as bait:
        bait.settimeout(0.05)
        url = f"http://127.0.0.1:{bait.getsockname()[1]}/a.jpg"
        response = client.post(path, json=json.loads(json.dumps(body).replace("URL", url)))
        problem(response, 400, "invalid_image")
        with pytest.raises(TimeoutError):
            bait.accept()


def test_behind_a_proxy_the_documentation_has_its_addresses(client):
    """A prefix that a proxy strips is in the addresses of the pages and of the calls; anything else is no prefix."""
    behind = {"x-forwarded-prefix": "/api"}
    assert "'/api/openapi.json'" in client.get("/docs", headers=behind).text
    assert client.get("/openapi.json", headers=behind).json()["servers"] == [{"url": "/api"}]
    for wrong in ("//else.org", "/a/", "https://else.org", "/<script>"):
        assert "'/openapi.json'" in client.get("/docs", headers={"x-forwarded-prefix": wrong}).text
    assert "servers" not in client.get("/openapi.json").json()


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc"])
def test_a_prefix_only_shapes_addresses(client, path):
    """A prefix that is itself the path, or a path of another call, changes neither the route nor the key's need."""
    for prefix in (path, "/docs", "/livez", "/labels"):
        response = client.get(path, headers={"x-forwarded-prefix": prefix})
        assert response.status_code == 200
        assert f"{prefix}/openapi.json" in response.text or f'"{prefix}"' in response.text


def test_client_libraries_may_add_headers(start):
    """A preflight may ask for any request header: tracing, and what OpenAI's client says of itself."""
    client = start(cors="http://localhost:5173")
    names = "authorization,content-type,x-stainless-os,traceparent,sentry-trace,x-requested-with"
    ask = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
    response = client.options("/v1/embeddings", headers=ask | {"access-control-request-headers": names})
    assert response.status_code == 200
    assert response.headers["access-control-allow-headers"] == names


def test_every_answer_can_be_read_by_the_pages_that_may_call(start):
    """Internal errors, refusals of every middleware and unknown paths have the CORS header and the request's id."""
    client = start(cors="https://example.org", max_body=2000, hosts="testserver")
    page = {"origin": "https://example.org"}

    def broken():
        raise RuntimeError("broken")

    client.app.state.service.pantry.store.items = broken
    big = {"content": b"x" * 3000, "headers": page}
    answers = {
        500: client.get("/pantry", headers=page),
        403: client.get("/labels", headers=page | {"host": "evil.example"}),
        413: client.post("/process-image", **big),
        404: client.get("/nothing", headers=page),
        422: client.get("/pantry/half%2Fhalf", headers=page),
    }
    client.app.state.service.draining = True
    answers[503] = client.get("/labels", headers=page)
    for status, response in answers.items():
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == "https://example.org"
        assert "X-Request-ID" in response.headers["access-control-expose-headers"]
        assert response.headers["x-request-id"]


def test_without_the_setting_no_page_may_call(client):
    """There is no CORS header by default."""
    response = client.get("/labels", headers={"origin": "https://example.org"})
    assert not [name for name in response.headers if name.startswith("access-control")]


def test_a_broken_label_file_does_not_keep_an_old_key(start, settings, tmp_path):
    """Keys and labels are polled independently."""
    (tmp_path / "keys").write_text("old\n")
    client = start(api_keys_file=tmp_path / "keys")
    settings.labels.unlink()
    (tmp_path / "keys").write_text("new\n")
    wait_until(lambda: client.get("/labels", headers={"x-api-key": "old"}).status_code == 401)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_reference_needs_neither_key_nor_network(start, path):
    """The pages load everything from the service, and open in a browser although keys are set."""
    client = start(api_keys="k")
    page = client.get(path)
    assert page.status_code == 200
    addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page.text)
    assert len(addresses) >= 2
    for address in addresses:
        assert address.startswith("/static-offline-docs/")
        assert client.get(address).status_code == 200
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/labels").status_code == 401
