"""`GET /labels`: the merged, live label set."""

from tests.conftest import wait_until
from tests.fakes import as_base64, picture


def test_labels_and_where_they_come_from(client):
    """The file's labels come first, then the pantry's by name, each with its synonyms and sources."""
    client.put("/pantry/Red", json={"count": 1})
    client.put("/pantry/yellow", json={"count": 1})  # the last one brings the fourth label
    wait_until(lambda: client.get("/labels").json()["count"] == 4)
    assert client.get("/labels").json()["labels"] == [
        {"label": "red", "synonyms": [], "sources": ["file", "pantry"]},
        {"label": "green", "synonyms": [], "sources": ["file"]},
        {"label": "blue", "synonyms": ["azure blue"], "sources": ["file"]},
        {"label": "yellow", "synonyms": [], "sources": ["pantry"]},
    ]


def test_a_labels_categories(client, settings):
    """The narrowest comes first; a label without categories has no such field."""
    settings.labels.write_text("red @ warm @ colour\nblue\n")
    wait_until(lambda: client.get("/labels").json()["count"] == 2)
    assert client.get("/labels").json()["labels"] == [
        {"label": "red", "synonyms": [], "sources": ["file"], "categories": ["warm", "colour"]},
        {"label": "blue", "synonyms": [], "sources": ["file"]},
    ]


def test_a_changed_label_file_is_served_within_a_second(client, settings, encoder):
    """No restart is needed; only the new label's prompts are encoded; the version changes."""
    version = client.get("/labels").json()["version"]
    encoder.prompts_seen.clear()
    settings.labels.write_text("red\nmagenta\nblue | azure blue\n")
    wait_until(lambda: client.get("/labels").json()["version"] != version)
    assert encoder.prompts_seen == ["a photo of magenta."]
    answer = client.post("/process-image", json={"image_data": as_base64(picture("magenta"))}).json()
    assert answer["item"] == "magenta"


def test_a_pantry_item_is_recognised_within_a_second(client):
    """A new pantry item becomes a label soon after, and stops being one when it is deleted."""
    client.put("/pantry/cyan", json={"count": 1})
    shown = {"image_data": as_base64(picture("cyan"))}
    wait_until(lambda: client.post("/process-image", json=shown).json()["item"] == "cyan")
    client.delete("/pantry/cyan")
    wait_until(lambda: client.post("/process-image", json=shown).json()["item"] != "cyan")


def test_a_broken_label_file_changes_nothing(client, settings):
    """While the file is unreadable the last labels are served; a repaired file is read."""
    settings.labels.write_bytes(b"\xff\xff")
    import time

    time.sleep(0.6)
    assert client.get("/labels").json()["count"] == 3
    assert client.get("/").status_code == 200
    settings.labels.write_text("red\ngreen\n")
    wait_until(lambda: client.get("/labels").json()["count"] == 2)
