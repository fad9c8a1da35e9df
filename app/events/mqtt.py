"""Publish the pantry's counts and the recognitions to an MQTT broker, and keep it current.

The complete retained state is computed, and what differs from the messages already sent is published. So counts that
another process changed arrive, and a broker that returns gets everything again.
"""

import asyncio
import random
import ssl
from contextlib import suppress

import aiomqtt

from app.errors import LarderError
from app.events.home_assistant import BIRTH, MAX_SENSORS, Broker, parse_broker, retained
from app.events.hub import Event, Hub
from app.log import get_logger
from app.metrics import Metrics
from app.pantry import PantryStore, known_items

POLL_S = 1.0  # polls the items for changes by other processes
TIMEOUT_S = 5.0  # for a response of the broker
KEEPALIVE_S = 30
MAX_INCOMING = 10_000  # messages waiting to be processed
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0  # between connections, with exponential backoff
BIRTH_WAIT_S = (
    1.0  # random delay at most before all is published to Home Assistant, because other services are asked too
)


class Mqtt:
    """Keeps one broker current; an absent broker delays nothing, and is retried."""

    def __init__(
        self, broker: Broker, pantry: PantryStore, metrics: Metrics, *, first_wait_s: float = FIRST_WAIT_S
    ) -> None:
        self._broker = broker
        self._pantry = pantry
        self._metrics = metrics
        self._first_wait_s = self._wait_s = first_wait_s
        self._tls = ssl.create_default_context() if broker.tls else None
        self._items: dict[str, int] | None = None  # not read yet
        self._recognition: Event | None = None
        self._seen = 0
        self._sent: dict[str, str] = {}
        """What this connection has published, by topic."""
        self._stale: set[str] = set()
        """Topics that the broker keeps from an earlier connection."""
        self._away = ""
        self._too_many = False

    async def run(self, hub: Hub) -> None:
        """Keep the broker current until the hub is closed."""
        while not hub.closed:
            client = self._client()
            try:
                async with client:
                    await self._keep_current(client, hub)
            except (aiomqtt.MqttError, OSError) as error:  # ssl's errors are OSErrors
                self._lost_connection(client, error)
                await hub.pause(self._wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - to spread a fleet
                self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def _client(self) -> aiomqtt.Client:
        broker = self._broker
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            tls_context=self._tls,
            will=aiomqtt.Will(broker.status, "offline", qos=1, retain=True),
            timeout=TIMEOUT_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=MAX_INCOMING,
        )

    async def _keep_current(self, client: aiomqtt.Client, hub: Hub) -> None:
        self._sent, self._stale = {}, set()
        topics = (BIRTH, self._broker.status, *self._broker.of_items)
        await client.subscribe([(topic, 1) for topic in topics])
        self._connected(hub)
        reading, loop = asyncio.create_task(self._read(client)), asyncio.get_running_loop()
        due = loop.time()
        try:
            while not hub.closed:
                if await self._publish_recognitions(client, hub) or loop.time() >= due:
                    await self._refresh_items()
                    await self._publish_changes(client)
                    due = loop.time() + POLL_S
                if reading.done():
                    reading.result()  # the connection is lost
                await hub.wait(self._seen, max(0.0, due - loop.time()))
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await client.publish(self._broker.status, "offline", qos=1, retain=True)

    async def _read(self, client: aiomqtt.Client) -> None:
        """Receive requests to publish everything again, and the retained messages of earlier connections."""
        async for message in client.messages:
            topic = message.topic.value
            if topic == BIRTH:
                if message.payload == b"online":
                    await asyncio.sleep(random.uniform(0, BIRTH_WAIT_S))  # noqa: S311 - to spread the load
                    self._sent.clear()
            elif topic == self._broker.status:
                if message.payload == b"offline":  # the last will of an earlier connection, or of another process
                    self._sent.pop(topic, None)
            elif message.retain and message.payload:
                self._stale.add(topic)

    async def _refresh_items(self) -> None:
        """Read the items; if the pantry is away, keep the previous ones."""
        with suppress(LarderError):
            self._items = await asyncio.to_thread(known_items, self._pantry)
            if len(self._items) > MAX_SENSORS and not self._too_many:
                get_logger().warning("MQTT has the first items by name", items=len(self._items), sensors=MAX_SENSORS)
                self._too_many = True

    async def _publish_recognitions(self, client: aiomqtt.Client, hub: Hub) -> bool:
        """Publish the recognitions since the last call in order; return whether the pantry was changed."""
        if missed := hub.missed(self._seen):
            self._metrics.delivered("mqtt", "lost", missed)
            get_logger().warning("MQTT events lost", lost=missed, reason="too many wait")
        events = hub.since(self._seen)
        for event in events:
            if event.kind == "recognition":
                await client.publish(self._broker.recognition, event.json, qos=1, retain=True)
                self._recognition, self._sent[self._broker.recognition] = event, event.json
                self._metrics.delivered("mqtt", "delivered")
            self._seen = event.number
        return any(event.kind == "change" for event in events)

    async def _publish_changes(self, client: aiomqtt.Client) -> None:
        """Publish retained messages that differ from what was sent, and clear those that should be gone."""
        wanted = retained(self._broker, self._items or {}, self._recognition)
        gone = set() if self._items is None else (self._stale | self._sent.keys()) - wanted.keys()
        for topic, payload in [*((topic, "") for topic in sorted(gone)), *wanted.items()]:
            if self._sent.get(topic) != payload:
                await client.publish(topic, payload, qos=1, retain=True)
                self._sent[topic] = payload
        for topic in gone:
            self._sent.pop(topic, None)
        self._stale -= gone

    def _connected(self, hub: Hub) -> None:
        """After an outage, publish only the last recognition and log how many were lost."""
        self._wait_s = self._first_wait_s
        recognitions = [event for event in hub.since(self._seen) if event.kind == "recognition"]
        lost = hub.missed(self._seen) + max(0, len(recognitions) - 1)
        if self._away and recognitions:
            self._seen = recognitions[-1].number - 1
            self._metrics.delivered("mqtt", "lost", lost)
        if self._away:
            get_logger().info("MQTT broker is back", host=self._broker.host, recognitions_lost=lost)
        self._away = ""

    def _lost_connection(self, client: aiomqtt.Client, error: Exception) -> None:
        """Log the first failure of an outage, and close the connection."""
        self._metrics.delivered("mqtt", "failed")
        if not self._away:
            get_logger().warning("MQTT broker is away", host=self._broker.host, reason=str(error.__cause__ or error))
        self._away = str(error) or type(error).__name__
        with suppress(Exception):  # aiomqtt leaves the socket of a connection open if the broker did not answer
            client._client.disconnect()


def open_mqtt(url: str, pantry: PantryStore, metrics: Metrics) -> Mqtt:
    """Create the client for LARDER_MQTT; raises SettingsError. `run` connects."""
    return Mqtt(parse_broker(url), pantry, metrics)
