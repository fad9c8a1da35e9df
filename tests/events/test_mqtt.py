"""MQTT against mosquitto: the messages for Home Assistant, after outages too."""

import asyncio
import json
import socket
import subprocess
import sys
import threading

import pytest

from app.errors import SettingsError, StoreUnavailable
from app.events.home_assistant import MAX_SENSORS, parse_broker, retained, slug
from app.events.hub import Hub
from app.events.mqtt import Mqtt
from app.metrics import Metrics
from app.pantry import Status
from app.pantry.sqlite.store import SQLitePantry
from harness.mosquitto import PROGRAM, Mosquitto, Watcher
from harness.server import ROOT
from tests.api.test_process_image import post
from tests.conftest import wait_until
from tests.fakes import as_base64, picture
from tests.untested import there


@pytest.fixture
def broker(tmp_path):
    there(PROGRAM, "MQTT", "mosquitto is not installed (Debian's package mosquitto)")
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def watcher(broker):
    with Watcher(broker.port) as watcher:
        yield watcher


@pytest.fixture
def pantry(tmp_path):
    store = SQLitePantry(tmp_path / "pantry.sqlite")
    yield store
    store.close()


class Telling:
    """A hub and its MQTT publisher, in a separate event loop."""

    def __init__(self, url, pantry, **options):
        self.hub, self.metrics = Hub(), Metrics()
        self.mqtt = Mqtt(parse_broker(url), pantry, self.metrics, **{"first_wait_s": 0.02} | options)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))

    async def run(self):
        self.task = asyncio.ensure_future(self.mqtt.run(self.hub))
        self.loop = asyncio.get_running_loop()
        await asyncio.wait({self.task})

    def recognise(self, item):
        self.hub.publish("recognition", {"item": item, "count": 1})

    def lost(self):
        lines = self.metrics.text().decode().splitlines()
        return sum(
            int(float(line.split()[-1]))
            for line in lines
            if line.startswith('larder_event_deliveries_total{outcome="lost",to="mqtt"}')
        )

    def failed(self):
        return 'outcome="failed",to="mqtt"' in self.metrics.text().decode()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.hub.close()
        self.thread.join(60)
        assert not self.thread.is_alive()


def url_of(broker, prefix="larder"):
    return f"mqtt://127.0.0.1:{broker.port}/{prefix}"


def config_of(watcher, id, prefix="larder"):
    return json.loads(watcher.kept[f"homeassistant/sensor/{prefix}/{id}/config"])


def test_items_are_sensors_with_their_counts(broker, watcher, pantry):
    """Each has a valid discovery message and a retained count; the birth message is last."""
    pantry.put("soy sauce", 2)
    with Telling(url_of(broker), pantry):
        wait_until(lambda: watcher.kept.get("larder/status") == "online")
        config = config_of(watcher, "item_soy_sauce")
        assert watcher.kept[config["state_topic"]] == "2"
        assert watcher.kept[config["availability_topic"]] == "online"
        assert (config["name"], config["unique_id"]) == ("soy sauce", "larder_item_soy_sauce")
        assert config["device"]["identifiers"] == ["larder"]
        assert config["state_class"] == "measurement"
        assert watcher.heard[-1] == ("larder/status", "online")
    with Watcher(broker.port) as later:
        wait_until(lambda: later.kept.get("larder/status") == "offline")
        assert later.kept["larder/item/soy_sauce"] == "2"


def test_counts_follow_every_change(broker, watcher, pantry, tmp_path):
    """Changes by another process count too; deleting an item removes its sensor."""
    with Telling(url_of(broker), pantry):
        pantry.put("rice", 1)
        wait_until(lambda: watcher.kept.get("larder/item/rice") == "1")
        other = SQLitePantry(tmp_path / "pantry.sqlite")
        other.add("rice", 4)
        wait_until(lambda: watcher.kept.get("larder/item/rice") == "5")
        other.delete("rice")
        wait_until(lambda: "larder/item/rice" not in watcher.kept)
        wait_until(lambda: "homeassistant/sensor/larder/item_rice/config" not in watcher.kept)
        other.close()


