"""HTTP/1.1 connections: uvicorn's httptools protocol with bounded headers, connections and waits, without upgrades."""

import asyncio
import json
import math
import sys
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api import failures
from app.log import get_logger

DESCRIPTORS_RESERVED = 200  # for databases, label files and the model; the other file descriptors are for connections


@dataclass
class Limits:
    """Limits of one connection before the app sees its request, and on the number of connections.

    One object is shared by all connections of a server.
    """

    head_bytes: int = 64 * 1024
    """For the request line and headers; also for the framing of a body: chunk extensions and trailers."""
    header_lines: int = 256
    pipelined: int = 32
    """Pipelined requests, sent ahead of an earlier answer."""
    body_pieces: int = 2000
    """Chunks of bodies, beyond one per 64 bytes, between two answers."""
    head_s: float = 10
    """From the first byte of a request to the end of its headers."""
    discard_s: float = 60
    """For the rest of a body whose request is already answered."""
    stalled_s: float = 30
    """For a client to accept the next 48 KiB of a response; asyncio waits for that before it sends more."""
    closing_s: float = 2
    """For a client to accept the rest of a response when the service ends."""
    connections: int = 2000
    warning_interval_s: float = 10
    warned_at: float = -math.inf
    """Time of the last log message about too many connections, by the event loop's clock."""

    def within_descriptors(self) -> "Limits":
        """Return these limits with no more connections than the file descriptors that the process may have."""
        if sys.platform == "win32":  # it has no such limit
            return self
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self
        return replace(self, connections=min(self.connections, max(1, soft - DESCRIPTORS_RESERVED)))


