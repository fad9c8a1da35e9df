"""S3 as if it were files, on moto's server."""

import pytest

from app.errors import SettingsError, StartError
from app.s3 import S3, Place, parse_place


def test_an_object_is_read(bucket):
    """Bytes come back as they were stored, by a name with spaces and umlauts too."""
    url = bucket.put("küche/a lemon.jpg", b"lemon")
    assert S3().read(parse_place(url)) == b"lemon"


def test_an_object_becomes_a_file(bucket, tmp_path):
    """What is large goes to disk without being held in memory."""
    S3().copy(parse_place(bucket.put("model/visual.onnx", b"graph" * 1000)), tmp_path / "visual.onnx")
    assert (tmp_path / "visual.onnx").read_bytes() == b"graph" * 1000


def test_only_what_is_below_the_prefix_is_listed(bucket):
    """A prefix is a folder: `may` is not `maybe`; an empty one is the whole bucket."""
    for name in ("may/2.jpg", "may/week 1/1.jpg", "maybe/1.jpg"):
        bucket.put(name, b"x")
    for prefix in ("may", "may/"):
        assert list(S3().names(Place("pictures", prefix))) == ["2.jpg", "week 1/1.jpg"]
    assert len(list(S3().names(Place("pictures", "")))) == 3


def test_an_unchanged_object_is_not_sent_again(bucket):
    """By its ETag an object is fetched only when it is another one."""
    place, s3 = parse_place(bucket.put("labels.txt", b"red")), S3()
    tag, data = s3.newer(place, None)
    assert data == b"red"
    assert s3.newer(place, tag) is None
    bucket.put("labels.txt", b"blue")
    assert s3.newer(place, tag)[1] == b"blue"


def test_an_object_is_read_in_parts(bucket):
    """A reader that seeks gets the bytes of a plain file."""
    data = bytes(range(256)) * 5000
    with S3().open(parse_place(bucket.put("large", data))) as file:
        assert file.seek(-10, 2) == len(data) - 10
        assert file.read() == data[-10:]
        assert file.seek(300) == 300
        assert file.read(1000) == data[300:1300]
        assert file.read(1_200_000) == data[1300:1_201_300]


def test_what_is_not_there_is_a_missing_file(bucket):
    """An unknown object, prefix or bucket is a FileNotFoundError that names it."""
    for act in (
        lambda: S3().read(Place("pictures", "nothing")),
        lambda: S3().open(Place("pictures", "nothing")),
        lambda: S3().read(Place("nowhere", "nothing")),
        lambda: list(S3().names(Place("nowhere", "nothing"))),
    ):
        with pytest.raises(FileNotFoundError, match="nothing"):
            act()


def test_a_store_that_is_away_is_a_failing_disk(bucket):
    """No answer is an OSError."""
    bucket.stop()
    with pytest.raises(OSError, match="Could not connect"):
        S3(attempts=1).read(Place("pictures", "lemon.jpg"))
    bucket.start()


@pytest.mark.parametrize("url", ["s3://", "s3:///labels.txt", "s3:/bucket/labels.txt"])
def test_a_url_names_a_bucket(url):
    """Anything else is refused with the form that is allowed."""
    with pytest.raises(SettingsError, match="s3://BUCKET/PREFIX is the form"):
        parse_place(url)


def test_a_wrong_configuration_is_said(bucket, monkeypatch):
    """What boto3 finds wrong stops the start with one line."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "no address")
    with pytest.raises(StartError, match="S3 cannot be used: .*no address"):
        S3()
