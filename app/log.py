"""Logging: JSON lines on standard error, each with its request id."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import structlog

bind_request = structlog.contextvars.bound_contextvars
"""Add values to every log line inside a context: `with bind_request(request_id=...):`."""


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """Return a logger: the first argument names the event, keywords are its fields."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


class _Lines:
    """Write our lines without `logging`, which takes as long again; one that cannot be written is lost, as there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        with self._lock, suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = write


class _Stderr(logging.StreamHandler[TextIO]):
    """Write to the standard error of the time of writing."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def configure(level: str) -> None:
    """Send our log lines, and those of libraries that use `logging`, to standard error as JSON."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    lines = _Lines()
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
    )
    handler = _Stderr()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.captureWarnings(True)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # one for each odd tag of a picture: 65,000 of a file
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in ("uvicorn", "uvicorn.error"):  # uvicorn's own command adds handlers
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in ("uvicorn.access", "mangum.http"):  # ours carry the request id
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns about every malformed request


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings inside the block: random weights, a hub retried, an operator not folded."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def only_errors() -> Iterator[None]:
    """Drop what is logged on the root logger below ERROR, meanwhile."""
    root = logging.getLogger()
    root.addFilter(_is_error)
    try:
        yield
    finally:
        root.removeFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
