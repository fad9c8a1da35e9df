"""Count the groups of Huffman codes that a lossless WebP may have; each costs its decoder kilobytes (RFC 9649).

Up to three small pictures precede the number; they are parsed here as a decoder does.
"""

from collections.abc import Sequence

from app.errors import ImageTooLarge, InvalidImage

MAX_PIXELS = 65_536  # of the small pictures before the number; libwebp writes two of 32,400 at most
_LENGTH_ORDER = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
_LITERALS, _LENGTHS, _DISTANCES = 256, 24, 40
_PREDICTION, _COLOUR, _GREEN, _PALETTE = range(4)  # transforms


class _Bits:
    """A bit reader, the lowest bit of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at(self) -> int:
        """Return the number of bits read."""
        return self._at

    def read(self, count: int) -> int:
        """Read the next `count` bits, at most 24; raises InvalidImage beyond the end."""
        value = self.peek(count)
        self.skip(count)
        return value

    def peek(self, count: int) -> int:
        """Read without advancing; zeros beyond the end."""
        start = self._at >> 3
        return int.from_bytes(self._data[start : start + 4], "little") >> (self._at & 7) & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        """Advance."""
        self._at += count
        if self._at > 8 * len(self._data):
            raise InvalidImage("the picture is damaged or truncated: a lossless WebP ends before its pixels")


class _Code:
    """A Huffman code, as a lookup table of all bit patterns."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._longest, used = max(lengths), [symbol for symbol, length in enumerate(lengths) if length]
        if len(used) == 1:  # takes no bits
            self._longest, self._table = 0, [(used[0], 0)]
            return
        self._table = [(0, 0)] * (1 << self._longest)
        code = 0
        for length in range(1, self._longest + 1):
            code <<= 1
            for symbol in (symbol for symbol in used if lengths[symbol] == length):
                if code >> length:
                    break
                first = int(f"{code:0{length}b}"[::-1], 2)
                self._table[first :: 1 << length] = [(symbol, length)] * (1 << self._longest - length)
                code += 1
        if code != 1 << self._longest or not used:
            raise InvalidImage("the picture is damaged: a lossless WebP has an invalid Huffman code")

    def read(self, bits: _Bits) -> int:
        """Read the next symbol."""
        symbol, length = self._table[bits.peek(self._longest)]
        bits.skip(length)
        return symbol


def groups_of_codes(data: bytes, width: int, height: int) -> int:
    """Return the maximum number of groups in a lossless picture, given its bits after its size.

    Raises InvalidImage for a damaged picture, ImageTooLarge if too much precedes the number.
    """
    bits, left = _Bits(data), MAX_PIXELS
    transforms = set[int]()
    while bits.read(1):
        transform = bits.read(2)
        if transform in transforms:
            raise InvalidImage("the picture is damaged: a lossless WebP has one transform twice")
        transforms.add(transform)
        if transform in (_PREDICTION, _COLOUR):
            pixels = _blocks(width, height, bits.read(3) + 2)
            left -= pixels
            if left < 0:
                raise ImageTooLarge(f"a lossless WebP has more than {MAX_PIXELS:,} blocks, the most that are accepted")
            _skip(bits, pixels)
        elif transform == _PALETTE:
            colours = bits.read(8) + 1
            _skip(bits, colours)
            packed = 3 if colours <= 2 else 2 if colours <= 4 else 1 if colours <= 16 else 0
            width = _blocks(width, 1, packed)
    _cache(bits)
    return _blocks(width, height, bits.read(3) + 2) if bits.read(1) else 1


def _blocks(width: int, height: int, times: int) -> int:
    """Return how many squares with a side of 2 ** `times` cover a picture."""
    return -(-width >> times) * -(-height >> times)


def _cache(bits: _Bits) -> int:
    """Read the size of the colour cache."""
    return 1 << bits.read(4) if bits.read(1) else 0


def _skip(bits: _Bits, pixels: int) -> None:
    """Parse a small picture and discard it."""
    green = _LITERALS + _LENGTHS + _cache(bits)
    sizes = (green, _LITERALS, _LITERALS, _LITERALS, _DISTANCES)
    green_code, *colours, distance = [_read_code(bits, size) for size in sizes]
    while pixels > 0:
        before = bits.at
        symbol = green_code.read(bits)
        if symbol < _LITERALS:
            for code in colours:
                code.read(bits)
        elif symbol < _LITERALS + _LENGTHS:
            pixels -= _number(bits, symbol - _LITERALS) - 1
            _number(bits, distance.read(bits))
        pixels -= 1
        if bits.at == before:  # nor do the pixels that follow take any bit
            return


def _number(bits: _Bits, prefix: int) -> int:
    """Read a length or a distance from its prefix code."""
    if prefix < 4:
        return prefix + 1
    extra = prefix - 2 >> 1
    return (2 + (prefix & 1) << extra) + bits.read(extra) + 1


def _read_code(bits: _Bits, symbols: int) -> _Code:
    if bits.read(1):  # one or two symbols
        two = bits.read(1)
        named = [bits.read(8 if bits.read(1) else 1)] + ([bits.read(8)] if two else [])
        return _Code([int(symbol in named) for symbol in range(_LITERALS)])
    lengths_of_lengths = [0] * len(_LENGTH_ORDER)
    for symbol in _LENGTH_ORDER[: 4 + bits.read(4)]:
        lengths_of_lengths[symbol] = bits.read(3)
    code, lengths, before = _Code(lengths_of_lengths), list[int](), 8
    written = 2 + bits.read(2 + 2 * bits.read(3)) if bits.read(1) else symbols
    while len(lengths) < symbols and written:
        written -= 1
        symbol = code.read(bits)
        if symbol < 16:
            lengths.append(symbol)
            before = symbol or before
        elif symbol == 16:
            lengths += [before] * (3 + bits.read(2))
        else:
            lengths += [0] * (3 + bits.read(3) if symbol == 17 else 11 + bits.read(7))
    if len(lengths) > symbols:
        raise InvalidImage("the picture is damaged: a lossless WebP has a Huffman code of too many symbols")
    return _Code(lengths)
