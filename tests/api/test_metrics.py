"""`GET /metrics`: counters and timings, and a dashboard that uses only these."""

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app import __version__
from tests.api.test_process_image import post
from tests.conftest import wait_until
from tests.fakes import as_base64, picture

DASHBOARD = Path(__file__).parents[2] / "infra/dashboards/larder.json"


def samples(client) -> dict[tuple, float]:
    """Return every served sample: its name and label values, and its value."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_requests_are_counted_by_route_and_status(client):
    """Paths are counted by their template; unknown routes and methods share one name."""
    client.get("/pantry/rice")
    client.get("/pantry/salt")
    client.get("/nowhere/1")
    client.request("BREW", "/nowhere/2")
    found = samples(client)
    assert found["larder_requests_total", "GET", "/pantry/{item}", "404"] == 2
    assert found["larder_requests_total", "GET", "none", "404"] == 1
    assert found["larder_requests_total", "other", "none", "404"] == 1
    assert found["larder_refusals_total", "not_found"] == 4
    assert found["larder_request_seconds_count", "/pantry/{item}"] == 2


def test_a_picture_is_timed_in_each_stage(client):
    """Decoding, waiting, encoding and ranking are each seen once for each picture, and batches by their size."""
    before = samples(client)
    for _ in range(3):
        assert post(client).status_code == 200
    after = samples(client)
    for stage in ("decode", "queue", "encode", "rank"):
        name = ("larder_stage_seconds_count", stage)
        assert after[name] - before.get(name, 0) == 3, stage
    assert after["larder_batch_pictures_sum",] - before["larder_batch_pictures_sum",] == 3


def test_classifying_and_searching_are_ranked_too(client):
    """Every call that compares vectors is timed as the stage `rank`."""
    name = ("larder_stage_seconds_count", "rank")
    before = samples(client).get(name, 0)
    image = as_base64(picture())
    client.post("/classify", json={"image_data": image, "labels": ["red", "blue"]}).raise_for_status()
    client.post("/models/colours", json={"inputs": image, "parameters": {"candidate_labels": ["red", "blue"]}})
    client.post("/contents/search", json={"image_data": image}).raise_for_status()
    client.post("/mv_retrieval/v0.1/retrieve_contents?type=text&k=1", content=b"red").raise_for_status()
    assert samples(client)[name] - before == 4


def test_refusals_are_counted_by_their_code(client, encoder):
    """Rejections by middleware, route or framework are counted by their error code."""
    post(client, image_data="no picture")
    post(client, image_data="A" * 11_000_000)
    client.delete("/labels")
    encoder.failure = RuntimeError("broken")
    post(client)
    found = samples(client)
    for code in ("invalid_image", "image_too_large", "invalid_request", "internal_error"):
        assert found["larder_refusals_total", code] == 1, code


def test_what_is_there_now_is_read_when_it_is_asked_for(client):
    """Labels, pictures in progress, the pantry's age and the model are those of the moment."""
    assert samples(client)["larder_labels",] == 3
    client.put("/pantry/yellow", json={"count": 1})
    wait_until(lambda: samples(client)["larder_labels",] == 4)
    found = samples(client)
    assert found["larder_pictures_in_hand",] == found["larder_queue_pictures",] == found["larder_contents",] == 0
    assert found["larder_pantry_age_seconds",] == 0
    assert found["larder_model_info", "colours", __version__] == 1


def test_waiting_pictures_are_seen(client, encoder):
    """While the encoder is busy, the gauges show what waits for it."""
    from concurrent.futures import ThreadPoolExecutor

    encoder.open.clear()
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(post, client, image_data=as_base64(picture())) for _ in range(3)]
        wait_until(lambda: samples(client)["larder_pictures_in_hand",] == 3)
        encoder.open.set()
        assert [each.result().status_code for each in asked] == [200] * 3
    assert samples(client)["larder_pictures_in_hand",] == 0


def test_numbers_need_a_key(start):
    """They reveal business figures; only the two health checks are open."""
    assert start(api_keys="k").get("/metrics").status_code == 401


def test_the_dashboard_asks_for_served_numbers_alone(client):
    """Every metric in an expression is served, and each of our metric families is shown."""
    post(client)
    post(client, image_data="no picture")
    expressions = [
        target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel.get("targets", [])
    ]
    asked = {name for each in expressions for name in re.findall(r"\b(?:larder|process)_\w+", each)}
    served = {name for name, *_ in samples(client)}
    assert asked <= served
    families = {re.sub(r"_(total|count|sum|bucket|created)$", "", name) for name in served if name.startswith("larder")}
    assert families == {re.sub(r"_(total|count|sum|bucket)$", "", name) for name in asked if name.startswith("larder")}
