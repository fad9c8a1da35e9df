"""HEIC and AVIF files box by box, around the streams of files that libheif and libavif wrote."""

import struct
from collections.abc import Sequence
from typing import NamedTuple


class Coded(NamedTuple):
    """A stream, its configuration and the size that its item declares."""

    kind: bytes
    config: bytes
    stream: bytes
    size: tuple[int, int]


def coded(file: bytes, size: tuple[int, int]) -> Coded:
    """Take the stream out of a file with one picture."""
    kind, config = (b"hvc1", b"hvcC") if b"hvcC" in file else (b"av01", b"av1C")
    at = file.index(config) - 4
    length = int.from_bytes(file[at : at + 4], "big")
    return Coded(kind, file[at : at + length], file[file.index(b"mdat") + 4 :], size)


def box(kind: bytes, *parts: bytes, version: int | None = None, flags: int = 0) -> bytes:
    """A box, or a full box if it has a version."""
    full = b"" if version is None else struct.pack(">I", version << 24 | flags)
    body = full + b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def ispe(width: int, height: int) -> bytes:
    """The box for the declared size of an item."""
    return box(b"ispe", struct.pack(">II", width, height), version=0)


PIXI = box(b"pixi", bytes([3, 8, 8, 8]), version=0)  # three channels of 8 bits


def heif(
    pictures: Sequence[Coded],
    grid: tuple[int, int, int, int] | None = None,
    tiles: Sequence[int] = (),
    rotation: int | None = None,
    extents: int = 1,
    primary: int = 1,
) -> bytes:
    """A file of some pictures, numbered from 1; with `grid` (rows, columns, width, height), of tiles of them.

    `rotation` is in quarter turns against the clock; each item's stream is named `extents` times over.
    """
    items = [(each.kind, each.stream) for each in pictures]
    properties, owned = _distinct([(ispe(*each.size), each.config, PIXI) for each in pictures])
    references = b""
    if grid:
        rows, columns, width, height = grid
        items.append((b"grid", struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)))
        properties += [ispe(width, height), PIXI]
        owned.append([len(properties) - 1, len(properties)])
        primary = len(items)
        to = b"".join(struct.pack(">H", tile) for tile in tiles)
        references = box(b"iref", box(b"dimg", struct.pack(">HH", primary, len(tiles)), to), version=0)
    if rotation is not None:
        properties.append(box(b"irot", bytes([rotation])))
        owned[primary - 1].append(0x80 | len(properties))  # essential
    brand = b"heic" if pictures[0].kind == b"hvc1" else b"avif"
    start = box(b"ftyp", brand, b"\0\0\0\0", b"mif1", brand)
    size = len(_meta(items, properties, owned, references, primary, 0, extents))
    meta = _meta(items, properties, owned, references, primary, len(start) + size + 8, extents)
    return start + meta + box(b"mdat", *(stream for _, stream in items))


def _distinct(of_items: Sequence[Sequence[bytes]]) -> tuple[list[bytes], list[list[int]]]:
    """Return each property once, and the 1-based numbers of the properties of each item."""
    properties = list(dict.fromkeys(part for parts in of_items for part in parts))
    return properties, [[properties.index(part) + 1 for part in parts] for parts in of_items]


def _meta(
    items: Sequence[tuple[bytes, bytes]],
    properties: Sequence[bytes],
    owned: Sequence[Sequence[int]],
    references: bytes,
    primary: int,
    offset: int,
    extents: int,
) -> bytes:
    entries, places, associations = [], [], []
    for number, (kind, stream) in enumerate(items, start=1):
        entries.append(box(b"infe", struct.pack(">HH4s", number, 0, kind), b"\0", version=2))
        places.append(struct.pack(">HHH", number, 0, extents) + struct.pack(">II", offset, len(stream)) * extents)
        offset += len(stream)
        associations.append(struct.pack(">HB", number, len(owned[number - 1])) + bytes(owned[number - 1]))
    return box(
        b"meta",
        box(b"hdlr", b"\0\0\0\0pict", bytes(13), version=0),
        box(b"pitm", struct.pack(">H", primary), version=0),
        box(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)), *places, version=0),
        box(b"iinf", struct.pack(">H", len(items)), *entries, version=0),
        references,
        box(b"iprp", box(b"ipco", *properties), box(b"ipma", struct.pack(">I", len(items)), *associations, version=0)),
        version=0,
    )
