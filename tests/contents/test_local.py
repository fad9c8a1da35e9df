"""The local content store: nothing acknowledged is lost, and readers do not wait for a writer."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing

import numpy as np
import pytest

from app.contents import EVERYTHING, Content, Where
from app.contents.group_commit import GroupCommit
from app.contents.index import IndexOptions
from app.contents.local import LocalContents
from app.contents.metadata import Condition
from app.errors import StoreUnavailable
from harness.killed import reported_until_killed
from tests.conftest import wait_until
from tests.contents.adder import add_without_end
from tests.contents.brute import drawn
from tests.contents.conftest import MODEL
from tests.contents.hammer import hammer

X = np.eye(4, dtype=np.float32)[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "contents.sqlite"


@pytest.fixture
def store(path):
    with closing(LocalContents(path, MODEL, threads=2)) as store:
        yield store


def test_acknowledged_contents_survive_kill_9(path):
    """After each of 20 kills at any moment, every acknowledged entry is found by vector and by filter."""
    acknowledged = set()
    for turn in range(20):
        ids = reported_until_killed(add_without_end, path, MODEL, turn, reports=20 + turn)
        acknowledged |= set(ids)
        with closing(LocalContents(path, MODEL, threads=1)) as store:
            assert {hit.id for hit in store.search(X, 10**6)} >= acknowledged
            last = ids[-1]
            assert [hit.id for hit in store.search(X, 5, Where(conditions=(Condition("id", "eq", last),)))] == [last]
            assert store.count() == len(store.search(X, 10**6))


def test_eight_threads_against_a_slow_model(tmp_path):
    """Concurrent changes, searches and rebuilds give no wrong answer."""
    hammer(tmp_path, steps=400)


def test_conditions_that_few_meet_still_find_k(store):
    """With 300 entries near the query and 12 distant ones that meet the conditions, the 12 are found."""
    for number, vector in enumerate(drawn(np.random.default_rng(0), 300)):
        near = np.abs(vector) * [1, 0.1, 0.1, 0.1]
        content = Content(f"near {number}", "text", "near", metadata={"rare": 0})
        store.put(content, (near / np.linalg.norm(near)).astype(np.float32))
        if number % 25 == 0:
            store.put(Content(f"far {number}", "text", "far", metadata={"rare": number + 1}), -X)
    hits = store.search(X, 10, Where(conditions=(Condition("rare", "gt", 0),)))
    assert len(hits) == 10
    assert all(hit.id.startswith("far") for hit in hits)
    assert len(store.search(X, 100, Where(conditions=(Condition("rare", "gt", 0),)))) == 12


def test_readers_wait_for_no_writer(store):
    """While a transaction is open, entries are read and searched."""
    store.put(Content("a", "text", "a"), X)
    writer = store._database._writer
    writer.execute("BEGIN IMMEDIATE")
    assert store.get("a").text == "a"
    assert [hit.id for hit in store.search(X, 5, Where(type="text"))] == ["a"]
    writer.execute("ROLLBACK")


def test_a_file_that_is_no_database_is_said_at_the_start(path):
    """A wrong file is refused with its name, not overwritten."""
    path.parent.mkdir()
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnavailable, match="contents.sqlite cannot be opened"):
        LocalContents(path, MODEL, threads=1)
    assert path.read_bytes().startswith(b"this is not")


def test_a_change_that_cannot_be_stored_changes_nothing(store):
    """It is an error, nothing of it is found, and the next change is stored."""
    store.put(Content("a", "text", "a"), X)
    store._database._writer.execute("ALTER TABLE facts RENAME TO lost")
    with pytest.raises(StoreUnavailable):
        store.put(Content("a", "text", "new", metadata={"n": 1}), -X)
    assert store.search(X, 5)[0].score == 1
    assert store.get("a").text == "a"
    store._database._writer.execute("ALTER TABLE lost RENAME TO facts")
    assert not store.put(Content("a", "text", "new", metadata={"n": 1}), -X)


def rows(store, table):
    return store._database._writer.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_what_is_deleted_leaves_nothing_behind(path, store):
    """Vectors and pictures are deleted at once; the rest stays for a minute, for running searches."""
    store.put(Content("a", "image", metadata={"n": 1, "s": "x"}, thumbnail=b"t", picture=b"p"), X)
    store.put(Content("a", "image", metadata={"n": 2}, thumbnail=b"t"), X)
    store.delete("a")
    assert [rows(store, table) for table in ("vectors", "pictures", "contents", "facts")] == [0, 0, 2, 3]
    with closing(LocalContents(path, MODEL, threads=1, retention_s=0)) as again:
        again.put(Content("b", "text", "b"), X)
        assert [rows(again, table) for table in ("contents", "facts", "removals")] == [1, 0, 0]
        again.delete("b")
    with closing(LocalContents(path, MODEL, threads=1, retention_s=0)) as again:
        assert rows(again, "contents") == 0


def test_a_search_sees_one_moment(store, monkeypatch):
    """Entries replaced or deleted during a search are found as they were when it began."""
    store.put(Content("a", "text", "a", metadata={"n": 1}), X)
    store.put(Content("b", "text", "b", metadata={"n": 1}), X)
    read = store._database.rows

    def late(numbers):
        store.put(Content("a", "text", "a", metadata={"n": 2}), -X)
        store.put(Content("b", "text", "b", metadata={"n": 2}), -X)
        store.delete("b")
        return read(numbers)

    monkeypatch.setattr(store._database, "rows", late)
    hits = store.search(X, 5, Where(conditions=(Condition("n", "eq", 1),)))
    assert [(hit.id, round(hit.score, 3)) for hit in hits] == [("a", 1), ("b", 1)]
    monkeypatch.undo()
    assert [hit.metadata for hit in store.search(X, 5)][-1] == {"n": 2}


@pytest.mark.parametrize("retention_s", [0, 60])
def test_what_another_process_changes_is_found(path, retention_s):
    """Added, replaced or deleted by either, while the index is rebuilt: after `refresh` both find what there is."""
    rng, there = np.random.default_rng(0), {}

    def opened():
        return closing(LocalContents(path, MODEL, threads=1, options=IndexOptions(tail=20), retention_s=retention_s))

    with opened() as one, opened() as other:
        for number, vector in enumerate(drawn(rng, 300)):
            changing, id = (one, other)[rng.integers(2)], f"content {rng.integers(60)}"
            if id in there and rng.random() < 0.5:
                changing.delete(id)
                del there[id]
            else:
                changing.put(Content(id, "text", id, metadata={"n": number}), vector)
                there[id] = {"n": number}
            if number % 10 == 0:
                for each in (one, other):
                    each.refresh()
                    hits = each.search(X, 100)
                    assert ({hit.id: hit.metadata for hit in hits}, len(hits)) == (there, len(there))
            if number == 100:
                wait_until(lambda: one._index.view.segment and other._index.view.segment)


FOLLOWER = """
import sys, threading, time
from pathlib import Path
import numpy as np
from app.contents import VectorModel
from app.contents.local import LocalContents
store = LocalContents(Path(sys.argv[1]), VectorModel("seen", "0123abcd", 4), threads=1)
def follow():
    while True:
        store.refresh()
        time.sleep(0.01)
