"""Limits on native libraries: the memory that the C library's allocator keeps, the threads of BLAS and OpenMP.

Engines limit their own threads. The rest are products of one picture with many prototypes, for which BLAS wakes a
thread per processor; these busy-wait for each other, and cost more processor time than they save.
"""

import ctypes
import os
import sys

from threadpoolctl import threadpool_limits

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


def bound_threads(threads: int) -> None:
    """Give BLAS one thread and OpenMP at most `threads`, with passive waiting.

    Loaded libraries are configured directly; those that are loaded later read the environment.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    threadpool_limits(1, user_api="blas")
    threadpool_limits(threads, user_api="openmp")
