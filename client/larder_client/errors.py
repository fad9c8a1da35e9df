"""The client's exceptions.

LarderError
├── Unreachable          no answer, a broken connection, or an invalid URL
├── TimedOut             no answer in time
├── Busy                 503: retry after `retry_after` seconds
├── Failed               500 and the like: the service's log has more under `request_id`
└── Refused              the request is wrong; sending it again will not help
    ├── InvalidRequest   the request is malformed
    ├── InvalidLabels    invalid labels
    ├── InvalidImage     not a picture, or a truncated one
    ├── UnsupportedImage a format that is not accepted
    ├── ImageTooLarge    too many bytes or pixels
    ├── NotFound         no such item, entry, model or path
    ├── Conflict         the change cannot be undone: it was undone before, or the count does not allow it
    └── Unauthorized     a key is needed and was wrong or missing
"""

from collections.abc import Mapping
from typing import Any


class LarderError(Exception):
    """Base class; `request_id` identifies the request in the service's log if there was an answer."""

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class Unreachable(LarderError):
    """The service does not answer, the connection broke, or the URL is invalid."""


class TimedOut(LarderError):
    """No answer in time."""


class Busy(LarderError):
    """The service cannot answer now."""

    def __init__(self, message: str, request_id: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, request_id)
        self.retry_after = retry_after
        """Seconds until the next attempt, if the service says so."""


class Failed(LarderError):
    """An error in the service or between it and the client."""


class Refused(LarderError):
    """The request is wrong; sending it again will not help."""


class InvalidRequest(Refused):
    """The request is malformed."""


class InvalidLabels(Refused):
    """Invalid labels."""


class InvalidImage(Refused):
    """Not a picture, or a truncated one."""


class UnsupportedImage(Refused):
    """A picture in a format that is not accepted."""


class ImageTooLarge(Refused):
    """Too many bytes or pixels."""


class NotFound(Refused):
    """No such item, entry, model or path."""


class Conflict(Refused):
    """The current state does not allow it, such as a second undo of one change."""


class Unauthorized(Refused):
    """A key is needed and was wrong or missing."""


_BY_CODE: dict[str, type[Refused]] = {
    "invalid_request": InvalidRequest,
    "invalid_labels": InvalidLabels,
    "invalid_image": InvalidImage,
    "unsupported_image": UnsupportedImage,
    "image_too_large": ImageTooLarge,
    "not_found": NotFound,
    "conflict": Conflict,
    "unauthorized": Unauthorized,
}


def error_of(status: int, body: Any, headers: Mapping[str, str]) -> LarderError:
    """Return the error for an answer with this status; the body may be another program's, such as a proxy's."""
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    message = str(error.get("message") or f"the answer was {status}, and not in Larder's form")
    request_id = error.get("request_id") or headers.get("x-request-id")
    if status == 503 or status == 429:
        return Busy(message, request_id, _seconds(headers.get("retry-after")))
    if 400 <= status < 500:
        return _BY_CODE.get(str(error.get("code")), Refused)(message, request_id)
    return Failed(message, request_id)


def _seconds(retry_after: str | None) -> float | None:
    """Parse `Retry-After` in seconds; None for the form with a date, which Larder does not send."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None