threading.Thread(target=follow, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    hits = store.search(np.eye(4, dtype=np.float32)[0], int(line))
    print(*[hit.id for hit in hits], sep=",", flush=True)
"""


@pytest.fixture
def follower(path):
    """Start a process that searches the same file; it ends with the test."""
    started = []

    def start():
        command = [sys.executable, "-c", FOLLOWER, str(path)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert started[0].stdout.readline() == "ready\n"
        return started[0]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ask(process, k):
    """Return the ids that the other process finds near X, best first."""
    process.stdin.write(f"{k}\n")
    process.stdin.flush()
    return [id for id in process.stdout.readline().strip().split(",") if id]


@pytest.mark.parametrize(("deleted", "added"), [(30, 0), (52, 3), (51, 0), (5, 5)])
def test_a_process_that_was_stopped_catches_up(path, follower, deleted, added):
    """A process stopped during deletions and the purge of tombstones finds exactly the remaining entries."""
    vectors = drawn(np.random.default_rng(0), 52)
    with closing(LocalContents(path, MODEL, threads=1, retention_s=0)) as store:
        for number, vector in enumerate(vectors):
            store.put(Content(str(number), "text", "text"), vector)
        process = follower()
        assert len(ask(process, 100)) == 52
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        for number in np.argsort(-(vectors @ X))[:deleted]:
            store.delete(str(number))
        for number in range(added):
            store.put(Content(f"new {number}", "text", "new"), X)
        store.put(Content("last", "text", "last"), -X)
        assert rows(store, "removals") == 0
        left = [hit.id for hit in store.search(X, 100)]
        process.send_signal(signal.SIGCONT)
        assert len(ask(process, 10)) == min(10, len(left))  # at the first search already
        wait_until(lambda: ask(process, 100) == left)
        assert ask(process, 10) == left[:10]


def test_a_search_of_a_stale_view_gets_its_k(path):
    """Entries removed and purged by others since the last refresh are replaced by the next best."""
    vectors = drawn(np.random.default_rng(0), 40)
    with closing(LocalContents(path, MODEL, threads=1, retention_s=0)) as store:
        for number, vector in enumerate(vectors):
            store.put(Content(str(number), "text", "text"), vector)
        for where in (EVERYTHING, Where(type="text")):
            with closing(LocalContents(path, MODEL, threads=1, retention_s=0)) as stale:
                for hit in store.search(X, 8):
                    store.delete(hit.id)
                store.put(Content(f"last {where}", "text", "last"), -X)
                assert rows(store, "removals") == 0
                assert [hit.id for hit in stale.search(X, 10, where)] == [hit.id for hit in store.search(X, 10)]


def test_a_feed_that_missed_nothing_compares_nothing(path):
    """If every removal is read in time, no process compares all its indexed entries."""

    def compared():
        raise AssertionError

    with closing(LocalContents(path, MODEL, threads=1)) as one, closing(LocalContents(path, MODEL, threads=1)) as other:
        feed, removed = other._database.feed, 0
        for number, vector in enumerate(drawn(np.random.default_rng(0), 30)):
            one.put(Content(f"entry {number % 7}", "text", "text"), vector)
            if number % 3 == 0:
                removed += len(feed.changes(compared)[1])
        one.delete("entry 3")
        assert removed + len(feed.changes(compared)[1]) == 24


def test_entries_are_counted_as_they_come_and_go(path, store):
    """Counts are updated with every change, also for a file of an earlier version."""
    for number, vector in enumerate(drawn(np.random.default_rng(0), 10)):
        store.put(Content(str(number), "text", "text", collection="ab"[number % 2]), vector)
    store.put(Content("0", "text", "moved", collection="b"), X)
    store.delete("1")
    assert (store.count(), store.count("a"), store.count("b"), store.count("c")) == (9, 4, 5, 0)
    store.close()
    with closing(sqlite3.connect(path)) as earlier:
        earlier.executescript("DROP TRIGGER count_added; DROP TRIGGER count_removed; DROP TABLE counts")
    with closing(LocalContents(path, MODEL, threads=1)) as again:
        assert (again.count(), again.count("a"), again.count("b")) == (9, 4, 5)
        again.delete("0")
        assert (again.count(), again.count("b")) == (8, 4)


def test_a_closed_store_takes_nothing_more(path):
    """Changes after the close fail immediately."""
    store = LocalContents(path, MODEL, threads=1)
    store.close()
    with pytest.raises(StoreUnavailable, match="nothing was stored"):
        store.put(Content("a", "text", "a"), X)


def test_changes_at_once_share_a_transaction():
    """During a commit further changes are collected, and each gets its own answer or error."""
    groups, first, go = [], threading.Event(), threading.Event()

    def carry_out(changes):
        groups.append(len(changes))
        first.set()
        go.wait(60)
        return [ValueError(str(change)) if change == 5 else 10 * change for change in changes]

    group, answers = GroupCommit(carry_out), Counter()

    def ask(number):
        try:
            answers[group(number)] += 1
        except ValueError as error:
            answers[f"error {error}"] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(9)]
    threads[0].start()
    first.wait(60)
    for thread in threads[1:]:
        thread.start()
    while group._waiting.qsize() < 8:
        threading.Event().wait(0.001)
    go.set()
    for thread in threads:
        thread.join(60)
    group.close()
    assert groups == [1, 8]
    assert answers == Counter(["error 5", *(10 * number for number in range(9) if number != 5)])


def test_a_failure_is_everybodys_of_that_group():
    """No caller waits forever, and the next change is applied."""
    failing = [True]

    def carry_out(changes):
        if failing.pop() if failing else False:
            raise OSError("no disk")
        return list(changes)

    group = GroupCommit(carry_out)
    with pytest.raises(OSError, match="no disk"):
        group(1)
    assert group(2) == 2
    group.close()
