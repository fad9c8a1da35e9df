"""Picture files that Pillow does not write: chunk by chunk, segment by segment."""

import io
import struct
import zlib
from collections.abc import Mapping
from types import MappingProxyType

from PIL import Image, ImageCms

from tests.fakes import as_bytes


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a PNG with a correct checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(size, depth, colour, rows, before=(), after=()):
    """A PNG of packed rows, with chunks (kind, body) before and after its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    parts = [header, *(chunk(*each) for each in before), pixels, *(chunk(*each) for each in after)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def scans(side: int, copies: int) -> bytes:
    """A grey progressive JPEG whose refinement scan is repeated."""
    data = as_bytes(Image.new("L", (side, side), 128), "JPEG", progressive=True, quality=10)
    start = data.find(bytes.fromhex("ffda0008010100013f21"))
    end = start + 10
    while not (data[end] == 0xFF and data[end + 1] != 0):
        end += 1
    return data[:end] + data[start:end] * copies + data[end:]


def bmp_with_alpha(picture: Image.Image, alpha: int) -> bytes:
    """A BMP V5 of 32 bits a pixel with masks, every alpha byte the same."""
    picture = picture.convert("RGBA")
    picture.putalpha(alpha)
    pixels = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGRA")
    header = struct.pack("<IiiHHIIiiII", 124, *picture.size, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(124 - 40 - 16 - 4)
    return b"BM" + struct.pack("<IHHI", 14 + 124 + len(pixels), 0, 0, 14 + 124) + header + pixels


def rgb_profile(
    primaries: dict[str, tuple[float, float]], gamma: float, more: Mapping[bytes, bytes] = MappingProxyType({})
) -> bytes:
    """An ICC profile (version 2, matrix and curve) of an RGB space with these chromaticities and D65 as white.

    With `more` tags.
    """
    import numpy as np

    def xyz(x: float, y: float) -> list[float]:
        return [x / y, 1, (1 - x - y) / y]

    white, d50 = np.array(xyz(0.3127, 0.3290)), np.array([0.9642, 1, 0.8249])
    columns = np.array([xyz(*primaries[name]) for name in "rgb"]).T
    matrix = columns * np.linalg.solve(columns, white)
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    adapted = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ white)) @ bradford @ matrix

    def fixed(values) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78 + 8 + 1)
    tags = {b"desc": text, b"wtpt": b"XYZ \0\0\0\0" + fixed(d50), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    tags |= {name + b"XYZ": b"XYZ \0\0\0\0" + fixed(adapted[:, place]) for place, name in enumerate([b"r", b"g", b"b"])}
    tags |= {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    return _profile(b"RGB ", {**tags, **more})


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey with this gamma."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(87)
    return _profile(b"GRAY", {b"desc": text, b"wtpt": white, b"kTRC": curve, b"cprt": b"text\0\0\0\0none\0\0\0\0"})


def cmyk_profile() -> bytes:
    """An ICC profile of a printing press: the CIE L*a*b* of each overprint of its inks, and a table between them."""
    inks = {
        "": (95, 0, -2),
        "c": (55, -37, -50),
        "m": (48, 74, -3),
        "y": (89, -5, 93),
        "cm": (24, 17, -46),
        "cy": (50, -68, 25),
        "my": (47, 68, 48),
        "cmy": (23, 0, 0),
    }
    table = b""
    for place in range(16):  # cyan is the slowest of the four
        lab = inks["".join(ink for ink, bit in zip("cmy", (8, 4, 2), strict=True) if place & bit)]
        light, a, b = (value * 0.15 if place & 1 else value for value in lab)
        table += bytes([round(light * 2.55), round(a) + 128, round(b) + 128])
    one = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    straight = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + one + 4 * straight + table + 3 * straight
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(87)
    tags = {b"desc": text, b"wtpt": white, b"A2B0": lut, b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    return _profile(b"CMYK", tags, b"prtr", b"Lab ")


def _profile(space: bytes, tags: dict[bytes, bytes], device: bytes = b"mntr", connection: bytes = b"XYZ ") -> bytes:
    table, body, offset = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += struct.pack(">4sII", name, offset + len(body), len(value))
        body += value
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, device, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


DISPLAY_P3 = rgb_profile({"r": (0.680, 0.320), "g": (0.265, 0.690), "b": (0.150, 0.060)}, 2.2)
ADOBE_RGB = rgb_profile({"r": (0.64, 0.33), "g": (0.21, 0.71), "b": (0.15, 0.06)}, 2.19921875)
WIDE_PRIMARIES = {"r": (0.7347, 0.2653), "g": (0.1596, 0.8404), "b": (0.0366, 0.0001)}
WIDE = rgb_profile(WIDE_PRIMARIES, 1.8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def opened_by_pillow(data: bytes) -> Image.Image:
    """Return the properties that Pillow itself sees in the file."""
    return Image.open(io.BytesIO(data))
