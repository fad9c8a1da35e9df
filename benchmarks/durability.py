"""Test durability: counts across kill -9, adds from two processes, an absent Firestore."""

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx

from benchmarks.photo import photo
from benchmarks.rows import Row
from harness.emulator import MISSING, Emulator, find_jar
from harness.load import closed_loop, recognise
from harness.server import Server

PROJECT = "larder-chaos"


def served(model: str, folder: Path, **settings: object) -> Server:
    """Start a service."""
    server = Server(**{"model": model, "data": folder, "log_level": "error"} | settings)  # type: ignore[arg-type]
    server.ready()
    return server


def killed(model: str, folder: Path, rounds: int = 20) -> Row:
    """Send kill -9 during adds to a count; every acknowledged one must be there."""
    acknowledged, lost = 0, 0
    for number in range(rounds):
        with served(model, folder) as server:
            found = server.client.get("/pantry/rice")
            count = found.json()["count"] if found.status_code == 200 else 0
            lost += max(0, acknowledged - count)
            acknowledged = count

            def add(server: Server = server) -> int:
                done = 0
                try:
                    while True:
                        done += server.client.post("/pantry/rice/add", json={"quantity": 1}).status_code == 200
                except httpx.TransportError:
                    return done

            with ThreadPoolExecutor(4) as pool:
                adding = [pool.submit(add) for _ in range(4)]
                time.sleep(0.1 + 0.02 * number)
                server.process.kill()
                acknowledged += sum(each.result() for each in adding)
            server.end()
    with served(model, folder) as server:
        count = server.client.get("/pantry/rice").json()["count"]
    lost += max(0, acknowledged - count)
    return Row(
        f"kill -9 during adds of counts, {rounds} rounds",
        "every acknowledged add is there",
        f"{count} stored, {lost} acknowledged ones lost",
        kept=lost == 0 and count > 0,
    )


def thousand_adds(model: str, folder: Path) -> Row:
    """Add a thousand times to one item, through two processes on one data folder."""
    with served(model, folder) as one, served(model, folder) as other, ThreadPoolExecutor(16) as pool:

        def add(number: int) -> int:
            return (one, other)[number % 2].client.post("/pantry/oats/add", json={"quantity": 1}).status_code

        statuses = Counter(pool.map(add, range(1000)))
        counts = [server.client.get("/pantry/oats").json()["count"] for server in (one, other)]
    return Row(
        "1,000 concurrent adds from 2 processes",
        "the count is 1,000",
        f"{counts}, statuses {dict(statuses)}",
        kept=counts == [1000, 1000],
    )


def firestore(model: str, folder: Path) -> Row:
    """Stop Firestore and start it again with its data."""
    what, wanted = "Firestore stopped and started", "answers go on, staleness shown, writes 503, caught up within 5 s"
    jar = find_jar()
    if jar is None:
        return Row(what, wanted, MISSING)
    emulator = Emulator(jar)
    emulator.start()
    try:
        os.environ["FIRESTORE_EMULATOR_HOST"] = emulator.host
        with served(model, folder, pantry=f"firestore://{PROJECT}/pantry") as server:
            within(30, lambda: server.client.put("/pantry/rice", json={"count": 3}).status_code == 200)
            seed = emulator.save(PROJECT, folder)
            emulator.stop()
            went_on = {each.status for each in closed_loop(server.port, [recognise(photo())], 2, 20)}
            write = server.client.put(
                "/pantry/rice", json={"count": 4}, headers={"X-Request-Timeout": "30"}
            ).status_code
            stale = within(15, lambda: server.client.get("/").json()["pantry"]["status"] == "stale")
            emulator.start(seed)
            back = time.monotonic()
            caught_up = within(30, lambda: server.client.get("/").json()["pantry"]["status"] == "ok")
            seconds = time.monotonic() - back
            caught_up &= server.client.put("/pantry/oats", json={"count": 1}).status_code == 200
    finally:
        emulator.stop()
    seen = f"answers {went_on}, stale {stale}, write {write}, caught up after {seconds:.1f} s"
    return Row(what, wanted, seen, kept=went_on == {200} and stale and write == 503 and caught_up and seconds <= 5)


def within(seconds: float, true: Callable[[], bool]) -> bool:
    """Return whether the condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
