"""MQTT messages for Home Assistant: retained messages by topic, including those of its discovery.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery

Each item is a sensor with its own discovery message. A single message for the device would be sent again, with all
items, whenever an item is added or removed.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

from app import __version__
from app.errors import SettingsError
from app.events.hub import Event

MAX_SENSORS = 1000  # sensors, the first by name; Home Assistant is slow with more
DISCOVERY = "homeassistant"  # the default prefix; it can be changed in Home Assistant
BIRTH = f"{DISCOVERY}/status"  # Home Assistant publishes `online` here when it has started
_PREFIX = re.compile("[A-Za-z0-9_-]{1,64}")
_ALLOWED = "mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX] or mqtts://... is allowed, PREFIX of letters, digits, _ and -"


@dataclass(frozen=True)
class Broker:
    """The broker's address, and the first level of our topics."""

    host: str
    port: int
    tls: bool
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    prefix: str

    @property
    def status(self) -> str:
        """Return the availability topic."""
        return f"{self.prefix}/status"

    @property
    def recognition(self) -> str:
        """Return the topic of the last recognition."""
        return f"{self.prefix}/recognition"

    @property
    def of_items(self) -> tuple[str, str]:
        """Return filters for all topics of items: counts and discovery messages (which also match the other sensors').

        >>> parse_broker("mqtt://a").of_items
        ('larder/item/+', 'homeassistant/sensor/larder/+/config')
        """
        return f"{self.prefix}/item/+", _config(self, "+")


def parse_broker(url: str) -> Broker:
    """Parse LARDER_MQTT; raises SettingsError, which does not repeat the value.

    >>> parse_broker("mqtt://larder:secret@broker.example/kitchen")
    Broker(host='broker.example', port=1883, tls=False, prefix='kitchen')
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"LARDER_MQTT: the value is not the URL of a broker; {_ALLOWED}") from error
    prefix = parts.path.strip("/") or "larder"
    tls = parts.scheme == "mqtts"
    extra = parts.query or parts.fragment
    if parts.scheme not in ("mqtt", "mqtts") or not host or extra or not _PREFIX.fullmatch(prefix) or port == 0:
        raise SettingsError(f"LARDER_MQTT: the value is not the URL of a broker; {_ALLOWED}")
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return Broker(host, port or (8883 if tls else 1883), tls, user, password, prefix)


def slug(item: str) -> str:
    """Convert an item's name to a topic level of letters, digits, _ and -, unique for each item.

    >>> slug("soy sauce"), slug("crème fraîche")
    ('soy_sauce', 'cr_me_fra_che-28e5bcac')
    """
    if re.fullmatch("[a-z0-9]+( [a-z0-9]+)*", item):
        return item.replace(" ", "_")
    plain = re.sub("[^a-z0-9]+", "_", item).strip("_")[:40]
    return f"{plain}-{hashlib.sha256(item.encode()).hexdigest()[:8]}"


def _sensor(broker: Broker, name: str, id: str, topic: str) -> dict[str, Any]:
    """Return the discovery fields that all sensors share."""
    device = {"identifiers": [broker.prefix], "name": broker.prefix.capitalize(), "manufacturer": "Larder"}
    return {
        "name": name,
        "unique_id": f"{broker.prefix}_{id}",
        "state_topic": topic,
        "availability_topic": broker.status,
        "device": device | {"sw_version": __version__},
        "origin": {"name": "Larder", "sw_version": __version__},
    }


@lru_cache(2 * MAX_SENSORS)
def _item_config(broker: Broker, item: str) -> str:
    sensor = _sensor(broker, item, f"item_{slug(item)}", f"{broker.prefix}/item/{slug(item)}")
    return json.dumps(sensor | {"state_class": "measurement", "icon": "mdi:food-variant"})


def _recognition_config(broker: Broker) -> str:
    about = {
        "value_template": "{{ value_json.data.item }}",
        "json_attributes_topic": broker.recognition,
        "json_attributes_template": "{{ value_json.data | tojson }}",
        "force_update": True,  # two recognitions of the same item are two events
        "icon": "mdi:eye",
    }
    return json.dumps(_sensor(broker, "Last recognition", "last_recognition", broker.recognition) | about)


def retained(broker: Broker, items: Mapping[str, int], recognition: Event | None) -> dict[str, str]:
    """Return everything that the broker should retain, by topic; availability comes last."""
    topics = {_config(broker, "last_recognition"): _recognition_config(broker)}
    if recognition:
        topics[broker.recognition] = recognition.json
    for item, count in islice(items.items(), MAX_SENSORS):
        topics[f"{broker.prefix}/item/{slug(item)}"] = str(count)
        topics[_config(broker, f"item_{slug(item)}")] = _item_config(broker, item)
    return topics | {broker.status: "online"}


def _config(broker: Broker, id: str) -> str:
    return f"{DISCOVERY}/sensor/{broker.prefix}/{id}/config"
