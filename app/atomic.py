"""Atomic file writes."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import InvalidRequest, LarderError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a path to write to, which replaces `path` on success; after an error or a kill, `path` is unchanged.

    Each write has its own temporary file, so concurrent writers of one path do not interfere: the last one wins. Raises
    InvalidRequest if the file cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except LarderError:
        raise  # an error of the caller's own work, whose message is better
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
