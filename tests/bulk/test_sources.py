"""Files to pictures, with an id that is the same in every run."""

import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.bulk.files import LocalFiles, open_files
from app.bulk.sources import find_units, read_pictures
from app.errors import ImageTooLarge, InvalidImage, InvalidRequest
from tests.bulk.conftest import write_parquet


def pictures(files, max_bytes=100):
    return [picture for unit in find_units(files)[0] for picture in read_pictures(files, unit, max_bytes)]


def test_a_picture_file_is_a_picture(tmp_path):
    """Its id is its name below the source."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/1.jpg").write_bytes(b"one")
    (found,) = pictures(LocalFiles(tmp_path))
    assert (found.id, found.path, found.read()) == ("deep/1.jpg", "deep/1.jpg", b"one")


def test_a_name_that_is_no_text(tmp_path):
    """A file whose name has bytes that are not UTF-8 is read, and its id can be written."""
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"one")
    (found,) = pictures(LocalFiles(tmp_path))
    assert (found.id, found.read()) == (r"caf\xe9.jpg", b"one")


def test_a_row_is_a_picture(tmp_path):
    """Its id is the file's name and the number of the row, over all row groups; its path is what the row says."""
    rows = [b"%d" % number for number in range(10)]
    write_parquet(tmp_path / "test.parquet", rows)
    units, _ = find_units(LocalFiles(tmp_path))
    found = pictures(LocalFiles(tmp_path))
    assert [unit.rows for unit in units] == [4, 4, 2]
    assert [id_ for unit in units for id_ in unit.ids()] == [each.id for each in found]
    assert [(each.id, each.path, each.read()) for each in found] == [
        (f"test.parquet:{number}", f"picture {number}", rows[number]) for number in range(10)
    ]


def test_parquet_in_s3(bucket, tmp_path):
    """A parquet object is read in parts."""
    bucket.put("data/test.parquet", write_parquet(tmp_path / "test.parquet", [b"one", b"two"], group=1).read_bytes())
    found = pictures(open_files("s3://pictures/data"))
    assert [(each.id, each.read()) for each in found] == [("test.parquet:0", b"one"), ("test.parquet:1", b"two")]


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [(None, InvalidImage, "the row has no bytes"), (b"x" * 101, ImageTooLarge, "has 101 bytes; at most 100")],
)
def test_a_bad_row_is_a_bad_picture(tmp_path, data, error, reason):
    """The other rows are read."""
    write_parquet(tmp_path / "test.parquet", [b"one", data, b"three"])
    first, bad, third = pictures(LocalFiles(tmp_path))
    assert (first.read(), third.read()) == (b"one", b"three")
    with pytest.raises(error, match=reason):
        bad.read()


@pytest.mark.parametrize(
    "data", [["text", "dGV4dA=="], [1, 2], [True, False], [[1, 2], [3]], [1.5, None]], ids=lambda data: str(data[0])
)
def test_bytes_of_another_type_are_bad_pictures(tmp_path, data):
    """A text, a number or a list where bytes belong is named; nothing of it reaches a decoder, or ends the run."""
    table = pa.table({"image": [{"bytes": each, "path": "x"} for each in data]})
    pq.write_table(table, tmp_path / "test.parquet")
    write_parquet(tmp_path / "zz.parquet", [b"one"])
    *bad, good = pictures(LocalFiles(tmp_path))
    assert good.read() == b"one"
    assert bad
    for each in bad:
        with pytest.raises(InvalidImage, match="binary is needed|no bytes|bytes and path is missing"):
            each.read()


def test_a_path_of_another_type_is_left_out(tmp_path):
    """The id is used instead."""
    pq.write_table(pa.table({"image": [{"bytes": b"one", "path": 7}]}), tmp_path / "test.parquet")
    (found,) = pictures(LocalFiles(tmp_path))
    assert (found.path, found.read()) == ("test.parquet:0", b"one")


