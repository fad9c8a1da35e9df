"""Attacks on a running service, each with a concurrent probe that sends what a user and a load balancer send.

A row has the longest times of `GET /livez` and of recognising a small picture, with and without the attack, the growth
of the process's memory, and the outcome of the attack's own requests.
"""

import base64
import io
import json
import random
import resource
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

import httpx2 as httpx
from PIL import Image

from benchmarks.photo import photo
from benchmarks.rows import Row
from harness import hostile
from harness.server import Server, memory, reset_peak

LIVEZ_S = 0.25  # how much longer than usual `GET /livez` may take
PICTURE_S = 1.0  # and a small picture
MEMORY_MIB = 600
LONGEST_S = 20  # duration limit of an attack


class CameThrough(Exception):
    """The attack succeeded."""


def expect(held: bool, otherwise: str) -> None:
    """Raise CameThrough with this message unless the condition holds."""
    if not held:
        raise CameThrough(otherwise)


@dataclass
class Seen:
    """The results of a probe: seconds of each call, and the statuses."""

    livez: list[float] = field(default_factory=list)
    picture: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


@contextmanager
def probing(port: int) -> Iterator[Seen]:
    """Probe liveness and a small picture in turns until the block ends, at least once.

    In its own process: beside sixty attacking threads, the probe would measure its wait for the interpreter's lock.
    """
    seen, (ours, theirs) = Seen(), Pipe()
    asking = get_context("spawn").Process(target=_ask, args=(port, theirs))
    asking.start()
    theirs.close()  # so that a probe that ends too soon is an EOFError here
    ours.recv()  # it has begun
    try:
        yield seen
    finally:
        ours.send("over")
        saw: Seen = ours.recv()
        seen.livez, seen.picture, seen.statuses = saw.livez, saw.picture, saw.statuses
        asking.join()


def _ask(port: int, told: Connection) -> None:
    """Report the start, probe until told to end, and send the results."""
    seen = Seen()
    body = {"image_data": base64.b64encode(photo()).decode()}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        told.send("begun")
        while True:
            for took, method, path, sent in (
                (seen.livez, "GET", "/livez", None),
                (seen.picture, "POST", "/process-image", body),
            ):
                begun = time.monotonic()
                try:
                    seen.statuses[client.request(method, path, json=sent).status_code] += 1
                except httpx.TransportError:
                    seen.statuses[0] += 1
                took.append(time.monotonic() - begun)
            if told.poll(0.02):
                break
    told.send(seen)


Attack = Callable[[Server], str]
"""Runs the attack and describes the outcome; raises CameThrough."""


def attacked(server: Server, what: str, attack: Attack) -> Row:
    """Run one attack with the probe; afterwards the service must be as before."""
    with probing(server.port) as usual:
        time.sleep(1.5)
    before = memory(server, "VmRSS")
    reset_peak(server)
    with probing(server.port) as seen:
        try:
            outcome, held = attack(server), True
        except CameThrough as error:
            outcome, held = f"CAME THROUGH: {error}", False
    peak = memory(server, "VmHWM") - before
    livez, picture = max(seen.livez) - max(usual.livez), max(seen.picture) - max(usual.picture)
    shown = (
        f"{outcome}; GET /livez {max(seen.livez):.3f} s at most ({max(usual.livez):.3f} before), a small picture "
        f"{max(seen.picture):.3f} s ({max(usual.picture):.3f} before), {peak:+.0f} MiB, probes {dict(seen.statuses)}"
    )
    kept = held and set(seen.statuses) == {200} and livez <= LIVEZ_S and picture <= PICTURE_S and peak <= MEMORY_MIB
    return Row(what, f"/livez +{LIVEZ_S} s, a picture +{PICTURE_S:g} s, +{MEMORY_MIB} MiB at most", shown, kept=kept)


