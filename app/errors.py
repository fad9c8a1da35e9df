"""The exceptions that Larder raises.

LarderError
├── InvalidRequest         the request is malformed
├── InvalidLabels          invalid labels
├── InvalidImage           not base64, not a picture, or a truncated one
├── UnsupportedImage       a picture in a format that is not accepted
├── ImageTooLarge          too many bytes or pixels
├── NotFound               no such item, entry, model or path
├── Conflict               the current state does not allow it
├── Unauthorized           an API key is needed, and it was wrong or missing
├── Forbidden              a web page of another origin, or a host name that is not allowed, where no keys are set
├── RequestTimeout         the body did not arrive in time; nothing was changed
├── Unavailable            try again later; `retry_after` says in how many seconds
│   ├── Overloaded         the queue is full
│   ├── Starting           the labels are still being encoded
│   ├── Draining           the service is shutting down
│   └── StoreUnavailable   a store cannot be reached; says whether a change may have been stored
├── SourceError            the pictures of a bulk run cannot be read: access refused, no connection
├── ExportError            a model cannot be downloaded, exported or compared with its original
├── EvaluationError        invalid pictures, classes or predictions for measuring a model
├── TrainingError          invalid pictures, captions or checkpoints for training
└── StartError             the service cannot start
    ├── SettingsError      a setting has a value it cannot have
    ├── BundleError        a model bundle is missing, damaged or of another version
    ├── EngineError        the engine asked for is not installed or cannot run the model
    └── ContentsError      the stored contents cannot be searched with this model

Messages are for callers of Larder: they say what was found and what is allowed.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class LarderError(Exception):
    """Base class of all exceptions that Larder raises on purpose."""


class InvalidRequest(LarderError):
    """The request is malformed."""


class InvalidLabels(LarderError):
    """Invalid labels: empty, duplicate, too long, too many."""


class InvalidImage(LarderError):
    """Not base64, not a picture, or a truncated one."""


class UnsupportedImage(LarderError):
    """A picture in a format that is not accepted."""


class ImageTooLarge(LarderError):
    """Too many bytes or pixels."""


class NotFound(LarderError):
    """No such item, entry, model or path."""


class Conflict(LarderError):
    """The current state does not allow the request; the message says why."""


class Unauthorized(LarderError):
    """An API key is needed, and it was wrong or missing."""


class Forbidden(LarderError):
    """A web page of another origin, or a host name that is not allowed, where no keys are set."""


class RequestTimeout(LarderError):
    """The body did not arrive in time; nothing was changed."""


class Unavailable(LarderError):
    """Try again in `retry_after` seconds."""

    retry_after = 1


class Overloaded(Unavailable):
    """The queue is full."""


class Starting(Unavailable):
    """The labels are still being encoded."""


class Draining(Unavailable):
    """The service is shutting down; another one answers."""


class StoreUnavailable(Unavailable):
    """A store cannot be reached; after a change the message says whether it may have been stored."""

    retry_after = 5


class SourceError(LarderError):
    """The pictures of a bulk run cannot be read: the source refuses access, or cannot be reached."""


class ExportError(LarderError):
    """A model cannot be downloaded, exported or compared with its original."""


class EvaluationError(LarderError):
    """Invalid pictures, classes or predictions for measuring a model."""


class TrainingError(LarderError):
    """Invalid pictures, captions or checkpoints for training."""


class StartError(LarderError):
    """The service cannot start."""


class SettingsError(StartError):
    """A setting has a value it cannot have."""


class BundleError(StartError):
    """A model bundle is missing, damaged or of another version."""


class EngineError(StartError):
    """The engine asked for is not installed or cannot run the model."""


class ContentsError(StartError):
    """The stored contents cannot be searched with this model: another model embedded them."""


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Prefix the message of a LarderError with the setting that caused it.

    >>> with naming("LARDER_MODEL"):
    ...     raise BundleError("no model bundle 'huge'")
    Traceback (most recent call last):
    app.errors.BundleError: LARDER_MODEL: no model bundle 'huge'
    """
    try:
        yield
    except LarderError as error:
        raise type(error)(f"{setting}: {error}") from error
