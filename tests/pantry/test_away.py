"""Firestore outages: unreachable, slow, denied, recovered. Recognition continues, and no change is lost silently."""

import json
import os
import signal
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.cloud import firestore

from app.main import create_app
from app.pantry.firestore import stream, writer
from app.settings import Settings
from harness.emulator import Cable, free_port
from tests.api.test_process_image import problem
from tests.conftest import wait_until
from tests.fakes import as_base64, colour_model, picture


@pytest.fixture
def cable(emulator):
    cable = Cable(emulator.host)
    yield cable
    cable.mend()
    cable.cut()


@pytest.fixture
def behind_cable(start, cable, in_firestore, monkeypatch):
    """A ready service whose connection to Firestore can be cut and blocked; the phone app's cannot."""
    with monkeypatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", cable.host)
        return start(pantry=in_firestore)


def seen(client, colour, **more):
    return client.post("/process-image", json={"image_data": as_base64(picture(colour))} | more)


def pantry_status(client):
    return client.get("/").json()["pantry"]


def counts(client):
    return {each["item"]: each["count"] for each in client.get("/pantry").json()["items"]}


def refused(client, item="rice"):
    """A change is refused with Retry-After; returns the message."""
    response = client.post(f"/pantry/{item}/add")
    assert response.headers["retry-after"] == "5"
    return problem(response, 503, "store_unavailable")


def test_firestore_stopped_and_started(start, own_emulator, project, tmp_path, monkeypatch):
    """During the outage recognition continues, the age is shown and changes fail; afterwards everything is current."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", own_emulator.host)
    client = start(pantry=f"firestore://{project}/pantry")
    client.put("/pantry/yellow", json={"count": 3})
    client.put("/pantry/rice", json={"count": 1})
    wait_until(lambda: seen(client, "yellow").json()["item"] == "yellow")
    saved = own_emulator.save(project, tmp_path)
    own_emulator.stop()

    wait_until(lambda: pantry_status(client)["status"] == "stale")
    assert "nothing was stored" in refused(client)
    update = seen(client, "red", pantry_update={"operation": "add"})
    assert "nothing was stored" in problem(update, 503, "store_unavailable")
    time.sleep(1)
    assert seen(client, "yellow").json()["item"] == "yellow"
    assert counts(client) == {"rice": 1, "yellow": 3}
    assert client.get("/pantry/yellow").json()["count"] == 3
    assert client.get("/").status_code == 200
    assert pantry_status(client)["age_s"] >= 1

    phone = firestore.Client(project=project)
    for again in (True, True, False):  # an emulator that is still starting may forget a listener that comes back
        own_emulator.start(saved)
        phone.document("pantry/cyan").set({"count": 1})
        try:
            wait_until(lambda: seen(client, "cyan").json()["item"] == "cyan", 30 if again else 90)
            break
        except AssertionError:
            if not again:
                raise
            own_emulator.stop()
    wait_until(lambda: pantry_status(client)["status"] == "ok")
    assert counts(client) == {"cyan": 1, "rice": 1, "yellow": 3}
    assert client.post("/pantry/rice/add").json()["count"] == 2
    phone.close()


def test_a_firestore_that_is_paused(start, own_emulator, project, monkeypatch):
    """While 50 changes wait, recognition, health and metrics are answered; each change fails within its deadline."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", own_emulator.host)
    client = start(pantry=f"firestore://{project}/pantry")
    client.put("/pantry/rice", json={"count": 1}).raise_for_status()
    own_emulator._process.send_signal(signal.SIGSTOP)
    os.waitpid(own_emulator._process.pid, os.WUNTRACED)  # until not one of its threads runs any more
    try:
        with ThreadPoolExecutor(50) as pool:
            waiting = [pool.submit(client.post, "/pantry/rice/add") for _ in range(50)]
            for path in ("/", "/livez", "/metrics", "/pantry", "/pantry/rice", "/contents"):
                assert client.get(path).status_code == 200, path
            assert seen(client, "red").status_code == 200
            assert client.put("/contents/a", json={"type": "text", "text": "red"}).status_code == 201
            for each in waiting:
                assert "stored" in problem(each.result(), 503, "store_unavailable")
    finally:
        own_emulator._process.send_signal(signal.SIGCONT)
    wait_until(lambda: client.post("/pantry/rice/add").status_code == 200)


def test_what_happened_meanwhile_is_caught_up_with(behind_cable, cable, phone):
    """After a cut connection is restored, documents created, changed and deleted meanwhile are visible."""
    for name in ("yellow", "cyan", "rice"):
        phone.document(name).set({"count": 1})
    wait_until(lambda: counts(behind_cable) == {"cyan": 1, "rice": 1, "yellow": 1})
    cable.cut()
    wait_until(lambda: pantry_status(behind_cable)["status"] == "stale")
    phone.document("yellow").delete()
    phone.document("rice").update({"count": 7})
    phone.document("magenta").set({"count": 2})
    time.sleep(1)
    assert counts(behind_cable) == {"cyan": 1, "rice": 1, "yellow": 1}
    cable.mend()
    wait_until(lambda: counts(behind_cable) == {"cyan": 1, "magenta": 2, "rice": 7})
    wait_until(lambda: seen(behind_cable, "magenta").json()["item"] == "magenta")
    assert seen(behind_cable, "yellow").json()["item"] != "yellow"