def statuses(
    server: Server, requests: Sequence[tuple[str, str, bytes] | tuple[str, str, bytes, str]], at_once: int = 8
) -> str:
    """Send requests (method, path, body, JSON or another media type) and count the statuses.

    Raises CameThrough on a 500 or a broken connection.
    """

    def send(request: tuple[str, str, bytes] | tuple[str, str, bytes, str]) -> int:
        method, path, body, media_type = (*request, "application/json")[:4]
        headers = {"Content-Type": media_type}
        with suppress(httpx.TransportError), httpx.Client(timeout=90) as client:
            return client.request(
                method, f"http://127.0.0.1:{server.port}{path}", content=body, headers=headers
            ).status_code
        return 0

    with ThreadPoolExecutor(at_once) as pool:
        answers = Counter(pool.map(send, requests))
    expect(not answers.keys() & {0, 500}, f"answers {dict(answers)}")
    return f"answers {dict(answers)}"


@contextmanager
def connections(server: Server, number: int) -> Iterator[list[socket.socket]]:
    """Open plain connections; refused ones are omitted."""
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            with suppress(OSError):
                made.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5)))
        yield made


def upgrades(server: Server) -> str:
    """Send protocol upgrades with a body in which another request is hidden (request smuggling)."""
    for protocol in ("h2c", "websocket", "TLS/1.0"):
        hidden = b"PUT /pantry/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n"
        for body in (b'{"quantity": 9}', hidden + b'{"count":1}'):
            head = (
                f"POST /pantry/upgraded/add HTTP/1.1\r\nHost: localhost\r\n"
                f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                connection.sendall(head.encode())
                time.sleep(0.1)
                connection.sendall(body)
                with suppress(OSError):
                    connection.recv(65536)
    count = server.client.get("/pantry/upgraded").json().get("count")
    expect(count == 27, f"the count is {count}, 27 was sent")
    expect(server.client.get("/pantry/smuggled").status_code == 404, "a hidden request was carried out")
    return "the body is read, nothing else carried out"


def header_flood(server: Server) -> str:
    """Send four connections with one header of 30 MiB each, and four with a million header lines."""

    def flood(line: bytes, times: int) -> int:
        sent = 0
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            for _ in range(times):
                connection.sendall(line)
                sent += len(line)
        return sent

    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(flood, b"x" * 65536, 480) for _ in range(4)]
        sent += [pool.submit(flood, b"X-A: b\r\n" * 8192, 120) for _ in range(4)]
        most = max(each.result() for each in sent)
    expect(most < 10 * 2**20, f"{most:,} bytes of headers were taken")
    return f"connections end after at most {most:,} bytes"


