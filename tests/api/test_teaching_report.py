"""The report on the taught examples."""

import threading

import numpy as np
from PIL import Image

from app.pantry.examples import new_example
from tests.conftest import wait_until
from tests.fakes import as_base64, picture


def teach(client, item, *colours):
    images = [as_base64(picture(colour)) for colour in colours]
    assert client.post(f"/pantry/{item}/examples", json={"images": images}).status_code == 200


def report(client):
    response = client.get("/examples/report")
    assert response.status_code == 200, response.text
    return response.json()


def test_nothing_taught_is_an_empty_report(client):
    """The report has no items and is not an error."""
    found = report(client)
    assert (found["examples"], found["judged"], found["right"], found["items"]) == (0, 0, 0, [])


def test_an_example_in_the_wrong_place_is_found(client):
    """Two items well apart, and one example of the second that shows the first."""
    shades = [(250, 250, 0), (240, 250, 20), (250, 240, 10)]
    colours = {"quince": shades, "sky": [(b, g, r) for r, g, b in shades]}
    for item, some in colours.items():
        images = [as_base64(Image.new("RGB", (32, 24), shade)) for shade in some]
        client.post(f"/pantry/{item}/examples", json={"images": images})
    teach(client, "sky", "yellow")
    wait_until(lambda: report(client)["examples"] == 7)
    found = report(client)
    assert [(each["item"], each["examples"], each["right"]) for each in found["items"]] == [
        ("quince", 3, 3),
        ("sky", 4, 3),
    ]
    assert (found["judged"], found["right"], found["unused"]) == (7, 6, 0)
    assert found["confusions"] == [{"item": "sky", "taken_for": "quince", "count": 1}]
    (wrong,) = found["misleading"]
    listed = client.get("/pantry/sky/examples").json()["examples"]
    assert (wrong["id"], wrong["looks_like"]) == (listed[-1]["id"], "quince")


def test_examples_of_another_model_are_counted_as_unused(client):
    """They are not evaluated."""
    store = client.app.state.service.pantry.store
    store.teach("quince", [new_example("quince", "another", np.float32([1, 1, 0, 0]) / 2**0.5)])
    teach(client, "quince", "yellow")
    wait_until(lambda: report(client)["examples"] == 1)
    assert report(client)["unused"] == 1
    assert report(client)["items"] == [{"item": "quince", "examples": 1, "right": None}]


def test_a_report_that_is_not_ready_is_asked_for_again(client, monkeypatch):
    """It waits for another job, and is not begun twice; without a change it is not computed again."""
    teach(client, "quince", "yellow")
    wait_until(lambda: report(client)["examples"] == 1)
    teach(client, "quince", "white")
    monkeypatch.setattr("app.api.teaching_report.WAIT_S", 0.05)
    jobs, going = client.app.state.service.jobs, threading.Event()
    jobs.start(lambda _: going.wait(60) and [])
    response = client.get("/examples/report")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    going.set()
    wait_until(lambda: client.get("/examples/report").status_code == 200)
    wait_until(lambda: report(client)["examples"] == 2)

    def is_kept() -> bool:
        before = len(jobs._jobs)
        return report(client) == report(client) and len(jobs._jobs) == before

    wait_until(is_kept)  # the labels may be read once more after the examples
