"""`GET /` verifies that the encoder answers; `GET /livez` that the process lives."""

import json

import pytest

from app import __version__
from tests.conftest import wait_until


def test_ready(client):
    """A ready service says what it serves."""
    response = client.get("/")
    assert response.status_code == 200
    assert response.json() == {
        "message": "OK",
        "status": "ready",
        "model": "colours",
        "labels": 3,
        "pantry": {"status": "ok", "age_s": 0.0},
        "version": __version__,
    }


def test_no_pantry_is_a_status(start):
    """A service that keeps no pantry says so."""
    assert start(pantry="none").get("/").json()["pantry"] == {"status": "none", "age_s": 0.0}


def test_starting(start, encoder, monkeypatch):
    """Until the labels are encoded it is 503, and then it becomes ready."""
    import app.components

    encode = app.components.Vocabulary.refresh
    monkeypatch.setattr(app.components.Vocabulary, "refresh", lambda self: encoder.open.wait(240) and encode(self))
    monkeypatch.setattr(app.components, "open_recogniser", _closing(encoder, app.components.open_recogniser))
    client = start(ready=False)
    response = client.get("/")
    assert response.status_code == 503
    assert (response.json()["status"], response.json()["labels"]) == ("starting", 0)
    assert response.json()["error"]["code"] == "starting"
    assert client.get("/labels").status_code == 503
    assert client.get("/livez").status_code == 200
    encoder.open.set()
    wait_until(lambda: client.get("/").status_code == 200)


def _closing(encoder, opening):
    """Close the encoder once the background prompts are encoded."""

    def opened(*arguments):
        recogniser = opening(*arguments)
        encoder.open.clear()
        return recogniser

    return opened


def test_an_encoder_that_fails_is_not_ready(client, encoder, monkeypatch):
    """If the process lives but the encoder does not answer, the status is 503."""
    monkeypatch.setattr("app.serving.pipeline.CANARY_EVERY", -1)
    encoder.failure = RuntimeError("broken")
    response = client.get("/")
    assert response.status_code == 503
    assert response.json()["status"] == "failing"
    assert client.get("/livez").json() == {"message": "OK"}
    encoder.failure = None
    assert client.get("/").status_code == 200


def test_health_checks_are_not_logged(capfd, client):
    """A load balancer polls every few seconds, which would fill the log."""
    capfd.readouterr()
    client.get("/")
    client.get("/livez")
    client.get("/labels")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["path"] for line in lines if line["event"] == "request"] == ["/labels"]
    assert {"request_id", "status", "ms", "method", "timestamp", "level"} <= set(lines[-1])


@pytest.mark.parametrize("sent", ["abc-123", "A.b_c-9" * 10])
def test_a_request_id_is_taken_over(client, sent):
    """The caller's own id is returned and logged."""
    assert client.get("/", headers={"x-request-id": sent}).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "has space", "x" * 129, 'quote"', "new\tline"])
def test_a_bad_request_id_is_replaced(client, sent):
    """An id that could spoil a log is not taken over."""
    given = client.get("/", headers={"x-request-id": sent}).headers["x-request-id"]
    assert len(given) == 32
    assert given != sent


def test_draining_lets_nothing_new_in(client):
    """A draining service reports it to the load balancer, rejects every other call, and stays live."""
    client.app.state.service.draining = True
    response = client.get("/")
    assert (response.status_code, response.json()["status"]) == (503, "draining")
    for response in (client.get("/pantry"), client.post("/process-image", json={}), client.get("/metrics")):
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "draining"
        assert response.headers["connection"] == "close"
        assert int(response.headers["retry-after"]) >= 1
    assert client.get("/livez").status_code == 200


def test_a_decoder_that_does_not_come_back_is_not_ready(client):
    """A lost thread occupies a processor until a restart: the status is 503, with the reason."""
    client.app.state.service.pipeline._large_decoder.lost = 1
    response = client.get("/")
    assert (response.status_code, response.json()["status"]) == (503, "failing")
    assert "1 decoders have not come back" in response.json()["message"]
    client.app.state.service.pipeline._large_decoder.lost = 0
    assert client.get("/").json()["message"] == "OK"
