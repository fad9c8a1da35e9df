"""A loopback server that answers each request by the next step of its script."""

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ITEM = {"item": "banana", "count": 4}


def problem(status: int, code: str, **headers: str) -> dict[str, Any]:
    """Return a step that answers with an error in Larder's form."""
    error = {"code": code, "message": f"{code}, said the service", "request_id": "r1"}
    return {"status": status, "body": json.dumps({"error": error, "detail": error["message"]}), "headers": headers}


OK = {"status": 200, "body": json.dumps(ITEM)}
BUSY = problem(503, "overloaded", **{"Retry-After": "0"})
DROP = {"drop": True}
HALF = {"status": 200, "body": json.dumps(ITEM), "cut": 10}
SILENT = {"silent": True}
"""A step that answers nothing until the server ends."""
PROXY = {"status": 502, "body": "<html>Bad gateway</html>"}
FOREIGN = {"status": 200, "body": json.dumps({"hello": "world"})}
GARBLED = {"status": 200, "body": json.dumps(ITEM), "headers": {"Content-Encoding": "gzip"}}


class Misbehaving:
    """Play `script`, one step per request, repeating the last; `requests` are the received ones."""

    def __init__(self, *script: dict[str, Any]) -> None:
        self.requests: list[dict[str, Any]] = []
        steps, lock, requests = list(script), threading.Lock(), self.requests
        self._ended = ended = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # connections are kept

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    step = steps.pop(0) if len(steps) > 1 else steps[0]
                    sent = {"path": self.path, "body": body, "headers": dict(self.headers)}
                    requests.append(sent | {"port": self.client_address[1]})
                if "silent" in step:
                    ended.wait()
                if "drop" in step or "silent" in step:
                    self.close_connection = True
                    self.connection.close()
                    return
                data = step["body"].encode()
                with suppress(OSError):  # the client may have gone away
                    self.send_response(step["status"])
                    self.send_header("Content-Length", str(len(data)))
                    for name, value in step.get("headers", {}).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data[: step.get("cut", len(data))])
                if "cut" in step:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> "Misbehaving":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
