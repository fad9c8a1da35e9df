"""Bounds the threads of the numeric libraries: BLAS under numpy, OpenMP under FAISS and torch.

Engines bound their own threads. What is left are products of one picture with many prototypes, for which BLAS wakes a
thread for each processor; these wait for each other busily, and cost more processor time than they save.
"""

import os

from threadpoolctl import threadpool_limits


def bound_threads(threads: int) -> None:
    """Give BLAS one thread and OpenMP at most `threads`, which sleep while they wait.

    Libraries that are loaded already are told; those that are loaded later read the environment.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    threadpool_limits(1, user_api="blas")
    threadpool_limits(threads, user_api="openmp")