def endless_headers(server: Server) -> str:
    """Open 1,100 connections whose headers never end (Slowloris)."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with connections(server, 1100) as made:
        for each in made:
            with suppress(OSError):
                each.sendall(b"GET / HTTP/1.1\r\nX-A: ")
        deadline = time.monotonic() + LONGEST_S
        waiting = set(made)
        while waiting and time.monotonic() < deadline:
            for each in list(waiting):
                each.setblocking(False)
                with suppress(BlockingIOError):
                    try:
                        if not each.recv(4096):
                            waiting.discard(each)
                    except ConnectionError:
                        waiting.discard(each)
            time.sleep(0.2)
    expect(not waiting, f"{len(waiting)} of {len(made)} connections are still open after {LONGEST_S} s")
    return f"{len(made)} connections are closed in time"


def crumbs(server: Server) -> str:
    """Twenty bodies in chunks of one byte without an end, and twenty connections that send and never read."""
    chunked = b"POST /classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    ahead = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000

    def send(begin: bytes, more: bytes) -> int:
        sent, deadline = 0, time.monotonic() + LONGEST_S / 4
        with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(begin)
            while time.monotonic() < deadline:
                connection.sendall(more)
                sent += len(more)
        return sent

    with ThreadPoolExecutor(40) as pool:
        some = [(chunked, b"1\r\nx\r\n" * 10_000), (ahead, ahead)] * 20
        most = max(pool.map(lambda each: send(*each), some))
    expect(most < 10 * 2**20, f"{most:,} bytes of a few each were taken")
    return f"connections end after at most {most:,} bytes"


def slow_bodies(server: Server) -> str:
    """Send two hundred bodies, one byte at a time."""
    with connections(server, 200) as made:
        for each in made:
            each.sendall(b"POST /process-image HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n")
            each.sendall(b"Content-Type: application/json\r\n\r\n")
        for _ in range(20):
            for each in made:
                with suppress(OSError):
                    each.sendall(b"{")
            time.sleep(0.2)
    return f"{len(made)} slow senders"


def wrong_elements(server: Server) -> str:
    """Send lists and maps with millions of wrong elements, and hundreds of thousands of unknown fields."""
    fields = json.dumps({f"field{number}": 1 for number in range(90_000)}).encode()
    bodies = [
        ("POST", "/classify", b'{"image_data":"x","labels":[' + b"1," * 4_000_000 + b"1]}"),
        (
            "POST",
            "/models/larder-small",
            b'{"inputs":"x","parameters":{"candidate_labels":[' + b"1," * 1_000_000 + b"1]}}",
        ),
        ("POST", "/v1/embeddings", b'{"input":[' + b"{}," * 90_000 + b"{}]}"),
        (
            "POST",
            "/classify",
            b'{"image_data":"x","labels":{' + b",".join(b'"%d":1' % n for n in range(90_000)) + b"}}",
        ),
        ("POST", "/pantry/x/add", fields),
        ("POST", "/feedback", fields),
        ("POST", "/contents/search", b'{"text":"a","filter":' + fields + b"}"),
    ]
    return statuses(server, bodies * 2)


def line_breaks(server: Server) -> str:
    """Send templates and texts of line breaks, which were slow to normalise."""
    labels = [f"x{number}" for number in range(1000)]
    template = json.dumps({"image_data": "x", "labels": labels, "template": "\n" * 196 + "{}"}).encode()
    texts = [("\n" * 1900) + f"x{number}" for number in range(200)]
    embeddings = json.dumps({"input": texts}).encode()
    mojibake = json.dumps({"input": [f"Ã\x85{number}" * 300 for number in range(200)]}).encode()
    bodies = [("POST", "/classify", template)] * 40
    return statuses(
        server, bodies + [("POST", "/v1/embeddings", embeddings), ("POST", "/v1/embeddings", mojibake)] * 2, 40
    )


def many_scans(server: Server) -> str:
    """Send progressive JPEGs with a scan repeated a hundred thousand times."""
    file = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(file, "JPEG", progressive=True, quality=10)
    data = file.getvalue()
    begin = data.rfind(b"\xff\xda")  # the last scan
    scan = data[begin : data.rfind(b"\xff\xd9")]
    bomb = data[:begin] + scan * (7_000_000 // len(scan)) + b"\xff\xd9"
    body = json.dumps({"image_data": base64.b64encode(bomb).decode()}).encode()
    text = base64.b64encode(bomb).decode()
    put = json.dumps({"type": "image", "image_data": text, "thumbnail": True}).encode()
    return statuses(server, [("POST", "/process-image", body)] * 2 + [("PUT", "/contents/scans", put)])


def tiny_giants(server: Server) -> str:
    """Send WebPs of some dozen bytes and fifty megapixels, as frames, regions, embeddings, contents and examples."""
    file = io.BytesIO()
    Image.new("RGB", (16383, 3051), (200, 30, 30)).save(file, "WEBP", lossless=True)
    text = base64.b64encode(file.getvalue()).decode()
    uris = [f"data:image/webp;x={number};base64,{text}" for number in range(1000)]
    bodies = [
        ("POST", "/process-image", {"image_data": text, "regions": [[n, 0, n + 2000, 3000] for n in range(32)]}),
        ("POST", "/process-image", {"images": [text] * 16}),
        ("POST", "/process-image", {"image_data": text, "tiles": "auto"}),
        ("PUT", "/contents/giant", {"type": "image", "image_data": text, "thumbnail": True}),
        ("POST", "/pantry/giant/examples", {"images": [text] * 4}),
        *[("POST", "/v1/embeddings", {"input": uris})] * 8,
    ]
    encoded = [(method, path, json.dumps(body).encode()) for method, path, body in bodies]
    return statuses(server, encoded, 13)


def almost_large(server: Server) -> str:
    """For some seconds send sixty pictures at once of the largest cost that is decoded concurrently."""
    file = io.BytesIO()
    hostile.photograph().resize((1730, 1730), Image.Resampling.NEAREST).save(file, "PNG", compress_level=1)
    lossless = hostile.riff(hostile.vp8l(330, 330))
    bodies = [
        json.dumps({"image_data": base64.b64encode(data).decode()}).encode() for data in (file.getvalue(), lossless)
    ]
    return statuses(server, [("POST", "/process-image", body) for body in bodies] * 120, 60)


def costly_pictures(server: Server) -> str:
    """Send pictures with a large cost for their size to every call that takes one, eight at a time."""
    model = server.client.get("/").json()["model"]
    return statuses(server, [call for _, data in hostile.costly() for call in hostile.calls(data, model)])


def foreign_origins(server: Server) -> str:
    """Send changes from pages of other sites without a preflight, and host names rebound to this machine."""
    client, answers = server.client, Counter[int]()
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for headers in (
        foreign,
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Host": "rebind.evil.example"},
    ):
        answers[client.post("/pantry/planted/add", headers=headers).status_code] += 1
        plain = headers | {"Content-Type": "text/plain"}
        path = "/mv_retrieval/v0.1/add_content?id=planted&type=text"
        answers[client.post(path, content=b"planted", headers=plain).status_code] += 1
    expect(client.get("/pantry/planted").status_code == 404, "a page of another site changed the pantry")
    expect(client.get("/contents/planted").status_code == 404, "a page of another site planted an entry")
    return f"answers {dict(answers)}"


def locked_pantry(folder: Path) -> Attack:
    """Hold a lock on the pantry from another program during fifty changes."""

    def attack(server: Server) -> str:
        locking = sqlite3.connect(folder / "pantry.sqlite", isolation_level=None, timeout=30)
        locking.execute("BEGIN IMMEDIATE")
        try:
            return statuses(server, [("POST", "/pantry/locked/add", b"")] * 50, 50)
        finally:
            locking.execute("ROLLBACK")
            locking.close()

    return attack


def full_disk(server: Server) -> str:
    """Let no file grow: what cannot be stored is refused, and everything else continues."""
    pid = server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        big = json.dumps({"type": "text", "text": "x" * 9000}).encode()
        return statuses(
            server, [("PUT", f"/contents/full{n}", big) for n in range(40)] + [("POST", "/pantry/full/add", b"")] * 20
        )
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def half_written_labels(labels: Path) -> Attack:
    """Truncate the label file and rewrite it slowly, in pieces."""
    text = labels.read_text()

    def attack(server: Server) -> str:
        versions = set()
        for _ in range(5):
            with labels.open("w") as file:
                for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
                    time.sleep(0.15)
                    answer = server.client.get("/labels")
                    expect(answer.status_code == 200, f"GET /labels: {answer.status_code}")
                    versions.add(answer.json()["version"])
                    file.write(piece)
                    file.flush()
        time.sleep(1)
        last = server.client.get("/labels").json()["version"]
        expect(versions == {last}, f"{len(versions)} versions of the labels were served, of one file")
        return "one version of the labels is served"

    return attack


def attacks(model: str, folder: Path) -> Iterator[Row]:
    """Run every attack on one service, the mildest first."""
    labels = folder / "labels.txt"
    labels.write_text(Path("labels/pantry.txt").read_text())
    random.seed(0)
    with Server(model=model, data=folder, labels=labels, log_level="error") as server:
        server.ready()
        for what, attack in {
            "pages of other sites": foreign_origins,
            "requests with Upgrade": upgrades,
            "a label file that is being written": half_written_labels(labels),
            "a locked pantry": locked_pantry(folder),
            "a full disk": full_disk,
            "slow bodies": slow_bodies,
            "headers without an end": endless_headers,
            "floods of headers": header_flood,
            "floods of small chunks and of requests": crumbs,
            "line breaks in texts": line_breaks,
            "wrong elements by the million": wrong_elements,
            "JPEGs of many scans": many_scans,
            "giants in few bytes": tiny_giants,
            "sixty almost large pictures at once": almost_large,
            "costly pictures at every call": costly_pictures,
        }.items():
            yield attacked(server, what, attack)
