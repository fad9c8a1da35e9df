"""Files that take their name only when they are complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import InvalidRequest


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` on leaving; after an error, or a kill, there is no `path`.

    Raises InvalidRequest when it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
