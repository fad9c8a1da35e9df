"""`POST /contents/duplicates` and `GET /jobs/{id}`."""

import pytest

from tests.api.test_contents import image, text
from tests.api.test_process_image import problem
from tests.conftest import wait_until
from tests.fakes import COLOURS, as_base64, picture


def finished(client, **body):
    """Return the job once it is done."""
    job = client.post("/contents/duplicates", json=body).json()
    wait_until(lambda: client.get(f"/jobs/{job['job']}").json()["status"] == "done")
    return client.get(f"/jobs/{job['job']}").json()


@pytest.fixture
def photos(client):
    """Store red in two sizes, the same blue twice, and a green text."""
    for id, colour, size in (("small", "red", (32, 24)), ("large", "red", (64, 48)), ("other", "blue", (32, 24))):
        body = {"type": "image", "image_data": as_base64(picture(colour, size)), "thumbnail": True}
        client.put(f"/contents/{id}", json=body)
    image(client, "again", "blue", collection="more")
    text(client, "note", "green")
    return client


def test_groups_and_what_to_keep(photos):
    """Each group lists the entry to keep first, with the facts of its file, and the reason."""
    job = finished(photos)
    assert (job["progress"], job["problem"], job["total"]) == (1, None, 2)
    (reds,) = [group for group in job["groups"] if group["keep"] == "large"]
    assert reds["why"] == "most pixels: 64 x 48, the next has 32 x 24"
    assert [(each["id"], each["width"], each["thumbnail"]) for each in reds["entries"]] == [
        ("large", 64, True),
        ("small", 32, True),
    ]
    assert reds["entries"][1]["score"] > 0.99
    assert all(each["bytes"] > 0 and each["stored_at"] > 1e9 for each in reds["entries"])


def test_a_collection_alone(photos):
    """Entries of other collections are excluded; `min_score` replaces the distance."""
    assert [group["keep"] for group in finished(photos, collection="default")["groups"]] == ["large"]
    assert finished(photos, collection="no such")["total"] == 0
    assert finished(photos, only="text")["groups"] == []
    assert finished(photos, min_score=0.001, distance="alike")["total"] == 2


def test_groups_come_by_page(client):
    """A page has an offset and a limit."""
    for colour in COLOURS:
        for number in range(2):
            image(client, f"{colour} {number}", colour)
    job = finished(client, min_score=0.999)
    pages = [client.get(f"/jobs/{job['job']}?offset={offset}&limit=5").json() for offset in (0, 5, 10)]
    assert [len(page["groups"]) for page in pages] == [5, 3, 0]
    assert {page["total"] for page in pages} == {8}


@pytest.mark.parametrize(
    "body", [{"distance": "near"}, {"min_score": 0}, {"min_score": 2}, {"collection": ""}, {"x": 1}]
)
def test_a_malformed_search_for_duplicates_is_422(client, body):
    """The distance is one of three, and the cosine is above 0."""
    problem(client.post("/contents/duplicates", json=body), 422, "invalid_request")


def test_a_job_that_is_unknown_is_404(client):
    """The message names the job."""
    assert "there is no job 'x'" in problem(client.get("/jobs/x"), 404, "not_found")


def test_without_contents_there_is_no_job(start):
    """The request fails immediately, not a job later."""
    problem(start(contents="none").post("/contents/duplicates", json={}), 404, "not_found")
