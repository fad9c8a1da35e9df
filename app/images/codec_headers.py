"""Read the sizes that HEVC and AV1 streams declare, and count their pictures or slices.

HEVC: ITU-T H.265, sections 7.3.1 and 7.3.2.2; hvcC: ISO/IEC 14496-15. AV1: its bitstream specification, 5.3 to 5.5.
"""

from typing import NamedTuple

MAX_SETS = 16  # sequence parameter sets of a stream: HEVC numbers them from 0 to 15, and encoders write one or two
MAX_CONFIG_UNITS = 64  # of a hvcC box; encoders write three or four


class Stream(NamedTuple):
    """The largest width and height that a stream declares, and its slices or frames: each may cover all pixels.

    A stream of too many units has more `repeats` than the most.
    """

    width: int
    height: int
    repeats: int


class _Bits:
    """A bit reader, most significant bit first; zeros beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        self._left -= count
        shifted = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return shifted & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """Read ue(v) of H.265, section 9.2."""
        zeros = 0
        while zeros < 32 and not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


def hevc_stream(config: bytes, body: bytes, most: int) -> Stream:
    """Read the parameter sets of a hvcC box and of a stream, and count its slices, up to `most` + 1."""
    length_size = (config[21] & 3) + 1 if len(config) > 21 else 4
    width = height = slices = sets = 0
    for unit in (*_hvcc_units(config, most), *_units(body, length_size, 4 * most)):
        kind = unit[0] >> 1 & 0x3F if unit else 0x3F
        if kind == 33:  # SPS_NUT
            across, down = _sps_size(unit[2:256])
            width, height, sets = max(width, across), max(height, down), sets + 1
        elif kind < 32:  # a slice
            slices += 1
        if slices > most or sets > MAX_SETS:
            return Stream(width, height, most + 1)
    return Stream(width, height, slices)


def _hvcc_units(config: bytes, most: int) -> list[bytes]:
    """The NAL units of a hvcC box; `most` slices and one more in place of too many."""
    units, at = list[bytes](), 23
    for _ in range(config[22] if len(config) > 22 else 0):
        count = int.from_bytes(config[at + 1 : at + 3], "big")
        at += 3
        if len(units) + count > MAX_CONFIG_UNITS:
            return [b"\0\0"] * (most + 1)
        for _ in range(count):
            length = int.from_bytes(config[at : at + 2], "big")
            units.append(config[at + 2 : at + 2 + length])
            at += 2 + length
    return units


def _units(body: bytes, length_size: int, most: int) -> list[bytes]:
    """Return the offsets of the NAL units of a stream, at most `most`; from then on each counts as a slice."""
    units, at = [], 0
    while at + length_size < len(body):
        length = int.from_bytes(body[at : at + length_size], "big")
        at += length_size
        units.append(body[at : at + min(length, 256)])
        at += length
        if len(units) > most:
            return [b"\0\0"] * most
    return units


def _sps_size(sps: bytes) -> tuple[int, int]:
    bits = _Bits(sps.replace(b"\0\0\3", b"\0\0"))  # emulation prevention
    bits.read(4)
    layers = bits.read(3)
    bits.read(1 + 96)
    present = [(bits.read(1), bits.read(1)) for _ in range(8 if layers else 0)][:layers]
    for profile, level in present:
        bits.read(88 * profile + 8 * level)
    bits.exp_golomb()
    if bits.exp_golomb() == 3:  # chroma_format_idc
        bits.read(1)
    return bits.exp_golomb(), bits.exp_golomb()


def av1_stream(stream: bytes, most: int) -> Stream:
    """Read the sequence headers of a stream of OBUs, and count its frames, up to `most` + 1."""
    width = height = frames = units = sets = at = 0
    while at < len(stream) and frames <= most and units <= 4 * most and sets <= MAX_SETS:
        header, at, units = stream[at], at + 1, units + 1
        kind = header >> 3 & 15
        at += header >> 2 & 1  # the extension
        length = len(stream) - at
        if header & 2:
            length, at = _leb128(stream, at)
        if kind == 1:  # OBU_SEQUENCE_HEADER
            across, down = _sequence_size(stream[at : at + min(length, 256)])
            width, height, sets = max(width, across), max(height, down), sets + 1
        frames += kind in (3, 6)  # OBU_FRAME_HEADER, OBU_FRAME
        at += length
    return Stream(width, height, frames if units <= 4 * most and sets <= MAX_SETS else most + 1)


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for number, byte in enumerate(data[at : at + 8]):
        value |= (byte & 0x7F) << 7 * number
        if not byte & 0x80:
            return value, at + number + 1
    return value, at + 8


def _sequence_size(header: bytes) -> tuple[int, int]:
    """Return the largest frame of a sequence header; if frames may have own sizes, the maximum of their fields."""
    bits = _Bits(header)
    bits.read(4)
    reduced = bits.read(1)
    if reduced:
        bits.read(5)
    else:
        _skip_operating_points(bits)
    across, down = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(across) + 1, bits.read(down) + 1
    return (width, height) if reduced else (max(width, 1 << across), max(height, 1 << down))


def _skip_operating_points(bits: _Bits) -> None:
    delay = model = 0
    if bits.read(1):  # timing_info_present_flag
        bits.read(64)
        if bits.read(1):
            bits.exp_golomb()  # uvlc, which is the same code
        model = bits.read(1)
        delay = bits.read(5) + 1 if model else 0
        bits.read(42 if model else 0)
    display = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if model and bits.read(1):
            bits.read(2 * delay + 1)
        if display and bits.read(1):
            bits.read(4)
