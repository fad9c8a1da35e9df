"""Attacks on a running service, each beside a probe that asks what a user and a load balancer ask.

A row says how long `GET /livez` and the recognition of a small picture took at most, with and without the attack, how
much memory the process took on top, and what became of the attack's own requests.
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
from harness.server import Server, memory

LIVEZ_S = 0.25  # `GET /livez` may take longer than usual by this
PICTURE_S = 1.0  # and a small picture by this
MEMORY_MIB = 600
LONGEST_S = 20  # an attack ends after this


class CameThrough(Exception):
    """An attack did what it was meant to do."""


def expect(held: bool, otherwise: str) -> None:
    """Raises CameThrough with these words unless the service held."""
    if not held:
        raise CameThrough(otherwise)


@dataclass
class Seen:
    """What a probe saw: seconds of each call, and the statuses."""

    livez: list[float] = field(default_factory=list)
    picture: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


@contextmanager
def probing(port: int) -> Iterator[Seen]:
    """Ask for liveness and for a small picture, one after the other, until the block ends; once at least.

    In a process of its own: beside sixty threads that attack, the probe would measure how long it waits for the
    interpreter's lock.
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
    """Say that the probe has begun, ask until told to end, and send what was seen."""
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
"""Carries the attack out, returns in words what became of it; raises CameThrough."""


def attacked(server: Server, what: str, attack: Attack) -> Row:
    """One attack beside the probe; the service must be as it was afterwards."""
    with probing(server.port) as usual:
        time.sleep(1.5)
    before = memory(server, "VmRSS")
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # VmHWM starts again from here
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
    """Send requests (method, path, body, JSON or another media type) and count the answers.

    A 500 or a broken connection came through.
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
    """Plain connections; those that the service refuses are missing."""
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            with suppress(OSError):
                made.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5)))
        yield made


def upgrades(server: Server) -> str:
    """Requests that ask for another protocol, with a body in which another request is hidden."""
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
    """Four connections of 30 MiB of one header each, and four of a million header lines."""

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
    """1,100 connections whose headers never end."""
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


def slow_bodies(server: Server) -> str:
    """Two hundred bodies that come a byte at a time."""
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
    """Lists and maps of wrong elements by the million, and unknown fields by the hundred thousand."""
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
    """Templates and texts of line breaks, which were slow to normalise."""
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
    """Progressive JPEGs with a scan repeated a hundred thousand times."""
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
    """Some dozen bytes of WebP that are fifty megapixels, as frames, regions, embeddings, contents and examples."""
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
    """Sixty pictures at once, for some seconds, of just the cost up to which they are decoded beside others."""
    file = io.BytesIO()
    hostile.photograph().resize((1730, 1730), Image.Resampling.NEAREST).save(file, "PNG", compress_level=1)
    lossless = hostile.riff(hostile.vp8l(330, 330))
    bodies = [
        json.dumps({"image_data": base64.b64encode(data).decode()}).encode() for data in (file.getvalue(), lossless)
    ]
    return statuses(server, [("POST", "/process-image", body) for body in bodies] * 120, 60)


def costly_pictures(server: Server) -> str:
    """Pictures that cost far more than they weigh, at every call that takes one, eight at a time."""
    model = server.client.get("/").json()["model"]
    return statuses(server, [call for _, data in hostile.costly() for call in hostile.calls(data, model)])


def foreign_origins(server: Server) -> str:
    """Changes that pages of other sites send without a preflight, and names that are rebound to this machine."""
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
    """Another program holds a lock on the pantry while fifty changes come."""

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
    """No file may grow: what cannot be stored is refused, and everything else goes on."""
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
    """The label file is truncated and written again, slowly, in pieces."""
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
    """Every attack on one service, in turn, from the mildest."""
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
            "line breaks in texts": line_breaks,
            "wrong elements by the million": wrong_elements,
            "JPEGs of many scans": many_scans,
            "giants in few bytes": tiny_giants,
            "sixty almost large pictures at once": almost_large,
            "costly pictures at every call": costly_pictures,
        }.items():
            yield attacked(server, what, attack)
