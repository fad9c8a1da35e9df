"""What Home Assistant is told over MQTT: retained messages by topic, those of its discovery among them.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery

Each item is a sensor with a discovery message of its own. One message for the whole device would be sent again, with
all items in it, whenever an item comes or goes.
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

MAX_SENSORS = 1000  # the first by name; Home Assistant is slow with more
DISCOVERY = "homeassistant"  # its own prefix, unless it was changed there
BIRTH = f"{DISCOVERY}/status"  # where Home Assistant says `online` when it has started
_PREFIX = re.compile("[A-Za-z0-9_-]{1,64}")
_ALLOWED = "mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX] or mqtts://... is allowed, PREFIX of letters, digits, _ and -"


@dataclass(frozen=True)
class Broker:
    """Where the broker is, and the first level of the topics that are ours."""

    host: str
    port: int
    tls: bool
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    prefix: str

    @property
    def status(self) -> str:
        """The topic of availability."""
        return f"{self.prefix}/status"

    @property
    def recognition(self) -> str:
        """The topic of the last recognition."""
        return f"{self.prefix}/recognition"

    @property
    def of_items(self) -> tuple[str, str]:
        """What all topics of items match: their counts, and their discovery messages with those of the other sensors.

        >>> parse_broker("mqtt://a").of_items
        ('larder/item/+', 'homeassistant/sensor/larder/+/config')
        """
        return f"{self.prefix}/item/+", _config(self, "+")


def parse_broker(url: str) -> Broker:
    """Take LARDER_MQTT apart; raises SettingsError, which does not repeat it.

    >>> parse_broker("mqtt://larder:secret@broker.example/kitchen")
    Broker(host='broker.example', port=1883, tls=False, prefix='kitchen')
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"LARDER_MQTT: that value is no address of a broker; {_ALLOWED}") from error
    prefix = parts.path.strip("/") or "larder"
    tls = parts.scheme == "mqtts"
    extra = parts.query or parts.fragment
    if parts.scheme not in ("mqtt", "mqtts") or not host or extra or not _PREFIX.fullmatch(prefix) or port == 0:
        raise SettingsError(f"LARDER_MQTT: that value is no address of a broker; {_ALLOWED}")
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    return Broker(host, port or (8883 if tls else 1883), tls, user, password, prefix)


def slug(item: str) -> str:
    """An item's name in topics: letters, digits, _ and -; no two items have the same.

    >>> slug("soy sauce"), slug("crème fraîche")
    ('soy_sauce', 'cr_me_fra_che-28e5bcac')
    """
    if re.fullmatch("[a-z0-9]+( [a-z0-9]+)*", item):
        return item.replace(" ", "_")
    plain = re.sub("[^a-z0-9]+", "_", item).strip("_")[:40]
    return f"{plain}-{hashlib.sha256(item.encode()).hexdigest()[:8]}"


def _sensor(broker: Broker, name: str, id: str, topic: str) -> dict[str, Any]:
    """What all sensors tell Home Assistant of themselves."""
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
        "force_update": True,  # the same item twice is two recognitions
        "icon": "mdi:eye",
    }
    return json.dumps(_sensor(broker, "Last recognition", "last_recognition", broker.recognition) | about)


def retained(broker: Broker, items: Mapping[str, int], recognition: Event | None) -> dict[str, str]:
    """All that the broker should keep, by topic; availability comes last, when everything else is there."""
    topics = {_config(broker, "last_recognition"): _recognition_config(broker)}
    if recognition:
        topics[broker.recognition] = recognition.json
    for item, count in islice(items.items(), MAX_SENSORS):
        topics[f"{broker.prefix}/item/{slug(item)}"] = str(count)
        topics[_config(broker, f"item_{slug(item)}")] = _item_config(broker, item)
    return topics | {broker.status: "online"}


def _config(broker: Broker, id: str) -> str:
    return f"{DISCOVERY}/sensor/{broker.prefix}/{id}/config"
