"""Parse HEIC and AVIF files (ISO/IEC 23008-12 on 14496-12) before decoding, to bound its cost.

The sizes that a file declares do not bind the decoder: the streams have their own, which are read here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.images.codec_headers import Stream, av1_stream, hevc_stream

MAX_BOXES = 4096  # on one level of a file, including properties and items; a phone's 48 megapixels have some 400
MAX_TILES = 1000  # of a grid, libheif's own limit; a phone's 48 megapixels have 192
MAX_EXTENTS = 32  # of an item
MAX_PROPERTIES = 64  # of an item; encoders write ten
MAX_CONFIG = 16 * 1024  # bytes of a decoder's configuration; encoders write some hundred
MAX_ALPHAS = 4  # alpha channels of a picture; encoders write one
MAX_STREAMS = 64  # pictures or slices in one item's stream; encoders write one to eight
TILE_COST = 50_000  # pixels: the cost of setting up a decoder for a tile
_CODED = {b"hvc1": "HEIC", b"av01": "AVIF"}
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")

Span = tuple[int, int]  # start and end offset in the file


@dataclass
class _Item:
    kind: bytes = b""
    extents: list[Span] = field(default_factory=list)
    properties: list[Span] = field(default_factory=list)


@dataclass
class _Meta:
    """The meta box: a file's items, their locations, properties and references."""

    primary: int = -1
    items: dict[int, _Item] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)

    def item(self, number: int) -> _Item:
        return self.items.setdefault(number, _Item())


@dataclass(frozen=True)
class Asked:
    """The resources that decoding a HEIC or AVIF file takes."""

    pixels: int
    """Pixels of all decoded streams: the primary picture's and its alpha's."""
    cost: int
    """The work in pixels decoded."""


def still_picture(data: bytes) -> Asked:
    """Determine what decoding the primary picture of a HEIC or AVIF file takes.

    Raises InvalidImage, ImageTooLarge, and UnsupportedImage for sequences and for other kinds of items.
    """
    meta = _read_meta(data)
    if meta is None or meta.primary not in meta.items:
        raise UnsupportedImage("a HEIC or AVIF file without a primary still picture is not accepted")
    if sum(end - start for item in meta.items.values() for start, end in item.extents) > 2 * len(data):
        raise InvalidImage("the picture is damaged: its items overlap")
    alpha = [
        start
        for kind, start, to in meta.references
        if kind == b"auxl" and meta.primary in to and _is_alpha(data, meta.item(start))
    ]
    if len(alpha) > MAX_ALPHAS:
        raise ImageTooLarge(f"the picture has more than {MAX_ALPHAS} alpha channels, the most that are accepted")
    streams: dict[int, Stream] = {}
    pixels = cost = 0
    for number in (meta.primary, *alpha):
        tiles = _tiles(meta, number)
        for tile in tiles:
            if tile not in streams:
                streams[tile] = _stream(data, meta.item(tile))
            width, height, repeats = streams[tile]
            pixels += width * height
            cost += int(width * height * max(1, repeats / 4)) + (TILE_COST if len(tiles) > 1 else 0)
    return Asked(pixels, cost)


def _tiles(meta: _Meta, number: int) -> list[int]:
    """Return the items whose streams make up a picture: the item itself, or the tiles of a grid."""
    kind = meta.item(number).kind
    if kind in _CODED:
        return [number]
    if kind != b"grid":
        raise UnsupportedImage(f"HEIC and AVIF pictures of the kind {kind.decode('latin-1')!r} are not accepted")
    tiles = [each for kind, start, to in meta.references if kind == b"dimg" and start == number for each in to]
    if not 0 < len(tiles) <= MAX_TILES:
        raise ImageTooLarge(f"the picture is a grid of {len(tiles):,} tiles; 1 to {MAX_TILES:,} are accepted")
    return tiles


def _stream(data: bytes, item: _Item) -> Stream:
    if item.kind not in _CODED:
        raise UnsupportedImage(f"a tile of the kind {item.kind.decode('latin-1')!r} is not accepted")
    spans = {kind: (start + 8, end) for kind, start, end in _properties(data, item)}
    start, end = spans.get(b"hvcC" if item.kind == b"hvc1" else b"av1C", (0, 0))
    if end - start > MAX_CONFIG:
        raise ImageTooLarge(f"a decoder's configuration has more than {MAX_CONFIG:,} bytes, the most that are accepted")
    config = data[start:end]
    body = b"".join(data[start:end] for start, end in item.extents)
    if item.kind == b"hvc1":
        stream = hevc_stream(config, body, MAX_STREAMS)
    else:
        stream = av1_stream(config[4:] + body, MAX_STREAMS)
    if stream.repeats > MAX_STREAMS:
        raise ImageTooLarge(f"the picture's stream has more than {MAX_STREAMS} pieces, the most that are accepted")
    if not stream.width * stream.height:
        raise InvalidImage("the picture is damaged: its stream has no size")
    return stream


def _is_alpha(data: bytes, item: _Item) -> bool:
    longest = max(map(len, _ALPHA)) + 1
    return any(
        kind == b"auxC" and data[start + 12 : min(end, start + 12 + longest)] in _ALPHA
        for kind, start, end in _properties(data, item)
    )


