"""The C library's allocator, told to give large pieces back at once, to keep small ones, and to have few arenas."""

import ctypes
import sys

# glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 4 * 1024 * 1024
_KEPT = 16 * 1024 * 1024  # of an arena: what one picture takes, again and again, without a page fault for each 4 KiB
_ARENAS = 2


def bound_memory() -> None:
    """Keep what decoding took from staying with the process; without effect where the C library is not glibc.

    By itself glibc raises the size from which it gives memory back to 32 MiB, once pieces so large were freed, and
    makes up to eight arenas a processor, each with what its threads have ever needed. Once that size is fixed, it gives
    back whatever is free beyond 128 KiB, which the next picture needs again.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_ARENA_MAX, _ARENAS)