def test_the_last_recognition(broker, watcher, pantry):
    """Recognitions are published in order, and the last one is retained with all its fields."""
    with Telling(url_of(broker), pantry) as telling:
        wait_until(lambda: "larder/status" in watcher.kept)
        for item in ("rice", "oats", "oats"):
            telling.recognise(item)
        wait_until(lambda: len([topic for topic, _ in watcher.heard if topic == "larder/recognition"]) == 3)
    heard = [json.loads(payload)["data"]["item"] for topic, payload in watcher.heard if topic == "larder/recognition"]
    assert heard == ["rice", "oats", "oats"]
    config = config_of(watcher, "last_recognition")
    assert config["state_topic"] == "larder/recognition"
    assert config["value_template"] == "{{ value_json.data.item }}"


def test_a_broker_that_comes_back_is_told_everything(broker, pantry):
    """All messages are published again; missed recognitions except the last are counted as lost."""
    pantry.put("rice", 1)
    with Telling(url_of(broker), pantry) as telling:
        with Watcher(broker.port) as watcher:
            wait_until(lambda: watcher.kept.get("larder/status") == "online")
        broker.stop()
        wait_until(telling.failed)
        for number in range(10):
            telling.recognise(f"item {number}")
        pantry.add("rice", 1)
        broker.start()
        with Watcher(broker.port) as watcher:
            wait_until(lambda: watcher.kept.get("larder/status") == "online")
            wait_until(lambda: watcher.kept.get("larder/item/rice") == "2")
            wait_until(lambda: "larder/recognition" in watcher.kept)
            assert json.loads(watcher.kept["larder/recognition"])["data"]["item"] == "item 9"
            assert config_of(watcher, "item_rice")
    assert telling.lost() == 9


def test_home_assistant_is_told_everything_when_it_starts(broker, watcher, pantry):
    """Its birth message triggers all messages again, including cleared ones."""
    pantry.put("rice", 1)
    with Telling(url_of(broker), pantry):
        wait_until(lambda: watcher.kept.get("larder/status") == "online")
        watcher.publish("homeassistant/sensor/larder/item_rice/config", "", retain=True)
        watcher.publish("larder/item/rice", "", retain=True)
        wait_until(lambda: "larder/item/rice" not in watcher.kept)
        watcher.publish("homeassistant/status", "online")
        wait_until(lambda: watcher.kept.get("larder/item/rice") == "1")
        wait_until(lambda: "homeassistant/sensor/larder/item_rice/config" in watcher.kept)


def test_an_item_that_went_while_the_service_was_off_goes(broker, watcher, pantry):
    """Our retained messages of earlier connections are cleared; foreign ones stay."""
    watcher.publish("larder/item/old", "3", retain=True)
    watcher.publish("homeassistant/sensor/larder/item_old/config", "{}", retain=True)
    watcher.publish("homeassistant/sensor/other/item_old/config", "{}", retain=True)
    watcher.publish("larder/notes", "mine", retain=True)
    with Telling(url_of(broker), pantry):
        wait_until(lambda: "larder/item/old" not in watcher.kept)
        wait_until(lambda: "homeassistant/sensor/larder/item_old/config" not in watcher.kept)
    assert "homeassistant/sensor/other/item_old/config" in watcher.kept
    assert watcher.kept["larder/notes"] == "mine"


def test_a_service_that_dies_is_offline(broker, watcher, pantry, tmp_path):
    """The broker publishes the last will."""
    script = f"""
import asyncio
from app.events.hub import Hub
from app.events.mqtt import open_mqtt
from app.metrics import Metrics
from app.pantry.none import NoPantry
asyncio.run(open_mqtt({url_of(broker)!r}, NoPantry(), Metrics()).run(Hub()))
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as process:
        wait_until(lambda: watcher.kept.get("larder/status") == "online")
        process.kill()
    wait_until(lambda: watcher.kept.get("larder/status") == "offline")


def test_a_will_that_comes_late_does_not_last(broker, watcher, pantry):
    """A broker may notice a lost connection after the next one is established."""
    with Telling(url_of(broker), pantry):
        wait_until(lambda: watcher.kept.get("larder/status") == "online")
        watcher.publish("larder/status", "offline", retain=True)
        wait_until(lambda: watcher.heard[-2:] == [("larder/status", "offline"), ("larder/status", "online")])


def test_a_pantry_that_is_away_takes_no_sensor_away(broker, watcher):
    """Without Firestore at the start, or after a failed read, the sensors do not change."""

    class Away:
        listeners = ()
        failing = False

        def items(self):
            if self.failing:
                raise StoreUnavailable("away")
            return {}

        def status(self):
            return Status("stale", 9.0)

    watcher.publish("larder/item/rice", "3", retain=True)
    away = Away()
    with Telling(url_of(broker), away):
        wait_until(lambda: watcher.kept.get("larder/status") == "online")
        away.failing = True
        watcher.publish("larder/status", "offline")
        wait_until(lambda: watcher.heard[-1] == ("larder/status", "online"))
    assert watcher.kept["larder/item/rice"] == "3"


def test_a_broker_that_says_nothing_holds_nothing_up(pantry):
    """A broker that accepts connections and never answers is disconnected, and the service ends in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent, Telling(url_of_port(silent), pantry) as telling:
        first, _ = silent.accept()
        telling.recognise("rice")
        first.settimeout(60)
        while first.recv(4096):  # its CONNECT, then the end
            pass
        first.close()
        wait_until(telling.failed)
        telling.loop.call_soon_threadsafe(telling.task.cancel)  # as the lifespan does


