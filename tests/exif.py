"""JPEG files whose EXIF data has an odd tag in addition to the orientation."""

import struct

_X_RESOLUTION, _RESOLUTION_UNIT, _DATE_TIME = 0x011A, 0x0128, 0x0132
_SHORT, _ASCII, _RATIONAL, _SIGNED_RATIONAL, _DOUBLE = 3, 2, 5, 10, 12

ODD_TAGS = {
    "nothing odd": b"",
    "a resolution as text": struct.pack("<HHI4s", _X_RESOLUTION, _ASCII, 4, b"72\0\0"),
    "a negative resolution": struct.pack("<HHII", _X_RESOLUTION, _SIGNED_RATIONAL, 1, 38) + struct.pack("<ii", -72, 1),
    "a resolution without a denominator": struct.pack("<HHII", _X_RESOLUTION, _RATIONAL, 1, 38) + bytes(8),
    "a resolution that is no number": struct.pack("<HHIId", _X_RESOLUTION, _DOUBLE, 1, 38, float("nan")),
    "a unit as text": struct.pack("<HHI4s", _RESOLUTION_UNIT, _ASCII, 4, b"in\0\0"),
    "a date as a number": struct.pack("<HHIHH", _DATE_TIME, _SHORT, 1, 7, 0),
    "a value beyond the end": struct.pack("<HHII", _DATE_TIME, _ASCII, 20, 60_000),
}
"""One more entry of the directory, 12 bytes, and what it points to at offset 38; empty: the orientation alone."""


def with_exif(jpeg: bytes, tag: bytes, orientation: int = 6) -> bytes:
    """The JPEG with an orientation, and the tag after it."""
    entries = struct.pack("<HHIHH", 0x0112, _SHORT, 1, orientation, 0) + tag[:12]
    directory = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries) // 12) + entries + bytes(4)
    exif = b"Exif\0\0" + directory + tag[12:]
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
