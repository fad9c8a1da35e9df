"""Counts changed directly in Firestore reach a broker."""

import asyncio
import threading
from contextlib import closing

from app.components import open_pantry
from app.events.hub import Hub
from app.events.mqtt import open_mqtt
from app.metrics import Metrics
from app.settings import Settings
from harness.mosquitto import PROGRAM, Mosquitto, Watcher
from tests.conftest import wait_until
from tests.untested import there


def test_a_count_that_a_phone_changes_arrives(in_firestore, phone, tmp_path):
    """So do an item that it adds and one that it deletes."""
    there(PROGRAM, "MQTT", "mosquitto is not installed (Debian's package mosquitto)")
    phone.document("rice").set({"count": 1})
    hub = Hub()
    with (
        Mosquitto(tmp_path) as broker,
        Watcher(broker.port) as watcher,
        closing(open_pantry(Settings(pantry=in_firestore))) as pantry,
    ):
        mqtt = open_mqtt(f"mqtt://127.0.0.1:{broker.port}", pantry, Metrics())
        telling = threading.Thread(target=lambda: asyncio.run(mqtt.run(hub)))
        telling.start()
        wait_until(lambda: watcher.kept.get("larder/item/rice") == "1")
        phone.document("rice").update({"count": 7})
        phone.document("oats").set({"count": 2})
        wait_until(lambda: watcher.kept.get("larder/item/rice") == "7")
        wait_until(lambda: watcher.kept.get("larder/item/oats") == "2")
        phone.document("rice").delete()
        wait_until(lambda: "larder/item/rice" not in watcher.kept)
        hub.close()
        telling.join(60)
        assert watcher.kept["larder/item/oats"] == "2"
