"""The label file, local or in S3."""

import os

import pytest

from app.errors import InvalidLabels
from app.recognition.label_file import LocalLabels, S3Labels, open_labels
from app.s3 import S3, Place
from tests.conftest import wait_until


class Clock:
    """A clock that only advances when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def labels(bucket, clock) -> S3Labels:
    bucket.put("labels.txt", b"red\nblue\n")
    return S3Labels(S3(attempts=1), Place("pictures", "labels.txt"), clock)


def test_the_setting_says_where(bucket, tmp_path):
    """An s3:// URL is an object, any other value a file."""
    (tmp_path / "labels.txt").write_text("green\n")
    assert isinstance(open_labels(tmp_path / "labels.txt"), LocalLabels)
    far = open_labels(bucket.put("labels.txt", b"red\n"))
    far.stamp()
    assert far.read() == "red\n"


def test_a_changed_object_has_another_stamp(labels, bucket, clock):
    """The stamp changes with the text, and the text is the stamp's."""
    before = labels.stamp()
    assert labels.read() == "red\nblue\n"
    bucket.put("labels.txt", b"green\n")
    clock.now += 1
    assert labels.stamp() != before
    assert labels.read() == "green\n"


def test_s3_is_not_asked_all_the_time(labels, bucket, clock):
    """Between two polls, half a second apart, no request is made."""
    before = labels.stamp()
    bucket.put("labels.txt", b"green\n")
    clock.now += 0.4
    assert labels.stamp() == before
    clock.now += 0.2
    assert labels.stamp() != before


def test_the_labels_stay_while_s3_is_away(labels, bucket, clock):
    """A failed request changes nothing, and the next response is used."""
    before = labels.stamp()
    bucket.stop()
    clock.now += 1
    assert labels.stamp() == before
    assert labels.read() == "red\nblue\n"
    bucket.start()
    bucket.put("labels.txt", b"green\n")
    clock.now += 1
    assert labels.stamp() != before
    assert labels.read() == "green\n"


def test_a_deleted_object_leaves_the_labels(labels, bucket, clock):
    """The labels stay when the object is deleted."""
    before = labels.stamp()
    bucket.delete("labels.txt")
    clock.now += 1
    assert labels.stamp() == before


def test_labels_that_never_were_are_an_error(bucket):
    """Without a first text there are no labels, and the error names the object."""
    with pytest.raises(InvalidLabels, match="s3://pictures/none.txt cannot be read: The specified key does not exist"):
        open_labels("s3://pictures/none.txt").stamp()


def test_bytes_that_are_no_text_are_an_error(labels, bucket, clock):
    """Only UTF-8 is read, as in a file."""
    bucket.put("labels.txt", b"\xff\xfe")
    labels.stamp()
    with pytest.raises(InvalidLabels, match="cannot be read: 'utf-8'"):
        labels.read()


def test_a_service_follows_the_object(bucket, start):
    """A label file in S3 that changes is served without a restart."""
    client = start(labels=bucket.put("labels.txt", b"red\ngreen\n"))
    served = lambda: [each["label"] for each in client.get("/labels").json()["labels"]]  # noqa: E731
    assert served() == ["red", "green"]
    bucket.put("labels.txt", b"red\nblue\n")
    wait_until(lambda: served() == ["red", "blue"])


def test_a_file_that_is_written_in_place_is_not_read_in_pieces(tmp_path, clock):
    """A truncated and rewritten file is read once it is stable; until then the old text stays."""
    path = tmp_path / "labels.txt"
    path.write_text("red\nblue\n")
    labels = LocalLabels(path, settle_s=0.3, clock=clock)
    before = labels.stamp()
    for piece in ("", "gre", "green\nyel", "green\nyellow\n"):
        path.write_text(piece)
        for _ in range(2):
            assert (labels.stamp(), labels.read()) == (before, "red\nblue\n")
            clock.now += 0.1
    clock.now += 0.15
    assert labels.stamp() != before
    assert labels.read() == "green\nyellow\n"


def test_a_new_text_of_the_same_size_and_time_is_noticed(tmp_path):
    """A program can restore the file's modification time, but not its inode change time."""
    path = tmp_path / "labels.txt"
    path.write_text("red\n")
    labels, stat = LocalLabels(path, settle_s=0), path.stat()
    before = labels.stamp()
    path.write_text("tan\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert labels.stamp() != before
    assert labels.read() == "tan\n"


def test_the_text_stays_the_stamps_while_the_file_changes(tmp_path, clock):
    """The text belongs to the stamp even if the file has changed since; byte order marks are removed."""
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfred\n\xef\xbb\xbfblue\n")
    labels = LocalLabels(path, clock=clock)
    labels.stamp()
    path.write_text("half a fi")
    assert labels.read() == "red\nblue\n"
