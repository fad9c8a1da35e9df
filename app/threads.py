"""Limit the threads of the numeric libraries: BLAS under numpy, OpenMP under FAISS and torch.

Engines limit their own threads. The rest are products of one picture with many prototypes, for which BLAS wakes a
thread per processor; these busy-wait for each other, and cost more processor time than they save.
"""

import os

from threadpoolctl import threadpool_limits


def bound_threads(threads: int) -> None:
    """Give BLAS one thread and OpenMP at most `threads`, with passive waiting.

    Loaded libraries are configured directly; those that are loaded later read the environment.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    threadpool_limits(1, user_api="blas")
    threadpool_limits(threads, user_api="openmp")