def url_of_port(server):
    return f"mqtt://127.0.0.1:{server.getsockname()[1]}"


def test_a_wrong_password_is_an_outage(tmp_path, pantry):
    """It is retried like an outage; the correct password, with special characters, is accepted."""
    there(PROGRAM, "MQTT", "mosquitto is not installed (Debian's package mosquitto)")
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "larder", "p@ss/word"], check=True, capture_output=True)
    passwords.chmod(0o644)
    with Mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}\n") as broker:
        with Telling(f"mqtt://larder:wrong@127.0.0.1:{broker.port}", pantry) as telling:
            wait_until(telling.failed)
        with (
            Watcher(broker.port, "larder", "p@ss/word") as watcher,
            Telling(f"mqtt://larder:p%40ss%2Fword@127.0.0.1:{broker.port}", pantry),
        ):
            wait_until(lambda: watcher.kept.get("larder/status") == "online")


def test_odd_names_are_sensors_of_their_own():
    """Every name gives a valid topic, and no two names give the same one."""
    names = [
        "soy sauce",
        "soy_sauce",
        "soy-sauce",
        "crème",
        "creme",
        "+",
        "#",
        "a/b",
        "日本",
        "last recognition",
        "x" * 200,
    ]
    broker = parse_broker("mqtt://a")
    topics = retained(broker, dict.fromkeys(names, 1), None)
    assert len(topics) == 2 * len(names) + 2
    assert all(set(topic) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-/") for topic in topics)
    assert len({slug(name) for name in names}) == len(names)


def test_a_huge_pantry_has_bounded_sensors():
    """Only the first items by name become sensors."""
    topics = retained(parse_broker("mqtt://a"), {f"item {number:05}": 1 for number in range(MAX_SENSORS + 5)}, None)
    assert len(topics) == 2 * MAX_SENSORS + 2


@pytest.mark.parametrize(
    "url",
    ["http://s3cret@a", "mqtt://", "mqtt://:s3cret@", "mqtt://a:99999/s3cret", "mqtt://a/x/s3cret", "mqtt://a/+",
     "mqtt://a?s3cret", "mqtt://[s3cret", "s3cret", "mqtt://a:0"],
)  # fmt: skip
def test_a_wrong_address_is_said_without_its_password(url):
    """The line says what is allowed, and does not repeat the value."""
    with pytest.raises(SettingsError, match="LARDER_MQTT: .* is allowed") as raised:
        parse_broker(url)
    assert "s3cret" not in str(raised.value)


def test_the_service_tells_a_broker(start, broker, watcher, capfd):
    """A picture updates the sensor; recognition continues while the broker is unreachable."""
    client = start(mqtt=f"mqtt://larder:s3cret@127.0.0.1:{broker.port}/kitchen")
    body = {"image_data": as_base64(picture("red")), "pantry_update": {"operation": "add"}}
    assert post(client, **body).status_code == 200
    wait_until(lambda: watcher.kept.get("kitchen/item/red") == "1")
    assert json.loads(watcher.kept["kitchen/recognition"])["data"]["item"] == "red"
    broker.stop()
    assert post(client, **body).status_code == 200
    assert "s3cret" not in capfd.readouterr().err