def _properties(data: bytes, item: _Item) -> Iterator[tuple[bytes, int, int]]:
    for start, end in item.properties:
        yield data[start + 4 : start + 8], start, end


def _boxes(data: bytes, start: int, end: int) -> list[tuple[bytes, int, int, int]]:
    """Yield each box between two offsets: its type, and the offsets of the box, its body and its end."""
    found: list[tuple[bytes, int, int, int]] = []
    while start + 8 <= end:
        size, header = int.from_bytes(data[start : start + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        after = start + size if size else end
        if (size and size < header) or after > end:
            break
        found.append((data[start + 4 : start + 8], start, start + header, after))
        start = after
        if len(found) > MAX_BOXES:
            raise ImageTooLarge(f"the picture has more than {MAX_BOXES:,} boxes, the most that are accepted")
    return found


def _read_meta(data: bytes) -> _Meta | None:
    span = next(((body, after) for kind, _, body, after in _boxes(data, 0, len(data)) if kind == b"meta"), None)
    if span is None:
        return None
    found, meta = {kind: (body, after) for kind, _, body, after in _boxes(data, span[0] + 4, span[1])}, _Meta()
    try:
        for kind, read in ((b"pitm", _pitm), (b"iinf", _iinf), (b"iprp", _iprp), (b"iref", _iref)):
            if kind in found:
                read(_Reader(data, *found[kind]), meta)
        if b"iloc" in found:
            _iloc(_Reader(data, *found[b"iloc"]), meta, found.get(b"idat", (0, 0))[0])
    except EOFError as error:
        raise InvalidImage("the picture is damaged: a box ends too soon") from error
    if len(meta.items) > MAX_BOXES:
        raise ImageTooLarge(f"the picture has more than {MAX_BOXES:,} items, the most that are accepted")
    return meta


class _Reader:
    """Reads the numbers of a box; raises EOFError beyond its end."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.data, self.at, self.end = data, start, end

    def number(self, size: int) -> int:
        """Read `size` bytes, most significant first."""
        start, self.at = self.at, self.at + size
        if self.at > self.end:
            raise EOFError
        return int.from_bytes(self.data[start : self.at], "big")

    def count(self, size: int) -> range:
        """Read the number of following entries; raises ImageTooLarge for too many."""
        count = self.number(size)
        if count > MAX_BOXES:
            raise ImageTooLarge(f"the picture has a list of {count:,} entries; at most {MAX_BOXES:,} are accepted")
        return range(count)


def _pitm(box: _Reader, meta: _Meta) -> None:
    version = box.number(4) >> 24
    meta.primary = box.number(4 if version else 2)


def _iinf(box: _Reader, meta: _Meta) -> None:
    box.count(4 if box.number(4) >> 24 else 2)
    for kind, _, start, end in _boxes(box.data, box.at, box.end):
        if kind == b"infe":
            entry = _Reader(box.data, start, end)
            number = entry.number(4 if entry.number(4) >> 24 >= 3 else 2)
            meta.item(number).kind = entry.number(6).to_bytes(6, "big")[2:]


def _iprp(box: _Reader, meta: _Meta) -> None:
    boxes = _boxes(box.data, box.at, box.end)
    properties = [
        (start, after)
        for kind, _, body, end in boxes
        if kind == b"ipco"
        for _, start, _, after in _boxes(box.data, body, end)
    ]
    for kind, _, start, end in boxes:
        if kind != b"ipma":
            continue
        entry = _Reader(box.data, start, end)
        flags = entry.number(4)
        for _ in entry.count(4):
            item = meta.item(entry.number(4 if flags >> 24 else 2))
            for _ in range(entry.number(1)):
                index = entry.number(2) & 0x7FFF if flags & 1 else entry.number(1) & 0x7F
                if 0 < index <= len(properties):
                    item.properties.append(properties[index - 1])
            if len(item.properties) > MAX_PROPERTIES:
                raise ImageTooLarge(f"an item has more than {MAX_PROPERTIES} properties, the most that are accepted")


def _iref(box: _Reader, meta: _Meta) -> None:
    size, total = 4 if box.number(4) >> 24 else 2, 0
    for kind, _, start, end in _boxes(box.data, box.at, box.end):
        entry = _Reader(box.data, start, end)
        meta.references.append((kind, entry.number(size), [entry.number(size) for _ in entry.count(2)]))
        total += len(meta.references[-1][2])
        if total > MAX_BOXES:
            raise ImageTooLarge(f"the picture has more than {MAX_BOXES:,} references, the most that are accepted")


def _iloc(box: _Reader, meta: _Meta, idat: int) -> None:
    version = box.number(4) >> 24
    sizes, more = box.number(1), box.number(1)
    wide = 4 if version == 2 else 2
    for _ in box.count(wide):
        item = meta.item(box.number(wide))
        origin = idat if version and box.number(2) & 15 == 1 else 0
        box.number(2)  # the file that contains the item: this one
        origin += box.number(more >> 4)
        extents = box.number(2)
        if extents > MAX_EXTENTS:
            raise ImageTooLarge(f"an item has {extents:,} extents; at most {MAX_EXTENTS} are accepted")
        for _ in range(extents):
            box.number(more & 15 if version else 0)
            start = origin + box.number(sizes >> 4)
            length = box.number(sizes & 15)
            item.extents.append((start, min(start + length, len(box.data)) if length else len(box.data)))
