"""Bitmaps in the layout of FAISS's IDSelectorBitmap."""

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Bits = npt.NDArray[np.uint8]


def pack(flags: Flags) -> Bits:
    """Pack flags (N,) eight to a byte."""
    return np.packbits(flags, bitorder="little")


def unpack(bits: Bits, count: int) -> Flags:
    """Unpack the first `count` flags.

    >>> unpack(pack(np.array([True, False, True])), 3).tolist()
    [True, False, True]
    """
    return np.unpackbits(bits, count=count, bitorder="little").astype(bool)


def cleared(bits: Bits, positions: Numbers) -> Bits:
    """Copy a bitmap with the bits at these positions cleared.

    >>> unpack(cleared(pack(np.array([True, False, True])), np.array([2])), 3).tolist()
    [True, False, False]
    """
    copy = bits.copy()
    np.bitwise_and.at(copy, positions >> 3, ~(1 << (positions & 7)).astype(np.uint8))
    return copy
