"""A store that hangs, is full or cannot be written affects only its own callers."""

from concurrent.futures import ThreadPoolExecutor

import anyio.to_thread
import pytest

from tests.api.test_process_image import problem
from tests.conftest import wait_until
from tests.fakes import as_base64, picture
from tests.locks import locked

CHANGES = 50

STORES = {
    "pantry.sqlite": ("post", "/pantry/rice/add", {"quantity": 1}),
    "contents.sqlite": ("put", "/contents/one", {"type": "text", "text": "red"}),
    "feedback.sqlite": ("post", "/feedback", {"item": "red"}),
}


@pytest.fixture
def client(start):
    """A ready service whose stores have something in them."""
    client = start()
    client.put("/pantry/salt", json={"count": 3}).raise_for_status()
    client.put("/contents/there", json={"type": "text", "text": "blue"}).raise_for_status()
    asked(client, *STORES["feedback.sqlite"]).raise_for_status()
    return client


def asked(client, method, path, body):
    """The answer to a call; feedback is given on a picture that was just recognised."""
    if path == "/feedback":
        body = body | {"request_id": recognised(client).headers["x-request-id"]}
    return client.request(method, path, json=body)


def recognised(client, colour="red", **more):
    return client.post("/process-image", json={"image_data": as_base64(picture(colour))} | more)


def check_that_the_rest_goes_on(client, but: str = "") -> None:
    """Health, metrics, recognition, reads, and changes of the other stores."""
    for path in ("/", "/livez", "/metrics", "/labels", "/pantry", "/pantry/salt", "/contents/there"):
        assert client.get(path).status_code == 200, path
    assert recognised(client).status_code == 200
    image = as_base64(picture())
    search = client.post("/contents/search", json={"image_data": image, "k": 100})
    assert "there" in [hit["id"] for hit in search.json()["hits"]]
    for name, change in STORES.items():
        assert name == but or asked(client, *change).is_success, name


@pytest.mark.parametrize("name", STORES)
def test_a_locked_file_refuses_changes_in_time_and_holds_up_nothing_else(client, settings, name):
    """With 50 changes waiting for a file that another process has locked, everything else is answered.

    Each of them is refused and not stored, or says that this is not known; the first change after the lock is stored.
    """
    with ThreadPoolExecutor(CHANGES) as pool:
        with locked(settings.data / name):
            waiting = [pool.submit(asked, client, *STORES[name]) for _ in range(CHANGES)]
            check_that_the_rest_goes_on(client, but=name)
            answers = [each.result() for each in waiting]
        said = [problem(answer, 503, "store_unavailable") for answer in answers]
        unknown = [text for text in said if "not known whether" in text]  # being written when the deadline came
        assert all("nothing was stored" in text for text in said if text not in unknown)
        assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    assert asked(client, *STORES[name]).is_success
    if name == "pantry.sqlite":
        assert client.get("/pantry/rice").json()["count"] in range(1, 2 + len(unknown))


def test_what_needs_no_store_needs_no_thread_of_the_framework(client):
    """With all of the framework's threads taken, health, metrics, recognition and every store still answer."""

    async def take_all() -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        while limiter.available_tokens:
            limiter.acquire_on_behalf_of_nowait(object())

    client.portal.call(take_all)
    for path in ("/", "/livez", "/metrics", "/pantry", "/contents?collection=default", "/contents/there"):
        assert client.get(path).status_code == 200, path
    assert recognised(client, pantry_update={"operation": "add"}).json()["pantry"]["count"] == 1
    assert client.post("/contents/search", json={"text": "blue"}).json()["hits"]
    assert asked(client, *STORES["feedback.sqlite"]).status_code == 200


def test_a_locked_prompt_cache_holds_up_no_new_label(client, settings):
    """A pantry item is recognised although its prompts cannot be cached."""
    with locked(settings.data / "prompts.sqlite"):
        client.put("/pantry/yellow", json={"count": 1}).raise_for_status()
        wait_until(lambda: recognised(client, "yellow").json()["item"] == "yellow")


def test_a_changed_label_file_counts_while_the_pantry_is_locked(client, settings):
    """Labels of the file do not wait for the pantry."""
    with locked(settings.data / "pantry.sqlite"):
        settings.labels.write_text(settings.labels.read_text() + "yellow\n")
        wait_until(lambda: recognised(client, "yellow").json()["item"] == "yellow")


@pytest.mark.parametrize("name", STORES)
def test_a_full_store_refuses_changes_and_stays_whole(client, settings, name):
    """A file that may not grow refuses what does not fit, with 503; what is in it can be read, and less fits again."""
    service = client.app.state.service
    file = {
        "pantry.sqlite": lambda: service.pantry.store._file,
        "contents.sqlite": lambda: service.contents.store._database._file,
        "feedback.sqlite": lambda: service.feedback.store._file(),
    }[name]()
    file.writer.execute("PRAGMA max_page_count = 1")  # not less than it has: it may not grow
    with ThreadPoolExecutor(8) as pool:
        bodies = {
            "pantry.sqlite": [("put", f"/pantry/{'x' * 180}{number}", {"count": 1}) for number in range(200)],
            "contents.sqlite": [
                ("put", f"/contents/{number}", {"type": "text", "text": "x" * 2000}) for number in range(40)
            ],
            "feedback.sqlite": [("post", "/feedback", {"item": f"{number}{'x' * 190}"}) for number in range(200)],
        }[name]
        answers = list(pool.map(lambda change: asked(client, *change), bodies))
    refused = [each for each in answers if not each.is_success]
    assert refused
    for each in refused:
        message = problem(each, 503, "store_unavailable")
        assert "is full" in message
        assert "nothing was stored" in message
    check_that_the_rest_goes_on(client, but=name)
    file.writer.execute("PRAGMA max_page_count = 1000000")
    assert asked(client, *bodies[-1]).is_success
