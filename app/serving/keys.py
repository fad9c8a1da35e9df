"""API keys with names, from the settings and from a file that is reloaded when it changes.

A key is written as `KEY` or `NAME:KEY`. A name is of letters, digits, `.`, `_` and `-`; the key after it has 16 or more
characters. For compatibility with keys that contain `:`, a `NAME:KEY` is also valid as a whole, and a shorter text
after a `:` is not a key of its own.
"""

import hashlib
import re
import secrets
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

from app.errors import SettingsError

_KEY = re.compile(r"[!-~]+")  # ASCII without blanks: what every client can send in a header
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9._-]{0,31}):(.{16,})")
_NOT_A_KEY = re.compile(r"[#\"'`]")  # probably a comment, or a file of another format


class Keys:
    """API keys with their names, compared in constant time.

    The file has one key per line. `refresh` reloads a changed file; if it cannot be read, is empty or has anything else
    in it, the previous keys stay valid.
    """

    def __init__(self, fixed: Sequence[str], file: Path | None) -> None:
        """Raise SettingsError if the file cannot be read or contains anything but keys."""
        self._fixed = _names(fixed)
        self._file = file
        self._keys = self._fixed
        self.needed = bool(fixed) or file is not None
        """Whether there are keys at all; without keys the service is open."""
        self._read: Hashable = None
        self._seen: Hashable = None
        if file is not None:
            self._read = self._seen = _stamp(file)
            self._keys = self._fixed | keys_of(file)

    def refresh(self) -> bool:
        """Reload the file if it has changed; return whether it was read. Raise SettingsError.

        Two consecutive polls must see the same file, because one that is being written changes between them.
        """
        if self._file is None:
            return False
        stamp, before = _stamp(self._file), self._seen
        self._seen = stamp
        if stamp == self._read or stamp != before:
            return False
        found = keys_of(self._file)
        if not found:
            raise SettingsError(f"LARDER_API_KEYS_FILE: {self._file} is empty; the keys stay as they were")
        self._keys, self._read = self._fixed | found, stamp
        return True

    def name(self, key: bytes) -> str | None:
        """Return the name of a key given as the UTF-8 bytes of a header; None if it is not valid."""
        names = [name if secrets.compare_digest(key, own) else None for own, name in self._keys.items()]
        return next(filter(None, names), None)  # all of them were compared: constant time


def _names(keys: Iterable[str]) -> dict[bytes, str]:
    """Map the keys to their names; a key without a name gets a checksum of it, which does not reveal it."""
    names = {}
    for text in keys:
        named = _NAMED.fullmatch(text)
        name = named[1] if named else f"key-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        for key in {text, named[2] if named else text}:
            names[key.encode()] = name
    return names


def _stamp(file: Path) -> Hashable:
    try:
        stat = file.stat()
    except OSError as error:
        raise _unreadable(file, error) from error
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def keys_of(file: Path) -> dict[bytes, str]:
    """Parse the keys of a file with their names. Raise SettingsError, which names a wrong line without repeating it."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(file, error) from error
    for number, line in enumerate(lines, 1):
        if line.strip() and (not _KEY.fullmatch(line.strip()) or _NOT_A_KEY.search(line)):
            raise SettingsError(
                f"LARDER_API_KEYS_FILE: line {number} of {file} is not a key: "
                "one KEY or NAME:KEY a line is allowed, in ASCII, without blanks, quotes and #"
            )
    return _names(line.strip() for line in lines if line.strip())


def _unreadable(file: Path, error: OSError | UnicodeDecodeError) -> SettingsError:
    reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
    return SettingsError(f"LARDER_API_KEYS_FILE: {file} cannot be read: {reason}")
