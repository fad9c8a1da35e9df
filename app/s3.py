"""Objects in S3, or in a store that speaks its protocol, as if they were files: what goes wrong is an OSError.

A store that cannot be reached, or that refuses the keys, is a ConnectionError; an object that may not be read is a
PermissionError.

Keys, region and endpoint come from where AWS's own tools take them: the role of the task, `AWS_PROFILE`,
`AWS_ENDPOINT_URL_S3` and their kin.
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
_AHEAD = 1024 * 1024  # bytes asked for at least, by one who reads an object in parts
_MISSING = ("404", "NoSuchKey", "NoSuchBucket")
_REFUSED = (  # whatever object is asked for
    "401", "ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken",
    "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired", "UnrecognizedClientException",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """An object, or the prefix of some."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    def under(self, name: str) -> "Place":
        """The object of that name below this prefix."""
        return replace(self, key=self.folder + name)

    @property
    def folder(self) -> str:
        """The key as a folder's: empty, or with a slash at its end. Other slashes are a part of S3's keys."""
        return self.key if self.key.endswith("/") or not self.key else f"{self.key}/"


def parse_place(url: str) -> Place:
    """The place of a URL; raises SettingsError for one that names no bucket.

    >>> parse_place("s3://pictures/2024/may").under("lemon.jpg")
    Place(bucket='pictures', key='2024/may/lemon.jpg')
    """
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not bucket:
        raise SettingsError(f"{url!r} was found; s3://BUCKET/PREFIX is the form")
    return Place(bucket, key)


class S3:
    """One client; safe to call from several threads. Each call is tried `attempts` times, `timeout` seconds long."""

    def __init__(self, attempts: int = 5, timeout: float = 20) -> None:
        """Raises StartError when boto3 is not installed or finds its configuration wrong."""
        need("s3://", ("boto3",), "requirements-aws.txt")
        import boto3  # a quarter of a second, for those alone who need it
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
        """Return an object's bytes; `check_size` gets their number before they are fetched, and may raise."""
        with _as_files(place):
            answer = self._client.get_object(Bucket=place.bucket, Key=place.key)
            with closing(answer["Body"]) as body:
                if check_size:
                    check_size(answer["ContentLength"])
                data: bytes = body.read()
        return data

    def copy(self, place: Place, path: Path) -> None:
        """An object into a file, without holding it in memory."""
        with _as_files(place):
            self._client.download_file(place.bucket, place.key, str(path))

    def newer(self, place: Place, tag: str | None) -> tuple[str, bytes] | None:
        """An object's ETag and bytes; None when `tag` is still its ETag."""
        condition = {"IfNoneMatch": tag} if tag else {}
        try:
            with _as_files(place):
                answer = self._client.get_object(Bucket=place.bucket, Key=place.key, **condition)
                return answer["ETag"], answer["Body"].read()
        except _NotModified:
            return None

    def size(self, place: Place) -> int:
        """How many bytes an object has."""
        with _as_files(place):
            return int(self._client.head_object(Bucket=place.bucket, Key=place.key)["ContentLength"])

    def files(self, prefix: Place) -> Iterator[tuple[str, int]]:
        """Yield name and bytes of each object below a prefix, which is taken for a folder, by name."""
        start = prefix.folder
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=start)
        with _as_files(prefix):
            for page in pages:
                yield from ((each["Key"][len(start) :], each["Size"]) for each in page.get("Contents", []))

    def part(self, place: Place, start: int, length: int) -> bytes:
        """At most `length` bytes of an object from `start` on."""
        span = f"bytes={start}-{start + length - 1}"
        with _as_files(place):
            data: bytes = self._client.get_object(Bucket=place.bucket, Key=place.key, Range=span)["Body"].read()
        return data

    def open(self, place: Place) -> BinaryIO:
        """An object to be read in parts, of which only those are fetched."""
        return io.BufferedReader(_Object(self, place), _AHEAD)


class _Object(io.RawIOBase):
    """What BufferedReader reads from."""

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
    """The answer 304."""


@contextmanager
def _as_files(place: Place) -> Iterator[None]:
    """Botocore's errors as OSErrors, with the place for a file name."""
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
