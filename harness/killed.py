"""Run work in a process that is killed with signal 9 while it reports its progress."""

from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

FORKING = get_context("forkserver")
FORKING.set_forkserver_preload(["pytest", "app.contents.local", "app.pantry.sqlite.store"])  # imported once for all


def reported_until_killed(work: Callable[..., None], *arguments: Any, reports: int) -> list[Any]:
    """Run `work(report, *arguments)` and kill it after `times` reports; return all reports made by then."""
    ours, theirs = FORKING.Pipe(duplex=False)
    process = FORKING.Process(target=work, args=(theirs.send, *arguments))
    process.start()
    theirs.close()
    with ours:
        reported = [ours.recv() for _ in range(reports)]
        process.kill()
        process.join()
        with suppress(EOFError, OSError):
            while True:
                reported.append(ours.recv())
    return reported