class Refused(Exception):
    """A request that ends the connection before the app sees it."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def _parser_for(protocol: HttpToolsProtocol) -> Any:
    """Create a parser as uvicorn does; data after the last request of a connection is not an error."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class Connection(HttpToolsProtocol):
    """One connection of a client.

    llhttp does not read the body of a request with `Upgrade`. A server may ignore that header (RFC 9110, section 7.8),
    so the head is parsed a second time without it. When a connection is refused, earlier requests are answered first.
    """

    def __init__(self, *args: Any, limits: Limits | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits or Limits()
        self._deadline: asyncio.TimerHandle | None = None
        self._abort: asyncio.TimerHandle | None = None
        self._waiting_since = self.loop.time()
        self._in_head = False
        self._in_body = False
        self._upgrade_asked = False
        self._progressed = False  # whether the last bytes completed a head, a piece of a body or a message
        self._overhead = 0  # bytes since then
        self._pieces = 0  # of bodies, since the last answer
        self._piece_bytes = 0
        self._refusal: bytes | None = None

    @property
    def answering(self) -> bool:
        """True while the app works on a request of this connection."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def waiting(self) -> bool:
        """True while the connection waits for the client: for a request, its head or its body."""
        late = self._in_body and not (self.pipeline or self.flow.read_paused or self.cycle.response_started)
        return late or not self.answering

    # called by the event loop

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_next_request()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        self._stop_abort()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_abort(self._limits.stalled_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_abort()

    def shutdown(self) -> None:
        super().shutdown()
        if self.flow.write_paused or not self.answering:
            self._start_abort(self._limits.closing_s)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._waiting_since = self.loop.time()
        self._unset_keepalive_if_required()
        if not self.answering and not self._in_body:
            self._start_deadline(self._limits.head_s)
        view, size = memoryview(data), self._limits.head_bytes
        try:
            for start in range(0, len(view), size):
                self._parse(view[start : start + size])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refused) else Refused(HTTPStatus.BAD_REQUEST, "not HTTP/1.1"))
        except Refused as error:
            self._refuse(error)

    def _parse(self, data: memoryview | bytes) -> None:
        """Parse up to `head_bytes` bytes. Raise HttpParserError or Refused."""
        self._progressed = False
        length = len(data)
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as pause:
                self._upgrade_asked = False
                data = self._head_without_upgrade() + bytes(data[pause.args[0] :])
                self.parser = _parser_for(self)  # this one may be finished: after a last request it drops further data
        self._overhead = 0 if self._progressed else self._overhead + length
        if self._overhead > self._limits.head_bytes:
            raise self._too_large()

    def _head_without_upgrade(self) -> bytes:
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    # called by the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._start_deadline(self._limits.head_s)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers are dropped: no handler uses them
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._progressed = False, True
        self._stop_deadline()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._limits.head_bytes or len(self.headers) > self._limits.header_lines:
            raise self._too_large()
        if self.parser.get_method() == b"CONNECT":
            raise Refused(HTTPStatus.NOT_IMPLEMENTED, "CONNECT is not supported")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise Refused(HTTPStatus.BAD_REQUEST, f"one Host header is needed, {hosts} were found")
        self._upgrade_asked = self.parser.should_upgrade()
        if not self._upgrade_asked:
            self._in_body = True
            super().on_headers_complete()
        if len(self.pipeline) > self._limits.pipelined:  # all of 256 KiB would be parsed in one iteration of the loop
            message = f"more than {self._limits.pipelined} requests wait for the answer to one before them"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, message)

    def on_body(self, body: bytes) -> None:
        self._progressed = True
        self._pieces += 1
        self._piece_bytes += len(body)
        if self._pieces > self._limits.body_pieces + self._piece_bytes // 64:
            raise Refused(HTTPStatus.BAD_REQUEST, "the body comes in too many chunks of a few bytes")
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._progressed = True
        if self._upgrade_asked:
            return
        self._in_body = False
        super().on_message_complete()
        if not self.answering:  # the rest of an unread body
            self._stop_deadline()
            self._wait_for_next_request()

    # called when the app has answered

    def on_response_complete(self) -> None:
        self._pieces = self._piece_bytes = 0
        self._waiting_since = self.loop.time()
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal is not None:
            self._end()
        elif self._refusal is not None and not self.transport.is_closing():
            self.flow.pause_reading()  # uvicorn has resumed it
        elif last and (self._in_head or self._in_body) and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._start_deadline(self._limits.discard_s)  # a head has its deadline already

    def _wait_for_next_request(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    # deadlines, refusals

    def _start_deadline(self, seconds: float) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(seconds, self._on_deadline)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _start_abort(self, seconds: float) -> None:
        """Abort the connection after some seconds: a client that does not read would keep it open forever."""
        self._stop_abort()
        self._abort = self.loop.call_later(seconds, self.transport.abort)

    def _stop_abort(self) -> None:
        if self._abort is not None:
            self._abort.cancel()
            self._abort = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if self.answering:  # nothing is read meanwhile, so the client may not be late
            self._start_deadline(self._limits.head_s)
        elif self._in_head:
            message = f"the headers did not arrive within {self._limits.head_s:g} s"
            self._refuse(Refused(HTTPStatus.REQUEST_TIMEOUT, message))
        else:
            self.transport.close()

    def _too_large(self) -> Refused:
        message = (
            f"the request line and headers exceed {self._limits.head_bytes:,} bytes "
            f"or {self._limits.header_lines} lines"
        )
        return Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)

    def _refuse(self, error: Refused) -> None:
        """Answer with an error and close, after earlier requests have been answered."""
        body = json.dumps(failures.body("invalid_request", str(error), "")).encode()
        headers = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self._refusal = STATUS_LINE[error.status] + headers + body
        get_logger().info("connection refused", status=int(error.status), reason=str(error))
        waiting = bool(self.pipeline)
        if self._in_body and self.answering:  # the request whose body is broken is never answered
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if waiting:
                self.pipeline.popleft()
        elif self.answering:
            waiting = True
        if not waiting:
            self._end()
        elif not self.transport.is_closing():
            self.flow.pause_reading()  # nothing more is read, only answered

    def _end(self) -> None:
        self._stop_deadline()
        if self._refusal and not self.transport.is_closing():
            self.transport.write(self._refusal)
        self.transport.close()

    def _make_room(self) -> None:
        """Close the connection that has waited longest for its client; if none waits, this new one."""
        waiting = [each for each in self.connections if isinstance(each, Connection) and each.waiting]
        oldest = min(waiting, key=lambda each: each._waiting_since, default=self)
        limits, now = self._limits, self.loop.time()
        if now >= limits.warned_at + limits.warning_interval_s:
            limits.warned_at = now
            get_logger().warning("too many connections, closing the longest idle ones", limit=limits.connections)
        self.connections.discard(oldest)
        oldest.transport.close()