def test_a_change_that_is_not_answered_is_not_counted_twice(behind_cable, cable, phone, monkeypatch):
    """The outcome is unknown, and the answer says so; a repetition with its key counts once."""
    phone.document("rice").set({"count": 1})
    key = {"Idempotency-Key": "a-change-of-mine"}
    assert behind_cable.post("/pantry/salt/add", headers=key | {"Idempotency-Key": "warm"}).json()["count"] == 1
    commit = behind_cable.app.state.service.pantry.store._connection.commit

    def commit_unheard(*arguments):
        cable.block(answers_alone=True)
        return commit(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "DEADLINE", 3)  # time to store it: with the deadline the call is cancelled
        patch.setattr(behind_cable.app.state.service.pantry.store._connection, "commit", commit_unheard)
        response = behind_cable.post("/pantry/rice/add", headers=key)
    assert "it is not known whether the change was stored" in problem(response, 503, "store_unavailable")
    cable.mend()
    wait_until(lambda: phone.document("rice").get().get("count") == 2)
    for _ in range(2):
        assert behind_cable.post("/pantry/rice/add", headers=key).json() == {"item": "rice", "count": 2}
    assert phone.document("rice").get().get("count") == 2


def test_a_firestore_that_hangs_is_noticed(behind_cable, cable, phone, monkeypatch):
    """A silent connection is closed; changes fail within their deadline, and recognition continues."""
    monkeypatch.setattr(writer, "DEADLINE", 0.5)
    monkeypatch.setattr(stream, "HEARTBEAT", 0.5)
    monkeypatch.setattr(stream, "SILENCE", 0.5)
    phone.document("yellow").set({"count": 1})
    wait_until(lambda: seen(behind_cable, "yellow").json()["item"] == "yellow")
    cable.cut()  # so that the next stream has the short heartbeat
    cable.mend()
    wait_until(lambda: pantry_status(behind_cable)["status"] == "ok")
    cable.block()
    assert "not known" in refused(behind_cable, "yellow")  # written at once: what it counts is in memory
    assert "nothing was stored" in refused(behind_cable, "rice")  # read first: it is not in memory
    wait_until(lambda: pantry_status(behind_cable)["status"] == "stale")
    assert seen(behind_cable, "yellow").json()["item"] == "yellow"
    phone.document("cyan").set({"count": 1})
    cable.mend()
    wait_until(lambda: seen(behind_cable, "cyan").json()["item"] == "cyan")
    wait_until(lambda: pantry_status(behind_cable)["status"] == "ok")  # the examples' stream has a pause of its own


def rules(emulator, project, allow):
    """Set the emulator's security rules for callers other than its owner."""
    text = (
        f"service cloud.firestore {{ match /databases/{{d}}/documents/{{x=**}} {{ allow read, write: if {allow}; }} }}"
    )
    body = {"rules": {"files": [{"name": "security.rules", "content": text}]}}
    url = f"http://{emulator.host}/emulator/v1/projects/{project}:securityRules"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def test_denied_and_allowed_again(behind_cable, cable, phone, emulator, project):
    """While Firestore denies access the last items are served and changes fail; afterwards everything is current."""
    phone.document("yellow").set({"count": 1})
    wait_until(lambda: "yellow" in counts(behind_cable))
    rules(emulator, project, "false")
    metadata = behind_cable.app.state.service.pantry.store._connection.metadata
    metadata[:] = [each for each in metadata if each[0] != "authorization"]
    cable.cut()
    cable.mend()
    listener = behind_cable.app.state.service.pantry.store._listener
    wait_until(lambda: listener.problem.startswith("PERMISSION_DENIED"))
    assert pantry_status(behind_cable)["status"] == "stale"
    assert "PERMISSION_DENIED; nothing was stored" in refused(behind_cable)
    assert seen(behind_cable, "yellow").json()["item"] == "yellow"
    phone.document("cyan").set({"count": 1})
    rules(emulator, project, "true")
    wait_until(lambda: seen(behind_cable, "cyan").json()["item"] == "cyan")
    wait_until(lambda: pantry_status(behind_cable)["status"] == "ok")
    assert behind_cable.post("/pantry/rice/add").json()["count"] == 1


def test_the_service_starts_without_firestore(capfd, start, monkeypatch):
    """It recognises with the label file, reports a stale pantry, and answers nothing about its items."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    client = start(pantry="firestore://nowhere/pantry")
    assert "starting without the pantry's items" in "".join(capfd.readouterr())
    assert seen(client, "red").json()["item"] == "red"
    assert pantry_status(client)["status"] == "stale"
    for response in (client.get("/pantry"), client.get("/pantry/rice"), client.post("/pantry/rice/add")):
        problem(response, 503, "store_unavailable")


def test_firestore_comes_after_the_service(start, emulator, project, monkeypatch):
    """A service that started without Firestore gets its items as soon as Firestore is reachable."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator.host)
    phone = firestore.Client(project=project)
    phone.document("pantry/yellow").set({"count": 1})
    phone.close()
    cable = Cable(emulator.host)
    cable.cut()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", cable.host)
    client = start(pantry=f"firestore://{project}/pantry")
    time.sleep(1)
    cable.mend()
    wait_until(lambda: seen(client, "yellow").json()["item"] == "yellow")
    cable.cut()


def test_a_strict_start_ends_in_one_line(settings, monkeypatch):
    """With LARDER_PANTRY_STRICT the service does not start without Firestore, and says why."""
    monkeypatch.setattr("app.pantry.firestore.store.STRICT_WAIT", 0.5)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    strict = {"pantry": "firestore://nowhere/pantry", "pantry_strict": True}
    with pytest.raises(SystemExit, match="larder cannot start: no snapshot from Firestore within") as raised:
        create_app(Settings(**settings.model_dump() | strict), colour_model())
    assert "\n" not in str(raised.value)
