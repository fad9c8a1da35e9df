"""Background jobs: long computations started by a request and polled by id, one at a time."""

import os
import threading
import uuid
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from app.errors import LarderError, NotFound, Overloaded
from app.log import get_logger

MAX_WAITING = 4
MAX_KEPT = 20  # finished jobs that can be queried
NICENESS = 10  # of a job's thread, so that requests have priority
Status = Literal["waiting", "running", "done", "failed"]
Progress = Callable[[float], None]


class Stopped(Exception):
    """The service shuts down and the job is abandoned."""


@dataclass
class Job:
    """One computation: its progress from 0 to 1, then its results or its error."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: Status = "waiting"
    progress: float = 0.0
    results: Sequence[Any] = ()
    problem: str = ""
    key: Hashable = None
    ended: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """Runs computations one after another in a low-priority thread; remembers the last MAX_KEPT."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="jobs", initializer=_be_nice)
        self._jobs: dict[str, Job] = {}
        self._stopping = threading.Event()

    def start(self, work: Callable[[Progress], Sequence[Any]], key: Hashable = None) -> Job:
        """Start a computation, which reports progress through the function passed to it; raises Overloaded.

        Returns the earlier job with the same key unless that failed.
        """
        if key is not None:
            for each in self._jobs.values():
                if each.key == key and each.status != "failed":
                    return each
        if sum(not job.ended.is_set() for job in self._jobs.values()) >= MAX_WAITING:
            raise Overloaded(f"{MAX_WAITING} jobs are waiting or running already")
        job = Job(key=key)
        self._jobs[job.id] = job
        for id in [id for id, each in self._jobs.items() if each.ended.is_set()][: max(0, len(self._jobs) - MAX_KEPT)]:
            del self._jobs[id]
        self._pool.submit(self._run, job, work)
        return job

    def get(self, id: str) -> Job:
        """Return a job; raises NotFound."""
        if id not in self._jobs:
            raise NotFound(f"there is no job {id[:100]!r} in this process: the last {MAX_KEPT} are remembered")
        return self._jobs[id]

    def close(self) -> None:
        """Abandon running and waiting jobs."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, job: Job, work: Callable[[Progress], Sequence[Any]]) -> None:
        def progress(share: float) -> None:
            if self._stopping.is_set():
                raise Stopped
            job.progress = share

        job.status = "running"
        try:
            job.results = work(progress)
            job.status = "done"
        except Exception as error:  # reported to whoever polls the job
            if not isinstance(error, (LarderError, Stopped)):
                get_logger().exception("a job failed")
            job.status, job.problem = "failed", str(error) or type(error).__name__
        finally:
            job.ended.set()


def _be_nice() -> None:
    with suppress(AttributeError, OSError):  # only Linux has a priority for each thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
