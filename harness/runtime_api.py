"""A Lambda execution environment on this machine: awslambdaric in its own process, served by a Runtime API.

Implements the part of 2018-06-01 that awslambdaric uses: the next invocation, its response or error, errors at start.
"""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parent.parent
PATIENCE = 240  # seconds for an environment to start, to answer or to end; only ends a hang


class FunctionError(Exception):
    """The handler raised; the message is its report to the Runtime API."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Do nothing: a killed environment drops its connection."""


class Environment:
    """Started on construction; `invoke` sends an event and returns the handler's response.

    The settings are LARDER_ variables without the prefix. `end` returns its output, both streams.
    """

    def __init__(self, folder: Path = ROOT, **settings: object) -> None:
        self._events: queue.Queue[tuple[str, float, bytes] | None] = queue.Queue()  # None: no more events
        self._answers: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._initialised = threading.Event()
        self._api = _Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._api.serve_forever, daemon=True).start()
        variables = {f"LARDER_{name.upper()}": str(value) for name, value in settings.items()}
        variables |= {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}", "PYTHONPATH": str(ROOT)}
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - `end` closes it; a pipe that nobody reads fills up
        self._started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "app.lambda_handler.handler"],
            cwd=folder,
            env=os.environ | variables,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def ready(self) -> float:
        """Wait until the environment asks for its first event; returns the seconds since the process was started."""
        while not self._initialised.wait(0.002):
            if self.process.poll() is not None:
                raise RuntimeError(f"the environment ended: {self.end()}")
            if self.age > PATIENCE:
                raise RuntimeError(f"not ready within {PATIENCE} s")
        return self.age

    @property
    def age(self) -> float:
        """Return the seconds since the process was started."""
        return time.perf_counter() - self._started

    def invoke(self, event: object, seconds: float = 29) -> Any:
        """Return the handler's response to an event with this timeout; raises FunctionError if it raises."""
        self._events.put((str(uuid.uuid4()), time.time() + seconds, json.dumps(event).encode()))
        kind, body = self._answers.get(timeout=PATIENCE)
        if kind == "error":
            raise FunctionError(json.loads(body)["errorMessage"])
        return json.loads(body)

    def end(self) -> str:
        """Kill the process without notice, as Lambda does; returns its output."""
        self.process.kill()
        self._events.put(None)
        self.process.wait(PATIENCE)
        self._api.shutdown()
        self._api.server_close()
        with self._output as output:
            output.seek(0)
            return output.read()

    def __enter__(self) -> "Environment":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._output.closed:
            self.end()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        environment = self

        class Api(BaseHTTPRequestHandler):
            """The Runtime API of this environment."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                environment._initialised.set()
                invocation = environment._events.get()
                if invocation is None:
                    return
                number, deadline, event = invocation
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", number)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int(1000 * deadline)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:0:function:larder")
                self._body(event)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                environment._answers.put((self.path.rpartition("/")[2], body))
                self.send_response(202)
                self._body(b'{"status": "OK"}')

            def _body(self, body: bytes) -> None:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                """Do nothing."""

        return Api


def http_event(method: str, path: str, body: str | None = None, **changes: object) -> dict[str, Any]:
    """Build an event of an HTTP API, format 2.0, with a JSON body and some of its fields changed."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "test"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "larder.example", "content-type": "application/json", "x-forwarded-proto": "https"},
        "requestContext": {"stage": "$default", "http": http},
        "body": body,
        "isBase64Encoded": False,
    } | changes
