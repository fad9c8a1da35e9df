"""S3 with the interface of files, on moto's server."""

import io

import pytest
from botocore.awsrequest import AWSResponse

from app.errors import SettingsError, StartError
from app.s3 import S3, Place, parse_place


class Body(io.BytesIO):
    """What urllib3 gives botocore."""

    def stream(self, **_):
        yield self.read()


def test_an_object_is_read(bucket):
    """Bytes come back as they were stored, by a name with spaces and umlauts too."""
    url = bucket.put("küche/a lemon.jpg", b"lemon")
    assert S3().read(parse_place(url)) == b"lemon"


def test_an_object_becomes_a_file(bucket, tmp_path):
    """A large object is written to disk without being held in memory."""
    S3().copy(parse_place(bucket.put("model/visual.onnx", b"graph" * 1000)), tmp_path / "visual.onnx")
    assert (tmp_path / "visual.onnx").read_bytes() == b"graph" * 1000


def test_only_what_is_below_the_prefix_is_listed(bucket):
    """A prefix is a folder: `may` does not match `maybe`; an empty one is the whole bucket."""
    for name in ("may/2.jpg", "may/week 1/1.jpg", "maybe/1.jpg"):
        bucket.put(name, b"x")
    for prefix in ("may", "may/"):
        assert list(S3().files(Place("pictures", prefix))) == [("2.jpg", 1), ("week 1/1.jpg", 1)]
    assert len(list(S3().files(Place("pictures", "")))) == 3


@pytest.mark.parametrize("name", ["a.jpg", "/a.jpg", "//a.jpg", "week//a.jpg", "a b/ü.jpg"])
@pytest.mark.parametrize("prefix", ["", "may", "may/", "may//", "/", "/may"])
def test_what_is_listed_is_read(bucket, prefix, name):
    """Slashes are a part of S3's keys, at their beginning and doubled too: each object is found by its own key."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    bucket.put(folder + name, name.encode())
    place = parse_place(f"s3://pictures/{prefix}")
    assert (name, len(name.encode())) in list(S3().files(place))
    assert S3().read(place.under(name)) == name.encode()


def test_the_size_is_checked_before_an_object_is_fetched(bucket):
    """An exception of the check is passed on unchanged."""

    def check(size):
        raise ValueError(size)

    with pytest.raises(ValueError, match="^5$"):
        S3().read(parse_place(bucket.put("lemon.jpg", b"lemon")), check)


def test_an_unchanged_object_is_not_sent_again(bucket):
    """An object is fetched only if its ETag has changed."""
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
        lambda: list(S3().files(Place("nowhere", "nothing"))),
    ):
        with pytest.raises(FileNotFoundError, match="nothing"):
            act()


def test_a_store_that_is_away_is_a_failing_disk(bucket):
    """A failed request is a ConnectionError, an OSError."""
    bucket.stop()
    with pytest.raises(ConnectionError, match="Could not connect"):
        S3(attempts=1).read(Place("pictures", "lemon.jpg"))
    bucket.start()


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ExpiredToken", 400, ConnectionError),
        ("InvalidAccessKeyId", 403, ConnectionError),
        ("SignatureDoesNotMatch", 403, ConnectionError),
        ("Unauthorized", 401, ConnectionError),
        ("AccessDenied", 403, PermissionError),
        ("403", 403, PermissionError),
        ("NoSuchKey", 404, FileNotFoundError),
        ("InternalError", 500, OSError),
    ],
)
def test_what_a_store_refuses_says_for_how_much_it_holds(bucket, code, status, kind):
    """A rejected key fails for every object, a rejected object only for itself."""
    place, s3 = parse_place(bucket.put("lemon.jpg", b"lemon")), S3(attempts=1)
    message = f"<Error><Code>{code}</Code><Message>it is so</Message></Error>".encode()

    def refuse(request, **_):
        return AWSResponse(request.url, status, {}, Body(message))

    s3._client.meta.events.register("before-send.s3.GetObject", refuse)
    with pytest.raises(kind, match=code) as caught:
        s3.read(place)
    assert isinstance(caught.value, ConnectionError) is (kind is ConnectionError)


@pytest.mark.parametrize("url", ["s3://", "s3:///labels.txt", "s3:/bucket/labels.txt"])
def test_a_url_names_a_bucket(url):
    """Any other value is rejected with the allowed form."""
    with pytest.raises(SettingsError, match="the form s3://BUCKET/PREFIX is expected"):
        parse_place(url)


def test_a_wrong_configuration_is_said(bucket, monkeypatch):
    """A wrong boto3 configuration stops the start with one line."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "no address")
    with pytest.raises(StartError, match="S3 cannot be used: .*no address"):
        S3()
