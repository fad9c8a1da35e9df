"""Files in a folder or below an s3:// prefix."""

import os

import pytest

from app.bulk.files import open_files
from app.errors import ImageTooLarge, InvalidRequest

NAMES = ["b.jpg", "b/1.jpg", "b/2.jpg", "B.jpg", "c d/ü.png"]


def same_everywhere(files):
    assert sorted(files.list()) == sorted((name, len(name.encode())) for name in NAMES)
    assert list(files.list()) == list(files.list())
    assert files.read("c d/ü.png", 10) == b"c d/\xc3\xbc.png"
    with pytest.raises(ImageTooLarge, match="has 10 bytes; at most 9 are accepted"):
        files.read("c d/ü.png", 9)
    with files.open("b/2.jpg") as file:
        assert file.seek(2) == 2
        assert file.read() == b"2.jpg"
    with pytest.raises(OSError, match="nothing"):
        files.read("nothing.jpg", 9)


def test_a_folder(tmp_path):
    """All files in it and below are listed in a stable order, without hidden ones and non-files."""
    for name in (*NAMES, ".hidden.jpg", ".git/1.jpg", "b/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "broken link.jpg").symlink_to("nowhere")
    same_everywhere(open_files(str(tmp_path)))


def test_a_prefix(bucket):
    """The same holds for objects, including a folder's own empty object."""
    for name in (*NAMES, ".hidden.jpg", ".git/1.jpg", "b/.DS_Store"):
        bucket.put(f"photos/{name}", name.encode())
    bucket.put("photos/b/", b"")
    same_everywhere(open_files("s3://pictures/photos"))


def test_one_file(tmp_path):
    """A single file is a source of one picture."""
    (tmp_path / "1.jpg").write_bytes(b"one")
    files = open_files(str(tmp_path / "1.jpg"))
    assert list(files.list()) == [("1.jpg", 3)]
    assert files.read("1.jpg", 3) == b"one"
    with files.open("1.jpg") as file:
        assert file.read() == b"one"


def test_a_source_that_is_not_there(bucket, tmp_path):
    """A missing folder or bucket is an error that names it."""
    with pytest.raises(InvalidRequest, match="nowhere is not there"):
        open_files(str(tmp_path / "nowhere"))
    with pytest.raises(InvalidRequest, match="s3://nowhere/photos cannot be listed"):
        list(open_files("s3://nowhere/photos").list())
