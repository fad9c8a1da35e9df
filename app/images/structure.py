"""Parse the structure of a picture file before decoding, to bound its cost.

A few bytes can ask for hours of work: a progressive JPEG repeats a scan, a PNG or a GIF has millions of empty pieces.
The limits are far above what cameras and editors write, and what they allow is decoded within seconds.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from app.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.images.vp8l import groups_of_codes

MAX_SCANS = 40  # of a JPEG; encoders write 10 to 20, and an empty scan takes 35 ms for 50 megapixels
MAX_SEGMENTS = 4096  # of a JPEG, without its scans
MAX_JUNK = 65_536  # bytes between the segments before a JPEG's first scan
MAX_CHUNKS = 50_000  # of a PNG or a WebP; libpng writes one per 8 KiB
MAX_BLOCKS = 65_536  # of a GIF before its first frame
MAX_RUN_LENGTH_PIXELS = 2_100_000  # of a run-length encoded BMP, which Pillow decodes in Python
MAX_PROFILE = 4 * 1024 * 1024  # bytes of an ICC profile

# The end, and what has a length: not stuffing, restarts, a start, or what is reserved or an extension, which libjpeg
# discards or refuses, and which Pillow walks a byte at a time
_MARKER = re.compile(rb"\xff([\xc0-\xc7\xc9-\xcf\xd9-\xef\xfe])")
_SOS, _EOI = 0xDA, 0xD9
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_DECODABLE = {0xC0, 0xC1, 0xC2, 0xC9}  # baseline, extended, progressive, arithmetic: ITU T.81, table B.1
_FRAME_NAMES = {0xC3: "lossless", 0xCA: "progressive arithmetic", 0xCB: "lossless arithmetic"}
_PNG_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"eXIf"}  # with tRNS and iCCP, everything that affects the pixels


def jpeg_frame(data: bytes) -> tuple[int, int]:
    """Count the scans and the colour components of a JPEG file.

    Raises UnsupportedImage for a kind of JPEG that is not decoded here, ImageTooLarge for too many scans or segments,
    and InvalidImage for a file that is mostly something else.
    """
    scans = components = segments = junk = 0
    position = 2
    while found := _MARKER.search(data, position):
        marker = found[1][0]
        if not scans:
            junk += found.start() - position
        if marker == _EOI:
            break
        position = found.end()
        if marker in _FRAMES:
            components = max(components, _components(data, position, marker))
        scans += marker == _SOS
        segments += 1
        if scans > MAX_SCANS:
            raise ImageTooLarge(f"the JPEG has more than {MAX_SCANS} scans, the most that are accepted")
        if segments - scans > MAX_SEGMENTS:
            raise ImageTooLarge(f"the JPEG has more than {MAX_SEGMENTS:,} segments, the most that are accepted")
        if junk > MAX_JUNK:
            raise InvalidImage(f"the picture is damaged: more than {MAX_JUNK:,} stray bytes before its first scan")
        position += max(2, int.from_bytes(data[position : position + 2], "big"))
    if not scans:  # Pillow would look for one byte by byte
        raise InvalidImage("the picture is damaged: it has no scan")
    return scans, components


def _components(data: bytes, position: int, marker: int) -> int:
    """Count the components in a frame header at `position`; raises UnsupportedImage for kinds not decoded."""
    bits = data[position + 2] if len(data) > position + 2 else 8
    if marker not in _DECODABLE:
        raise UnsupportedImage(f"{_FRAME_NAMES.get(marker, 'hierarchical')} JPEG is not accepted; send a baseline JPEG")
    if bits != 8:
        raise UnsupportedImage(f"JPEG with {bits} bits a sample is not accepted; send one with 8 bits")
    return data[position + 7] if len(data) > position + 7 else 0


def png_essentials(data: bytes) -> tuple[bytes, bytes]:
    """Return a PNG file without invisible data (texts, animation, unknown chunks), and its ICC profile or b"".

    Pillow refuses a picture with texts or a profile larger than 1 MiB; here they are left out. Raises ImageTooLarge for
    too many chunks.
    """
    kept, profile, end = [data[:8]], b"", 8
    for number, (kind, start, end) in enumerate(_chunks(data)):
        if number == MAX_CHUNKS:
            raise ImageTooLarge(f"the PNG has more than {MAX_CHUNKS:,} chunks, the most that are accepted")
        if kind == b"tRNS":
            kept.append(_chunk(kind, _eight_bit_key(data, data[start + 8 : end - 4])))
        elif kind in _PNG_CHUNKS:
            kept.append(data[start:end])
        elif kind == b"iCCP" and not profile:
            profile = _inflated(data[start + 8 : end - 4].partition(b"\0")[2][1:])
        if kind == b"IEND":
            return b"".join(kept), profile
    return b"".join([*kept, data[end:]]), profile  # truncated: the decoder reports it


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each complete chunk of a PNG: its type, start and end."""
    start = 8
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        if start + 12 + length > len(data):
            return
        yield kind, start, start + 12 + length
        start += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _eight_bit_key(data: bytes, key: bytes) -> bytes:
    """Return the transparent colour of a PNG's tRNS chunk, scaled as Pillow scales the pixels but not this colour."""
    depth_and_colour = data[24:26]
    if depth_and_colour in (b"\2\0", b"\4\0") and len(key) == 2:  # 2 or 4 bits of grey
        return struct.pack(">H", key[1] * (255 // (2 ** depth_and_colour[0] - 1)))
    if depth_and_colour == b"\x10\2" and len(key) == 6:  # 16 bits of each colour
        return bytes([0, key[0], 0, key[2], 0, key[4]])
    return key


def _inflated(data: bytes) -> bytes:
    """Decompress an ICC profile; b"" if it is damaged or larger than MAX_PROFILE."""
    try:
        profile = zlib.decompressobj().decompress(data, MAX_PROFILE + 1)
    except zlib.error:
        return b""
    return profile if len(profile) <= MAX_PROFILE else b""


def gif_frame(data: bytes) -> tuple[int, int, int, int] | None:
    """Return the box of a GIF's first frame on its canvas, which it may exceed; None if there is no frame.

    Raises InvalidImage if too much precedes it.
    """
    position = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0)
    for _ in range(MAX_BLOCKS):
        introducer = data[position : position + 1]
        if introducer == b",":
            if len(data) < position + 9:
                return None
            left, top, width, height = struct.unpack_from("<4H", data, position + 1)
            return left, top, left + width, top + height
        if introducer in (b"", b";"):
            return None
        position += 2 if introducer == b"!" else 1
        if introducer == b"!":
            position = _after_blocks(data, position)
    raise InvalidImage(
        f"the GIF has more than {MAX_BLOCKS:,} blocks before its first frame, the most that are accepted"
    )


def _after_blocks(data: bytes, position: int) -> int:
    """Return the end of a sequence of sub-blocks; raises InvalidImage for too many."""
    for _ in range(MAX_BLOCKS):
        if position >= len(data) or data[position] == 0:
            return position + 1
        position += 1 + data[position]
    raise InvalidImage(
        f"the GIF has more than {MAX_BLOCKS:,} blocks before its first frame, the most that are accepted"
    )


def webp_groups(data: bytes) -> int:
    """Return the most Huffman code groups that a WebP's first picture and alpha channel may have; 0: none is lossless.

    Raises ImageTooLarge for too many chunks, InvalidImage for too many pictures, and what `groups_of_codes` raises.
    """
    groups, start, canvas, frames, pictures = 0, 12, (0, 0), 0, 0
    for _ in range(MAX_CHUNKS):
        kind, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        body = start + 8
        if kind == b"ANMF":
            frames += 1
        if len(kind) < 4 or frames > 1:  # of an animation only the first frame is decoded
            return groups
        pictures += kind in (b"VP8L", b"ALPH")
        if pictures > 1:  # reading past each may take 150 ms
            raise InvalidImage("the picture is damaged: the WebP has several lossless pictures in one frame")
        if kind == b"VP8X":
            canvas = _size24(data, body + 4)
        elif kind == b"ANMF":
            canvas = _size24(data, body + 6)
        elif kind == b"VP8L":
            sides = int.from_bytes(data[body + 1 : body + 5], "little")
            sizes = 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
            groups = max(groups, groups_of_codes(data[body + 5 : body + size], *sizes))
        elif kind == b"ALPH" and data[body : body + 1] and data[body] & 3 == 1:
            groups = max(groups, groups_of_codes(data[body + 1 : body + size], *canvas))
        start = body + (16 if kind == b"ANMF" else size + size % 2)  # a frame of an animation has its own chunks
    raise ImageTooLarge(f"the WebP has more than {MAX_CHUNKS:,} chunks, the most that are accepted")


def _size24(data: bytes, position: int) -> tuple[int, int]:
    """Read a width and a height, each minus one in 24 bits."""
    width, height = (int.from_bytes(data[place : place + 3], "little") for place in (position, position + 3))
    return width + 1, height + 1


def run_length_size(data: bytes) -> tuple[int, int] | None:
    """Return the width and height of a run-length encoded BMP (BI_RLE8 or BI_RLE4); None for any other."""
    if len(data) < 34 or int.from_bytes(data[30:34], "little") not in (1, 2):
        return None
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)
