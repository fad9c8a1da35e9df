"""The MQTT broker mosquitto on a free port of 127.0.0.1, and a client that records its messages."""

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

import paho.mqtt.client as paho

PROGRAM = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
PATIENCE = 240  # seconds; only ends a hang


class Mosquitto:
    """A broker; `stop` and `start` keep its port. `settings` are further lines of its configuration."""

    def __init__(self, folder: Path, settings: str = "allow_anonymous true\n") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        own = "user root\n" if os.geteuid() == 0 else ""  # as another user it cannot read files of root
        self._config.write_text(f"listener {self.port} 127.0.0.1\n{own}{settings}")
        self.start()

    def start(self) -> None:
        """Start it without retained messages, and wait until it listens."""
        assert PROGRAM
        self.process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        self.stop()
        raise RuntimeError("mosquitto does not listen")

    def stop(self) -> None:
        """Kill it, so that clients get no disconnect message."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def __enter__(self) -> "Mosquitto":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Watcher:
    """Subscribes to everything; `kept` is the last message of each topic, `heard` all messages in order."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        self.kept: dict[str, str] = {}
        self.heard: list[tuple[str, str]] = []
        self._subscribed = threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2)  # type: ignore[attr-defined]
        self.client.username_pw_set(user, password)
        self.client.on_message = self._hear
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe("#", 1)
        assert self._subscribed.wait(PATIENCE)

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish a message, and wait until the broker has it."""
        self.client.publish(topic, payload, 1, retain).wait_for_publish(PATIENCE)

    def _hear(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:  # noqa: ARG002
        topic, payload = message.topic, message.payload.decode()
        self.heard.append((topic, payload))
        if payload:
            self.kept[topic] = payload
        else:
            self.kept.pop(topic, None)

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.disconnect()
        self.client.loop_stop()
