"""`image_url` instead of `image_data`, in every call that takes a picture."""

import pytest

from app.settings import Settings
from tests.api.test_process_image import problem
from tests.fakes import as_base64, as_bytes, picture
from tests.serving.test_image_fetcher import Site


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


@pytest.fixture
def fetching(start):
    return start(image_urls=("127.0.0.1",), keep_pictures=True)


def red(site: Site) -> str:
    return f"http://127.0.0.1:{site.port}/red.png"


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "/process-image", {}),
        ("POST", "/process-image", {"tiles": "auto"}),
        ("POST", "/classify", {"labels": ["red", "blue"]}),
        ("PUT", "/contents/a", {"type": "image", "thumbnail": True}),
        ("POST", "/contents/search", {"k": 1}),
    ],
)
def test_a_picture_at_a_url_is_answered_as_its_bytes_are(fetching, site, method, path, fields):
    """The answer is the same as for the picture's bytes."""
    by_url = fetching.request(method, path, json=fields | {"image_url": red(site)})
    as_data = fetching.request(method, path, json=fields | {"image_data": as_base64(picture("red"))})
    assert by_url.is_success, by_url.text
    assert by_url.json() == as_data.json()


def test_queries_within_a_search_may_be_at_urls(fetching, site):
    """Each of several query pictures is fetched."""
    fetching.put("/contents/a", content=as_bytes(picture("red")))
    queries = [{"image_url": red(site)}, {"text": "red", "weight": 0.5}, {"image_url": red(site), "weight": -0.1}]
    hits = fetching.post("/contents/search", json={"queries": queries}).json()["hits"]
    assert [hit["id"] for hit in hits] == ["a"]


def test_an_item_is_taught_by_pictures_at_urls(fetching, site):
    """URLs work together with sent pictures, or without any."""
    path, data = "/pantry/brick/examples", as_base64(picture("red"))
    assert len(fetching.post(path, json={"images": [data], "image_urls": [red(site)]}).json()["examples"]) == 2
    assert len(fetching.post(path, json={"image_urls": [red(site)]}).json()["examples"]) == 1
    form = {"files": {"image": as_bytes(picture("red"))}, "data": {"image_urls": f'["{red(site)}"]'}}
    assert len(fetching.post(path, **form).json()["examples"]) == 2
    for body, words in (
        ({"image_urls": [red(site)] * 20, "images": [data] * 20}, "40 images were found; 1 to 32 are accepted"),
        ({"image_urls": [], "images": []}, "0 images were found"),
        ({"image_urls": ["ftp://example.org/a.jpg"]}, "http"),
        ({"image_urls": [7]}, "image_urls"),
        ({}, "one of images, image_urls is needed"),
    ):
        assert words in problem(fetching.post(path, json=body), 422, "invalid_request")


def test_what_was_fetched_is_kept_where_pictures_are(fetching, site):
    """Feedback stores the fetched bytes."""
    request_id = fetching.post("/process-image", json={"image_url": red(site)}).headers["x-request-id"]
    answer = fetching.post("/feedback", json={"request_id": request_id, "item": "red"}).json()
    assert answer["pictures_kept"] == 1


def test_it_is_off_by_default(client, site):
    """The request is rejected with a message."""
    before = len(site.seen)
    message = problem(client.post("/process-image", json={"image_url": red(site)}), 422, "invalid_request")
    assert "LARDER_IMAGE_URLS" in message
    assert len(site.seen) == before


def test_one_picture_is_one_picture(fetching, site):
    """A URL with data, a URL with frames, and no picture at all are rejected."""
    image = as_base64(picture("red"))
    for fields in ({"image_data": image}, {"images": [image, image]}):
        problem(fetching.post("/process-image", json={"image_url": red(site)} | fields), 422, "invalid_request")
    for body in ({"image_url": None}, {"image_url": ""}, {"image_url": 7}, {}):
        problem(fetching.post("/process-image", json=body), 422, "invalid_request")
        problem(fetching.post("/classify", json={"labels": ["a", "b"]} | body), 422, "invalid_request")


def test_a_data_uri_is_a_url_as_well(client):
    """OpenAI's clients send data URIs; nothing is fetched."""
    uri = f"data:image/png;base64,{as_base64(picture('blue'))}"
    assert client.post("/process-image", json={"image_url": uri}).json()["item"] == "blue"


def test_errors_are_those_of_pictures(fetching, site):
    """Missing files, files that are not pictures, and forbidden URLs are refused."""
    base = f"http://127.0.0.1:{site.port}"
    problem(fetching.post("/process-image", json={"image_url": f"{base}/missing"}), 400, "invalid_image")
    problem(fetching.post("/process-image", json={"image_url": "http://127.0.0.2/"}), 422, "invalid_request")
    problem(fetching.post("/process-image", json={"image_url": f"{base}/endless"}), 413, "image_too_large")


def test_no_url_is_logged(fetching, site, capfd):
    """Neither a working nor a failing URL is logged, since it may contain a token."""
    for path in ("red.png?token=hunter2", "missing?token=hunter2", "to/http://10.0.0.1/?token=hunter2"):
        fetching.post("/process-image", json={"image_url": f"http://127.0.0.1:{site.port}/{path}"})
    assert "hunter2" not in "".join(capfd.readouterr())


def test_a_repeated_change_is_the_same_though_the_picture_is_not(fetching, site):
    """A camera's URL returns a new picture each time; an idempotency key covers the URL."""
    body = {"image_url": red(site), "pantry_update": {"operation": "add"}}
    answers = [fetching.post("/process-image", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [each.json()["pantry"]["count"] for each in answers] == [1, 1]


def test_the_setting_names_hosts_prefixes_and_networks(start):
    """Any other value of the setting stops the start."""
    assert start(image_urls=("*", "*.example.org:8080", "https://example.org/a/", "10.0.0.0/8", "fd00::/8"))
    for value in ("http://user@example.org/", "ftp://example.org", "exa mple", "10.0.0.0/99", "https://", "a/b"):
        with pytest.raises(ValueError, match="host names, URL prefixes|does not appear"):
            Settings(image_urls=value)
