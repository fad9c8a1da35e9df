"""HTTP/1.1 over raw sockets: upgrades, framing, bounds of headers, connections and waits."""

import asyncio
import json
import resource
import socket
import threading
from contextlib import ExitStack, suppress
from functools import partial

import pytest
import uvicorn

from app.connection import DESCRIPTORS_RESERVED, Connection, Limits
from tests.conftest import wait_until

HANG = 60  # seconds; bounds a hang and nothing else
GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADES = [b"h2c", b"websocket", b"TLS/1.0", b"foo/2, bar", b"HTTP/2.0"]


class Echo:
    """An app that echoes the request; `/gate` waits for the gate, `/early` leaves the body unread."""

    def __init__(self):
        self.paths = []
        self.gate = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.paths.append(scope["path"])
        body, more = b"", scope["path"] != "/early"
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["path"] == "/gate":
            await self.gate.wait()
        names = [name.decode("latin-1") for name, _ in scope["headers"]]
        answer = json.dumps({"path": scope["path"], "body": body.decode(), "headers": names}).encode()
        headers = [(b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


class Client:
    """A client's connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=HANG)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """Return the status and the JSON of the next answer."""
        status = int(self.file.readline().split()[1])
        headers = dict(line.lower().split(b": ") for line in iter(self.file.readline, b"\r\n"))
        if status == 100:
            return status, None
        return status, json.loads(self.file.read(int(headers[b"content-length"])))

    def is_closed(self):
        """Return whether the server closes the connection without another byte."""
        try:
            return self.file.read() == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()


class Running:
    """A server running in a thread."""

    def __init__(self, **limits):
        self.echo = Echo()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        options = {"log_config": None, "access_log": False, "ws": "none", "lifespan": "off"}
        protocol = partial(Connection, limits=Limits(**limits))
        self.server = uvicorn.Server(uvicorn.Config(self.echo, http=protocol, **options))
        self.running = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        assert self.running.wait(HANG)

    def run(self):
        async def main():
            self.loop = asyncio.get_running_loop()
            self.running.set()
            await self.server.serve(sockets=[self.listener])

        asyncio.run(main())

    def open_gate(self):
        self.loop.call_soon_threadsafe(self.echo.gate.set)

    def end(self):
        with suppress(RuntimeError):  # the test has ended the server, and its loop is closed
            self.open_gate()
        self.server.should_exit = True
        self.thread.join(HANG)
        assert not self.thread.is_alive()


@pytest.fixture
def serve():
    """Start a server with some limits changed."""
    with ExitStack() as stack:

        def start(**limits):
            running = Running(**limits)
            stack.callback(running.end)
            return running

        yield start


@pytest.fixture
def connect(serve):
    """Connect to a server with some limits changed."""
    with ExitStack() as stack:

        def start(running=None, **limits):
            client = Client((running or serve(**limits)).port)
            stack.callback(client.close)
            return client

        yield start


def post(path, body, *headers):
    lines = [b"POST /%s HTTP/1.1" % path, b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", b""]), body


@pytest.mark.parametrize("upgrade", UPGRADES)
@pytest.mark.parametrize("pieces", [1, 2, "bytes"])
def test_a_request_for_an_upgrade_keeps_its_body(connect, upgrade, pieces):
    """The app gets the body of a request with `Upgrade`, without that header, for any split of the bytes."""
    head, body = post(b"a", b"hello", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + upgrade)
    client = connect()
    for piece in {1: [head + body], 2: [head, body], "bytes": [bytes([each]) for each in head + body]}[pieces]:
        client.send(piece)
    status, seen = client.answer()
    assert (status, seen["body"]) == (200, "hello")
    assert "upgrade" not in seen["headers"]
    client.send(GET % b"next")
    assert client.answer()[1]["path"] == "/next"


@pytest.mark.parametrize(
    ("version", "connection"), [(b"1.0", b"Upgrade"), (b"1.1", b"Upgrade, close"), (b"1.1", b"close, Upgrade")]
)
def test_the_last_request_of_a_connection_may_ask_for_an_upgrade(connect, version, connection):
    """A request with `Upgrade` that ends its connection, as HTTP/1.0 proxies send it, is answered, then it closes."""
    head, body = post(b"a", b"hello", b"Connection: " + connection, b"Upgrade: h2c")
    client = connect()
    client.send(head.replace(b"1.1", version, 1) + body)
    status, seen = client.answer()
    assert (status, seen["body"]) == (200, "hello")
    assert client.is_closed()


def test_nothing_is_smuggled_in_the_body_of_an_upgrade(serve, connect):
    """A request inside the body of a request with `Upgrade` is body."""
    running = serve()
    client = connect(running)
    inner = b"PUT /smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    head, body = post(b"a", inner, b"Connection: upgrade", b"Upgrade: h2c")
    client.send(head)
    client.send(body + GET % b"b")
    assert client.answer()[1]["body"] == inner.decode()
    assert client.answer()[1]["path"] == "/b"
    assert running.echo.paths == ["/a", "/b"]


def test_pipelined_upgrades_are_answered_in_turn(connect):
    """Requests with `Upgrade`, with and without a body, sized or chunked, stay in step on one connection."""
    asked = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    chunked = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + asked + b"\r\n2\r\nhi\r\n0\r\n\r\n"
    client = connect()
    client.send(b"GET /a HTTP/1.1\r\nHost: x\r\n" + asked + b"\r\n" + chunked)
    client.send(b"".join(post(b"d", b"x" * 100_000, asked.strip())) + GET % b"e")
    answers = [client.answer()[1] for _ in range(4)]
    assert [(each["path"], len(each["body"])) for each in answers] == [("/a", 0), ("/c", 2), ("/d", 100_000), ("/e", 0)]


def test_pipelined_requests_are_answered_in_turn(connect):
    """Ten requests in one packet give ten answers in their order."""
    client = connect()
    client.send(b"".join(GET % b"%d" % number for number in range(10)))
    assert [client.answer()[1]["path"] for _ in range(10)] == [f"/{number}" for number in range(10)]


def test_few_requests_may_wait_for_an_answer(connect):
    """Pipelined requests are parsed in one iteration of the event loop: beyond a bound the connection ends."""
    client = connect(pipelined=4)
    client.send(GET % b"a" * 4000)
    answers = [client.answer() for _ in range(6)]
    assert [status for status, _ in answers] == [200] * 5 + [429]
    assert client.is_closed()


@pytest.mark.parametrize("path", [b"all", b"early"])
def test_chunks_of_a_few_bytes_are_bounded(connect, path):
    """Each takes microseconds of the event loop, read by the app or not, and a client may send them for ever."""
    client = connect(body_pieces=100)
    client.send(b"POST /%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path)
    with suppress(ConnectionError):  # the client was still sending
        for _ in range(100):
            client.send(b"1\r\nx\r\n" * 1000)
        assert b" 400 " in client.file.read()


def test_chunks_within_the_bound_are_accepted(connect):
    """Small tokens and megabytes in line-sized chunks are accepted; the bound applies to each request."""
    client = connect(body_pieces=100)
    for body in (b"1\r\nx\r\n" * 100, b"50\r\n%s\r\n" % (b"x" * 80) * 5000, b"1\r\nx\r\n" * 100):
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n")
        assert client.answer()[0] == 200


def test_chunks_are_joined(connect):
    """A chunked body arrives whole; its extensions and trailers do not reach the app."""
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nab")
    client.send(b"c\r\n2\r\nde\r\n0\r\nX-API-Key: k\r\n\r\n" + GET % b"next")
    seen = client.answer()[1]
    assert (seen["body"], seen["headers"]) == ("abcde", ["host", "transfer-encoding"])
    assert client.answer()[1]["path"] == "/next"


def test_a_client_may_wait_for_continue(connect):
    """`Expect: 100-continue` is answered before the body."""
    client = connect()
    head, body = post(b"a", b"hello", b"Expect: 100-continue")
    client.send(head)
    assert client.answer()[0] == 100
    client.send(body)
    assert client.answer()[1]["body"] == "hello"


@pytest.mark.parametrize(
    "lines",
    [
        [b"X-A: 1", b"  folded"],
        [b"Content-Length: 3", b"Content-Length: 5"],
        [b"Content-Length: 3", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Content-Length: -1"],
        [b"Content-Length: 1e3"],
        [b"X-A : 1"],
        [b"X\0A: 1"],
        [b"X-A: 1\0"],
        [b"X\xff: 1"],
        [b"X-A: 1\r2"],
        [b"X-A"],
        [b"Host: y"],
    ],
)
def test_an_ambiguous_head_is_refused(serve, connect, lines):
    """A head that two servers could read in two ways is 400, in the one error shape, and ends the connection."""
    running = serve()
    client = connect(running)
    client.send(b"\r\n".join([b"POST /a HTTP/1.1", b"Host: x", *lines, b"", b""]) + b"abcde" + GET % b"b")
    status, answer = client.answer()
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert client.is_closed()
    assert running.echo.paths == []


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"CONNECT x:1 HTTP/1.1", 501), (b"GET / HTTP/3.0", 400), (b"GET /\xff HTTP/1.1", 400), (b"PRI * HTTP/2.0", 400)],
)
def test_what_is_no_request_of_http_1_is_refused(connect, request_line, status):
    """Tunnels, other versions and paths in other letters than ASCII end the connection with an error."""
    client = connect()
    client.send(request_line + b"\r\nHost: x\r\n\r\n" + GET % b"b")
    assert client.answer()[0] == status
    assert client.is_closed()


def test_a_request_without_a_host_is_refused_unless_it_is_of_http_1_0(connect):
    """RFC 9112, section 3.2, requires a Host header."""
    client = connect()
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert "one Host header" in client.answer()[1]["detail"]
    client = connect()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.answer()[0] == 200


def test_odd_values_reach_the_app(connect):
    """Empty values and values in Latin-1 are allowed."""
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-A:\r\nX-B: \xe9\xff\r\n\r\n")
    assert client.answer()[1]["headers"] == ["host", "x-a", "x-b"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 140_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"x" * 140_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 300 + b"\r\n",
        b"GET /" + b"x" * 140_000,
        b"G" * 140_000,
        b"\r\n" * 70_000 + b"G",
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " + b"x" * 140_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 140_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: " + b"x" * 140_000,
    ],
    ids=["value", "name", "lines", "path", "method", "blank lines", "upgrade", "extension", "trailer"],
)
def test_headers_are_bounded(serve, connect, head):
    """More than 64 KiB before or between chunks of a body close the connection."""
    running = serve()
    for data in (head, GET % b"first" + head):
        client = connect(running)
        client.send(data)
        answers = b""
        try:
            answers = client.file.read()
        except ConnectionResetError:  # the client was still sending
            continue
        assert (b" 431 " in answers) != (b" 400 " in answers)
    assert set(running.echo.paths) <= {"/first", "/"}


def test_headers_within_the_bound_are_accepted(connect):
    """60 KiB in one line, or 200 lines, are accepted, in pieces or pipelined."""
    client = connect()
    long = b"GET /long HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 60 * 1024 + b"\r\n\r\n"
    many = b"GET /many HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 200 + b"\r\n"
    body = b"".join(post(b"body", b"y" * 300_000))
    for data in (long + many + body + long, long[:30_000], long[30_000:] + body[:200_000], body[200_000:] + many):
        client.send(data)
    paths = [client.answer()[1]["path"] for _ in range(7)]
    assert paths == ["/long", "/many", "/body", "/long", "/long", "/body", "/many"]


@pytest.mark.parametrize("start", [b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", b"\r\n"])
def test_headers_have_a_deadline(connect, start):
    """Endless headers get 408, or no answer if no request began, and the connection is closed."""
    client = connect(head_s=0.1)
    client.send(start)
    if start != b"\r\n":
        assert client.answer()[0] == 408
    assert client.is_closed()


def test_a_deadline_holds_for_each_request_of_a_connection(connect):
    """A connection that answered one request is closed when the next one's headers do not end."""
    client = connect(head_s=0.5)
    client.send(GET % b"a")
    assert client.answer()[0] == 200
    client.send(b"GET /b HTTP/1.1\r\n")
    assert client.answer()[0] == 408
    assert client.is_closed()


def test_the_deadline_waits_for_the_app(serve, connect):
    """A pipelined request's head is not late while the app works on the previous one."""
    running = serve(head_s=0.05)
    client = connect(running)
    client.send(GET % b"gate" + b"GET /b HTTP/1.1\r\n")
    other = connect(running)
    other.send(b"G")
    assert other.answer()[0] == 408  # a deadline has passed
    running.open_gate()
    assert client.answer()[1]["path"] == "/gate"
    assert client.answer()[0] == 408


def test_the_rest_of_an_unread_body_has_a_deadline(connect):
    """The rest of an already answered request's body is read and dropped, until a deadline."""
    client = connect()
    head, body = post(b"early", b"x" * 100_000)
    client.send(head)
    assert client.answer()[0] == 200
    client.send(body + GET % b"next")
    assert client.answer()[1]["path"] == "/next"
    client = connect(discard_s=0.1)
    client.send(head + b"x")
    assert client.answer()[0] == 200
    assert client.is_closed()


def test_requests_before_a_broken_one_are_answered_first(serve, connect):
    """Invalid bytes do not replace the answer to the previous request."""
    for broken in (
        b"GARBAGE\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
    ):
        running = serve()
        client = connect(running)
        client.send(GET % b"gate" + broken)
        running.open_gate()
        assert client.answer()[1]["path"] == "/gate"
        assert client.answer()[0] == 400
        assert client.is_closed()


def test_a_broken_body_reaches_nobody(connect):
    """A chunk without a length is 400, and the app sees a disconnect."""
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nno length\r\n")
    assert client.answer()[0] == 400
    assert client.is_closed()


def test_the_longest_idle_connection_gives_way(serve, connect):
    """Above the limit a new connection is served, and the one that has been idle longest is closed."""
    running = serve(connections=3)
    silent, asked, busy = (connect(running) for _ in range(3))
    asked.send(GET % b"a")
    assert asked.answer()[0] == 200
    busy.send(GET % b"gate")
    wait_until(lambda: "/gate" in running.echo.paths, HANG)
    new = connect(running)
    new.send(GET % b"b")
    assert new.answer()[0] == 200
    assert silent.is_closed()
    newest = connect(running)
    newest.send(GET % b"c")
    assert newest.answer()[0] == 200
    assert asked.is_closed()
    running.open_gate()
    assert busy.answer()[1]["path"] == "/gate"


@pytest.mark.parametrize("headers", [[], [b"Connection: Upgrade", b"Upgrade: h2c"]])
def test_bodies_that_do_not_arrive_keep_nobody_out(serve, connect, headers):
    """Above the limit a connection that waits for a body is closed; one that is sending its body is kept."""
    running = serve(connections=2)
    silent, sending = connect(running), connect(running)
    for client, path in ((silent, b"a"), (sending, b"b")):
        head, body = post(path, b"hello", *headers)
        client.send(head + body[:1])
        wait_until(lambda path=path: f"/{path.decode()}" in running.echo.paths, HANG)
    sending.send(b"e")
    new = connect(running)
    new.send(GET % b"c")
    assert new.answer()[0] == 200
    assert silent.is_closed()
    sending.send(b"llo")
    assert sending.answer()[1]["body"] == "hello"


def test_a_body_behind_a_request_in_progress_is_waited_for(serve, connect):
    """A pipelined request without its body does not prevent the answer to the previous one."""
    running = serve(connections=1)
    busy = connect(running)
    busy.send(GET % b"gate" + post(b"b", b"x")[0])
    wait_until(lambda: "/gate" in running.echo.paths, HANG)
    assert connect(running).is_closed()
    running.open_gate()
    assert busy.answer()[1]["path"] == "/gate"
    busy.send(b"x")
    assert busy.answer()[1]["body"] == "x"


def test_without_an_idle_connection_a_new_one_is_closed(serve, connect):
    """Requests in progress are never given up for new clients."""
    running = serve(connections=1)
    busy = connect(running)
    busy.send(GET % b"gate")
    wait_until(lambda: "/gate" in running.echo.paths, HANG)
    assert connect(running).is_closed()
    running.open_gate()
    assert busy.answer()[0] == 200


def test_connections_fit_into_the_file_descriptors():
    """The limit depends on the number of files that the process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        assert Limits().within_descriptors().connections == 1024 - DESCRIPTORS_RESERVED
        assert Limits(connections=10).within_descriptors().connections == 10
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Endless:
    """An app that answers until its client disconnects."""

    def __init__(self):
        self.chunks = 0
        self.gone = threading.Event()
        self.gate = asyncio.Event()

    async def __call__(self, scope, receive, send):
        await receive()
        leaving = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not leaving.done():
            await send({"type": "http.response.body", "body": bytes(64 * 1024), "more_body": True})
            self.chunks += 1
            await asyncio.sleep(0)
        self.gone.set()


def test_a_client_that_takes_nothing_of_an_answer_is_dropped(serve, connect):
    """Data waiting to be sent does not wait forever, and neither does the app."""
    running = serve(stalled_s=0.2)
    running.server.config.loaded_app = running.server.config.app = app = Endless()
    client = connect(running)
    client.send(GET % b"endless")
    assert app.gone.wait(HANG)
    assert app.chunks > 0


def test_what_a_client_does_not_take_does_not_delay_the_end(serve, connect):
    """The service ends even if a client does not read its answer."""
    running = serve(stalled_s=3600, closing_s=0.2)
    running.server.config.loaded_app = running.server.config.app = app = Endless()
    client = connect(running)
    client.send(GET % b"endless")
    wait_until(lambda: any(each.flow.write_paused for each in list(running.server.server_state.connections)))
    running.server.should_exit = True
    assert app.gone.wait(HANG)
