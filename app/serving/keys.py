"""The keys that open the service, from the settings and from a file that is read again when it changes."""

import secrets
from collections.abc import Hashable, Sequence
from pathlib import Path

from app.errors import SettingsError


class Keys:
    """Compared in constant time; `refresh` looks at the file.

    A file that becomes empty lets nobody in; one that cannot be read any more leaves the keys as they were.
    """

    def __init__(self, fixed: Sequence[str], file: Path | None) -> None:
        """Raises SettingsError when the file cannot be read."""
        self._fixed = [key.encode() for key in fixed]
        self._file = file
        self._stamp: Hashable = None
        self._keys = self._fixed
        self.needed = bool(fixed) or file is not None
        """Whether there are keys at all; without any the service is open."""
        self.refresh()

    def refresh(self) -> bool:
        """Read the file if it has changed; returns whether it has. Raises SettingsError."""
        if self._file is None:
            return False
        try:
            stat = self._file.stat()
            stamp = stat.st_mtime_ns, stat.st_size, stat.st_ino
            if stamp == self._stamp:
                return False
            lines = [line.strip() for line in self._file.read_bytes().splitlines()]
        except OSError as error:
            raise SettingsError(f"LARDER_API_KEYS_FILE: {self._file} cannot be read: {error.strerror}") from error
        self._keys = self._fixed + [line for line in lines if line]
        self._stamp = stamp
        return True

    def have(self, key: str) -> bool:
        """Whether it is one of the keys."""
        matches = [secrets.compare_digest(key.encode(), own) for own in self._keys]  # all of them: constant time
        return any(matches)
