"""Tune the C library's allocator: return large blocks at once, keep small ones, and use few arenas."""

import ctypes
import sys

# glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 4 * 1024 * 1024
_KEPT = 16 * 1024 * 1024  # of an arena: what one picture takes, reused without a page fault for each 4 KiB
_ARENAS = 2


def bound_memory() -> None:
    """Return memory used for decoding to the system; no effect unless the C library is glibc.

    By default glibc raises its mmap threshold to 32 MiB once blocks of that size were freed, and makes up to eight
    arenas per processor, each with the most that its threads have ever needed. With a fixed threshold it also trims
    whatever is free beyond 128 KiB, which the next picture needs again.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_ARENA_MAX, _ARENAS)