def test_a_path_that_is_not_utf_8_is_one_bad_picture(tmp_path):
    """The other rows are read."""
    paths = pa.Array.from_buffers(pa.string(), 3, pa.array([b"1", b"caf\xe9", b"3"]).buffers())
    images = pa.StructArray.from_arrays([pa.array([b"one", b"two", b"three"]), paths], ["bytes", "path"])
    pq.write_table(pa.table({"image": images}), tmp_path / "test.parquet")
    first, bad, third = pictures(LocalFiles(tmp_path))
    assert (first.read(), third.read()) == (b"one", b"three")
    with pytest.raises(InvalidImage, match="the row cannot be read"):
        bad.read()


def test_large_rows_are_read_a_few_at_a_time(tmp_path):
    """Of a row group of 40 rows of 3 MB only a few are in memory at once, if its pages allow it."""
    images = [{"bytes": os.urandom(1) * 3_000_000, "path": "x"} for _ in range(40)]
    pq.write_table(pa.table({"image": images}), tmp_path / "test.parquet", write_batch_size=1, use_dictionary=False)
    del images
    files = LocalFiles(tmp_path)
    (unit,), _ = find_units(files)
    before = pa.total_allocated_bytes()
    most = 0
    for each in read_pictures(files, unit, 10**7):
        assert each.size == len(each.read()) == 3_000_000
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 60_000_000


def test_a_missing_image_is_a_bad_picture(tmp_path):
    """A row without an image also has an id."""
    table = pa.table({"image": [{"bytes": b"one", "path": None}, None]})
    pq.write_table(table, tmp_path / "test.parquet")
    first, bad = pictures(LocalFiles(tmp_path))
    assert (first.read(), first.path) == (b"one", "test.parquet:0")
    with pytest.raises(InvalidImage, match="the row has no bytes"):
        bad.read()


def test_a_file_that_is_no_parquet_is_a_bad_picture(tmp_path):
    """A broken file or a table without pictures does not stop the others."""
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"name": ["x"], "size": [1]}), tmp_path / "other.parquet")
    write_parquet(tmp_path / "right.parquet", [b"one"])
    broken, other, right = pictures(LocalFiles(tmp_path))
    assert right.read() == b"one"
    with pytest.raises(InvalidImage, match="not a parquet file, or a damaged one"):
        broken.read()
    with pytest.raises(InvalidImage, match="the column image with bytes and path is missing; there are: name, size"):
        other.read()


def test_a_file_that_breaks_off_loses_what_is_behind(tmp_path):
    """Row groups that can be read are; each row of the others is a bad picture."""
    path = write_parquet(tmp_path / "test.parquet", [b"%d" % number * 50 for number in range(8)])
    data = bytearray(path.read_bytes())
    second = data.index(b"4" * 50)
    data[second - 300 : second + 100] = b"\0" * 400
    path.write_bytes(data)
    found = pictures(LocalFiles(tmp_path))
    assert [each.id for each in found] == [f"test.parquet:{number}" for number in range(8)]
    bad = []
    for each in found:
        try:
            each.read()
        except InvalidImage as error:
            bad.append(each.id)
            assert "the parquet file is damaged" in str(error)
    assert bad
    assert bad[-1] == "test.parquet:7"


def test_nothing_is_an_error(tmp_path):
    """A source without files is an error, not an empty answer."""
    with pytest.raises(InvalidRequest, match="no file in the source"):
        find_units(LocalFiles(tmp_path))


def test_what_is_no_picture_by_its_name_is_counted(tmp_path):
    """Texts, films and what systems leave among pictures are skipped; a source with nothing else is an error."""
    for name in ("notes.txt", "Thumbs.db", "a.json", "film.mp4"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InvalidRequest, match="no picture in the source, and 4 other files"):
        find_units(LocalFiles(tmp_path))
    for name in ("a.jpeg", "b.HEIC", "c.avif", "without ending", "d.tif", "e.unheard-of"):
        (tmp_path / name).write_bytes(b"x")
    units, others = find_units(LocalFiles(tmp_path))
    assert (len(units), others) == (6, 4)


def test_parquet_needs_pyarrow(tmp_path, monkeypatch):
    """Without it the error says how to install it."""
    write_parquet(tmp_path / "test.parquet", [b"one"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidRequest, match="needs pyarrow: pip install -r requirements-bulk.txt"):
        find_units(LocalFiles(tmp_path))
