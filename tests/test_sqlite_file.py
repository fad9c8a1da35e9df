"""A SQLite file: private, bounded, with a deadline for its locks, and with readers that wait for no writer."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.deadline import deadline_in
from app.errors import NotFound, StoreUnavailable
from app.main import create_app
from app.settings import Settings
from app.sqlite_file import SQLiteFile
from tests.fakes import ColourEncoder, colour_model
from tests.locks import locked

SCHEMA = "CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, data TEXT) STRICT;"


@pytest.fixture
def opened(tmp_path):
    """Open the same file with other limits."""
    files = []

    def opened(**limits):
        files.append(SQLiteFile("the store", tmp_path / "new" / "store.sqlite", SCHEMA, **limits))
        return files[-1]

    yield opened
    for file in files:
        file.close()


def insert(file, data="x"):
    with file.transaction() as writer:
        return writer.execute("INSERT INTO rows (data) VALUES (?)", (data,)).lastrowid


def count(file):
    with file.reader() as reader:
        return reader.execute("SELECT count(*) FROM rows").fetchone()[0]


def test_a_transaction_is_all_or_nothing(opened):
    """An exception rolls it back, and the file stays usable."""
    file = opened()
    with pytest.raises(NotFound), file.transaction() as writer:
        writer.execute("INSERT INTO rows (data) VALUES ('lost')")
        raise NotFound("stopped")
    insert(file)
    assert count(file) == 1


def test_a_lock_of_another_process_is_waited_for_until_the_deadline(opened):
    """A change says that nothing was stored; reads do not wait, and the next change after the lock is stored."""
    file = opened(timeout_s=0.2)
    insert(file)
    with locked(file.path):
        with pytest.raises(StoreUnavailable, match="store.sqlite cannot be used: database is locked; nothing was"):
            insert(file)
        with deadline_in(0.0), pytest.raises(StoreUnavailable, match="nothing was stored"):
            insert(opened())
        assert count(file) == 1
    insert(file)
    assert count(file) == 2


def test_the_wait_for_other_threads_counts(opened):
    """A thread that waits for another's transaction gives up at its deadline, without having begun."""
    file, inside, release = opened(timeout_s=0.2), threading.Event(), threading.Event()

    def hold():
        with file.transaction():
            inside.set()
            release.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(60)
    try:
        with pytest.raises(StoreUnavailable, match="too many changes wait for store.sqlite; nothing was stored"):
            insert(file)
    finally:
        release.set()
        holder.join()
    insert(file)
    assert count(file) == 1


def test_a_full_file_refuses_what_does_not_fit(opened):
    """The error names the setting; what is there can be read, and a larger limit takes more."""
    file = opened(max_bytes=64 * 1024)
    with pytest.raises(StoreUnavailable, match=r"full \(LARDER_MAX_STORE allows 65,536 bytes\); nothing was stored"):
        for _ in range(100):
            insert(file, "x" * 2000)
    kept = count(file)
    assert 5 < kept < 100
    file.close()
    larger = opened()
    insert(larger, "x" * 2000)
    assert count(larger) == kept + 1


LIMITED = """
import resource, sys
from pathlib import Path
from app.errors import StoreUnavailable
from app.sqlite_file import SQLiteFile
file = SQLiteFile("the store", Path(sys.argv[1]), sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
def insert():
    with file.transaction() as writer:
        writer.execute("INSERT INTO rows (data) VALUES (?)", ("x" * 5000,))
stored = 0
try:
    for _ in range(1000):
        insert()
        stored += 1
except StoreUnavailable as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
insert()
with file.reader() as reader:
    assert reader.execute("SELECT count(*) FROM rows").fetchone()[0] == stored + 1
    assert reader.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
file.close()
"""


def test_a_disk_that_takes_no_more_loses_nothing(tmp_path):
    """A write that the operating system refuses is an error of that change alone; later changes are stored."""
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "store.sqlite"), SCHEMA]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the store: store.sqlite cannot be used: " in done.stdout
    assert "stored" in done.stdout


READ_ONLY = """
import os, sqlite3, sys
from pathlib import Path
from app.errors import StoreUnavailable
from app.sqlite_file import SQLiteFile
if os.geteuid() == 0:  # root may write whatever it likes
    os.setgid(65534)
    os.setuid(65534)
try:
    SQLiteFile("the store", Path(sys.argv[1]), sys.argv[2])
except StoreUnavailable as error:
    print(error)
"""


def test_a_file_that_may_only_be_read_is_told_at_the_start(tmp_path):
    """The error names the file and the reason, and the file is not modified."""
    path = tmp_path / "store" / "store.sqlite"
    SQLiteFile("the store", path, SCHEMA).close()
    before = path.read_bytes()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    command = [sys.executable, "-c", READ_ONLY, str(path), SCHEMA]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    path.parent.chmod(0o755)
    assert done.stdout.startswith(f"the store: {path} cannot be opened: "), done.stderr
    assert path.read_bytes() == before


def test_files_and_the_folder_made_for_them_are_their_owners_alone(tmp_path):
    """With any umask, no other user of the machine may read the data."""
    before = os.umask(0o022)
    try:
        (tmp_path / "labels.txt").write_text("red\n")
        (tmp_path / "templates.txt").write_text("{}\n")
        settings = Settings(
            labels=tmp_path / "labels.txt",
            templates=tmp_path / "templates.txt",
            background=tmp_path / "labels.txt",
            data=tmp_path / "data",
        )
        from fastapi.testclient import TestClient

        with TestClient(create_app(settings, colour_model(ColourEncoder()))) as client:
            client.put("/pantry/rice", json={"count": 1}).raise_for_status()
            files = sorted((tmp_path / "data").glob("*.sqlite*"))
            modes = {path.name: oct(path.stat().st_mode & 0o777) for path in files}
    finally:
        os.umask(before)
    assert {"pantry.sqlite", "pantry.sqlite-wal", "contents.sqlite"} <= set(modes)
    assert set(modes.values()) == {"0o600"}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_folder_and_a_file_that_are_there_keep_their_rights(tmp_path):
    """The mode of an existing shared folder is kept."""
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    path: Path = folder / "store.sqlite"
    path.touch(mode=0o644)
    SQLiteFile("the store", path, SCHEMA).close()
    assert (folder.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o755, 0o644)
