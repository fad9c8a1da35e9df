"""Objects in S3 or a compatible store with a file-like interface: failures are OSErrors.

An unreachable store, or one that refuses the credentials, raises ConnectionError; an object that may not be read
raises PermissionError.

Credentials, region and endpoint come from where AWS's own tools read them: the task's role, `AWS_PROFILE`,
`AWS_ENDPOINT_URL_S3` and the like.
"""

import errno
import io
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from app.errors import SettingsError, StartError
from app.optional import need

SCHEME = "s3://"
_CONNECTIONS = 32
_READ_AHEAD = 1024 * 1024  # bytes fetched at least when an object is read in ranges
_MISSING = ("404", "NoSuchKey", "NoSuchBucket")
_REFUSED = (  # error codes that do not depend on the object
    "401", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken",
    "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """An object, or a prefix of several."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    def under(self, name: str) -> "Place":
        """Return the object of that name below this prefix."""
        return replace(self, key=self.folder + name)

    @property
    def folder(self) -> str:
        """The key as a folder: empty, or with a slash at its end. Other slashes belong to the key."""
        return self.key if self.key.endswith("/") or not self.key else f"{self.key}/"


def parse_place(url: str) -> Place:
    """Parse a URL. Raises SettingsError if it names no bucket.

    >>> parse_place("s3://pictures/2024/may").under("lemon.jpg")
    Place(bucket='pictures', key='2024/may/lemon.jpg')
    """
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not bucket:
        raise SettingsError(f"{url!r} was found; the form s3://BUCKET/PREFIX is expected")
    return Place(bucket, key)


class S3:
    """A thread-safe client. Each call is tried `attempts` times, for `timeout` seconds each."""

    def __init__(self, attempts: int = 5, timeout: float = 20) -> None:
        """Raise StartError if boto3 is not installed or its configuration is invalid."""
        need("s3://", ("boto3",), "requirements-aws.txt")
        import boto3  # takes a quarter of a second
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        retries = {"mode": "standard", "total_max_attempts": attempts}
        times = {"connect_timeout": min(timeout, 5), "read_timeout": timeout}
        try:
            self._client: Any = boto3.client(
                "s3", config=Config(retries=retries, max_pool_connections=_CONNECTIONS, **times)
            )
        except (BotoCoreError, ValueError) as error:
            raise StartError(f"S3 cannot be used: {error}") from error

    def read(self, place: Place, check_size: Callable[[int], None] | None = None) -> bytes:
        """Return an object's bytes; `check_size` gets their number before they are downloaded, and may raise."""
        with _as_files(place):
            answer = self._client.get_object(Bucket=place.bucket, Key=place.key)
            with closing(answer["Body"]) as body:
                if check_size:
                    check_size(answer["ContentLength"])
                data: bytes = body.read()
        return data

    def copy(self, place: Place, path: Path) -> None:
        """Download an object into a file without holding it in memory."""
        with _as_files(place):
            self._client.download_file(place.bucket, place.key, str(path))

    def newer(self, place: Place, tag: str | None) -> tuple[str, bytes] | None:
        """Return an object's ETag and bytes; None if `tag` is still its ETag."""
        condition = {"IfNoneMatch": tag} if tag else {}
        try:
            with _as_files(place):
                answer = self._client.get_object(Bucket=place.bucket, Key=place.key, **condition)
                return answer["ETag"], answer["Body"].read()
        except _NotModified:
            return None

    def size(self, place: Place) -> int:
        """Return an object's size in bytes."""
        with _as_files(place):
            return int(self._client.head_object(Bucket=place.bucket, Key=place.key)["ContentLength"])

    def files(self, prefix: Place) -> Iterator[tuple[str, int]]:
        """Yield the name and size of each object below a prefix, which is treated as a folder, sorted by name."""
        start = prefix.folder
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=start)
        with _as_files(prefix):
            for page in pages:
                yield from ((each["Key"][len(start) :], each["Size"]) for each in page.get("Contents", []))

    def part(self, place: Place, start: int, length: int) -> bytes:
        """Return at most `length` bytes of an object from `start` on."""
        span = f"bytes={start}-{start + length - 1}"
        with _as_files(place):
            data: bytes = self._client.get_object(Bucket=place.bucket, Key=place.key, Range=span)["Body"].read()
        return data

    def open(self, place: Place) -> BinaryIO:
        """Open an object for random access; only the ranges that are read are downloaded."""
        return io.BufferedReader(_Object(self, place), _READ_AHEAD)


class _Object(io.RawIOBase):
    """The raw, seekable stream below BufferedReader."""

    def __init__(self, s3: S3, place: Place) -> None:
        self._s3 = s3
        self._place = place
        self._size = s3.size(place)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        length = max(0, min(len(buffer), self._size - self._at))
        if length:
            buffer[:length] = self._s3.part(self._place, self._at, length)
        self._at += length
        return length


class _NotModified(Exception):
    """S3 answered 304."""


@contextmanager
def _as_files(place: Place) -> Iterator[None]:
    """Map botocore's errors to OSErrors with the place as file name."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "no reason given")
        if code == "304":
            raise _NotModified from error
        reason, status = f"{message} ({code})", error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in _REFUSED or status == 401:
            raise ConnectionError(errno.EIO, reason, str(place)) from error
        number = errno.ENOENT if code in _MISSING else errno.EACCES if status == 403 else errno.EIO
        raise OSError(number, reason, str(place)) from error
    except (BotoCoreError, Boto3Error) as error:
        raise ConnectionError(errno.EIO, str(error), str(place)) from error
