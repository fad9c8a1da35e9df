"""A local fake of the Hugging Face hub: it serves files as the hub does, and misbehaves on request."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@lru_cache
def _checksum(kind: str, data: bytes) -> str:
    """Computed once: for half a gigabyte it takes longer than clients wait."""
    return hashlib.new(kind, data).hexdigest()


class StandIn:
    """The files of one repository, and how they are sent."""

    def __init__(self, repo: str, files: dict[str, bytes]) -> None:
        self.repo = repo
        self.files = files
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, file and Range of each request."""
        self.break_off_after: int | None = None
        """Bytes after which each response to GET ends without notice."""
        self.stalls = 0
        """Number of responses to GET that stop in the middle."""
        self.released = threading.Event()
        """Ends what stalls."""
        self.said_size: int | None = None
        """The size that is told of the weights."""
        self.sent: bytes | None = None
        """Bytes sent instead of the weights."""
        self.status = 200
        self.error = ""
        self.address = ""


@contextmanager
def serving(stand_in: StandIn) -> Iterator[StandIn]:
    """Serve on 127.0.0.1 and a free port, whose address is `stand_in.address`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": stand_in}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stand_in.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stand_in
    finally:
        stand_in.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub, range_ = self.hub, self.headers.get("Range")
        repo, _, rest = self.path.lstrip("/").partition("/resolve/")
        name = rest.partition("/")[2]
        hub.requests.append((self.command, name, range_))
        if hub.status != 200 or repo != hub.repo or name not in hub.files:
            missing = "RepoNotFound" if repo != hub.repo else "EntryNotFound"
            return self._refuse(404, missing) if hub.status == 200 else self._refuse(hub.status, hub.error)
        data, etag = hub.files[name], _checksum("sha1", hub.files[name])
        headers = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if large := name.endswith(".safetensors"):
            etag = _checksum("sha256", data)
            data = hub.sent or data
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(hub.said_size or len(data))}
        start = int(range_.removeprefix("bytes=").rstrip("-")) if range_ else 0
        part = data[start:]
        self.send_response(206 if range_ else 200)
        if range_:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        for key, value in (headers | {"ETag": f'"{etag}"', "Content-Length": str(len(part))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self._send(part, large)
        return None

    def _send(self, part: bytes, large: bool) -> None:
        hub = self.hub
        if large and hub.break_off_after is not None and len(part) > hub.break_off_after:
            part = part[: hub.break_off_after]
            self.close_connection = True
        if large and hub.stalls:
            hub.stalls -= 1
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            hub.released.wait()
            self.close_connection = True
            return
        self.wfile.write(part)

    def _refuse(self, status: int, error: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", error)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()
