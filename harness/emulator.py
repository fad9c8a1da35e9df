"""Google's Firestore emulator for tests: found, started on a free port, stopped, and restarted with its data."""

import json
import os
import random
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
MISSING = (
    "the Firestore emulator is not there: install it with `gcloud components install cloud-firestore-emulator` and "
    "Java 11 or later, or name a running one in FIRESTORE_EMULATOR_HOST"
)


def find_jar() -> Path | None:
    """Return the emulator's jar, beside gcloud or in Firebase's tools; None without it or without Java."""
    gcloud = shutil.which("gcloud")
    found = [Path(gcloud).resolve().parents[1] / JAR] if gcloud else []
    found += sorted((Path.home() / ".cache/firebase/emulators").glob("cloud-firestore-emulator-*.jar"), reverse=True)
    return next((jar for jar in found if jar.exists()), None) if shutil.which("java") else None


def free_port() -> int:
    """Return a free port below the ephemeral range, so that it stays free."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as listening, suppress(OSError):
            listening.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port between 20,000 and 32,000")


class Emulator:
    """One emulator, or the one that FIRESTORE_EMULATOR_HOST names, which is then neither started nor stopped."""

    def __init__(self, jar: Path | None = None) -> None:
        self._jar = jar
        self._process: subprocess.Popen[bytes] | None = None
        self.host = f"127.0.0.1:{free_port()}" if jar else os.environ["FIRESTORE_EMULATOR_HOST"]

    def start(self, *more: str) -> None:
        """Start it and wait until it answers."""
        main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
        # it lives for minutes: C2 and parallel garbage collection would cost more than they save
        command = [
            "java",
            "-Xmx768m",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-cp",
            str(self._jar),
            main,
            "start",
        ]
        address = [f"--host={self.host.split(':')[0]}", f"--port={self.host.split(':')[1]}"]
        log = subprocess.DEVNULL
        self._process = subprocess.Popen([*command, *address, *more], stdout=log, stderr=log)
        deadline = time.monotonic() + 240
        while not self._answers():
            assert time.monotonic() < deadline, "the emulator does not start"
            assert self._process.poll() is None, "the emulator has ended"
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def save(self, project: str, folder: Path) -> str:
        """Write a project's documents to a folder; returns what `start` needs to load them."""
        body = {"database": f"projects/{project}/databases/(default)", "export_directory": str(folder)}
        data = json.dumps(body | {"export_name": "saved"}).encode()
        url = f"http://{self.host}/emulator/v1/projects/{project}:export"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()
        return f"--seed_from_export={folder}/saved/saved.overall_export_metadata"

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://{self.host}/", timeout=1).close()
        except OSError:
            return False
        return True


class Cable:
    """A TCP proxy to the emulator that tests can cut (connections end) or block (nothing passes)."""

    def __init__(self, host: str) -> None:
        self._target = (host.split(":")[0], int(host.split(":")[1]))
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._asking, self._answering = threading.Event(), threading.Event()
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._listening: socket.socket | None = None
        self.mend()

    def mend(self) -> None:
        """Connect and pass everything on."""
        self._asking.set()
        self._answering.set()
        if self._listening is None:
            self._listening = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def block(self, answers_alone: bool = False) -> None:
        """Pass nothing on, or none of the emulator's answers, without ending connections."""
        self._answering.clear()
        if not answers_alone:
            self._asking.clear()

    def cut(self) -> None:
        """End all connections and accept no new ones."""
        with self._lock:
            listening, self._listening = self._listening, None
            for each in [*self._sockets, *([listening] if listening else [])]:
                with_end(each)
            self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self._sockets += [near, far]
            for way in ((near, far, self._asking), (far, near, self._answering)):
                threading.Thread(target=self._copy, args=way, daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket, flowing: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                flowing.wait()
                sink.sendall(data)
        with_end(source)
        with_end(sink)


def with_end(connection: socket.socket) -> None:
    """Shut a socket down, which wakes up its readers, and close it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
