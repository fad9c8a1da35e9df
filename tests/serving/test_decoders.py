"""Decoder threads: a slot is returned after any outcome."""

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import closing
from functools import partial

import pytest

from app.errors import ImageTooLarge, InvalidImage, Overloaded
from app.serving.decoders import MAX_LOST, NICENESS, Decoders


def run(scenario, threads=1, **options):
    """Run `scenario(decoders)` in a new event loop."""

    async def main():
        async with asyncio.timeout(30):
            with closing(Decoders(threads, **options)) as decoders:
                await scenario(decoders)

    asyncio.run(main())


async def until(condition):
    """Wait until the condition holds."""
    while not condition():
        await asyncio.sleep(0.001)


def fail():
    raise InvalidImage("damaged")


def test_work_is_done_and_errors_are_raised():
    """The result or the exception is passed on, with the given number of threads."""

    async def scenario(decoders):
        assert await asyncio.gather(*(decoders.run(lambda n=n: n * n) for n in range(20))) == [n * n for n in range(20)]
        for _ in range(3):
            with pytest.raises(InvalidImage):
                await decoders.run(fail)
        both = threading.Barrier(2)
        await asyncio.gather(*(decoders.run(lambda: both.wait(240)) for _ in range(2)))

    run(scenario, threads=2)


def test_a_thread_that_does_not_come_back_is_replaced():
    """Its caller gets an error, the next task runs, and the loss is reported until the thread returns."""
    release, lost = threading.Event(), []

    async def scenario(decoders):
        with pytest.raises(ImageTooLarge, match="not decoded within 0.05 s"):
            await decoders.run(lambda: release.wait(240))
        assert (decoders.lost, lost) == (1, [1])
        decoders.deadline_s = 30
        assert await decoders.run(lambda: "next") == "next"
        release.set()
        await until(lambda: decoders.lost == 0)
        busy, most, lock = [], [], threading.Lock()

        def alone():
            with lock:
                busy.append(1)
                most.append(len(busy))
            with lock:
                busy.pop()

        await asyncio.gather(*(decoders.run(alone) for _ in range(50)))
        assert max(most) == 1, "one of the two threads has ended"

    run(scenario, deadline_s=0.05, on_lost=lambda: lost.append(1))


def test_a_caller_that_has_gone_does_not_free_a_thread_that_works():
    """The slot is released when the work is done, and not before."""
    started, release = threading.Event(), threading.Event()

    async def scenario(decoders):
        first = asyncio.create_task(decoders.run(lambda: started.set() or release.wait(240)))
        await until(started.is_set)
        first.cancel()
        second = asyncio.create_task(decoders.run(lambda: release.is_set()))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not second.done()
        release.set()
        assert await second

    run(scenario)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads share the process's priority")
def test_the_event_loop_goes_before_a_decoder():
    """A decoder thread has a lower priority than the event loop, as far below as possible."""

    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    async def scenario(decoders):
        usual = niceness()
        assert await decoders.run(niceness) == min(usual + NICENESS, 19)
        assert niceness() == usual

    run(scenario)


def test_waiting_callers_that_have_gone_are_skipped():
    """Work without a waiting caller is not started."""
    release, begun = threading.Event(), []

    async def scenario(decoders):
        first = asyncio.create_task(decoders.run(lambda: release.wait(240)))
        await asyncio.sleep(0)
        gone = asyncio.create_task(decoders.run(lambda: begun.append("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        release.set()
        await first
        await decoders.run(lambda: begun.append("next"))
        assert begun == ["next"]

    run(scenario)


def test_what_waits_is_done_the_cheapest_first():
    """With one thread, cheap work only waits for the running task; equal costs keep their order."""
    release, done = threading.Event(), []

    async def scenario(decoders):
        tasks = [asyncio.create_task(decoders.run(lambda: release.wait(240)))]
        await asyncio.sleep(0)
        costs = {"a": 3e6, "b": 3e6, "c": 10, "d": 2e6, "e": 10, "f": 3e6}
        tasks += [asyncio.create_task(decoders.run(partial(done.append, name), cost)) for name, cost in costs.items()]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*tasks)
        assert "".join(done) == "cedabf"

    run(scenario)


def test_costly_work_is_not_passed_for_ever():
    """Every fourth task is the one that has waited longest."""
    release, done = threading.Event(), []

    async def scenario(decoders):
        tasks = [asyncio.create_task(decoders.run(lambda: release.wait(240)))]
        await asyncio.sleep(0)
        costs = [3e6, 2e6, *range(8)]
        tasks += [asyncio.create_task(decoders.run(partial(done.append, cost), cost)) for cost in costs]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*tasks)
        assert done == [0, 1, 2, 3e6, 3, 4, 5, 2e6, 6, 7]

    run(scenario)


def test_a_turn_that_comes_as_its_caller_goes_is_passed_on():
    """If a caller is cancelled as it gets the thread, the thread is not lost."""
    release = threading.Event()

    async def scenario(decoders):
        first = asyncio.create_task(decoders.run(lambda: release.wait(240)))
        await asyncio.sleep(0)
        gone = asyncio.create_task(decoders.run(lambda: 1))
        await asyncio.sleep(0)
        turn = decoders._waiting[0][1]
        release.set()
        await until(turn.done)
        gone.cancel()
        assert await decoders.run(lambda: 2) == 2
        await first

    run(scenario)


def test_too_many_lost_threads_are_an_end():
    """Beyond a few lost threads decoding stops, since each may occupy a processor and its memory."""
    release = threading.Event()

    async def scenario(decoders):
        for _ in range(MAX_LOST):
            with pytest.raises(ImageTooLarge):
                await decoders.run(lambda: release.wait(240))
        with pytest.raises(Overloaded, match="have not come back"):
            await decoders.run(lambda: 1)
        release.set()
        await until(lambda: decoders.lost == 0)
        decoders.deadline_s = 30
        assert await decoders.run(lambda: 1) == 1

    run(scenario, deadline_s=0.01)


def test_a_thread_that_is_lost_does_not_hold_the_end():
    """Closing does not wait for it, and its late result is dropped."""
    release, answered = threading.Event(), threading.Event()

    async def scenario(decoders):
        with pytest.raises(ImageTooLarge):
            await decoders.run(lambda: release.wait(240) and answered.set())

    run(scenario, deadline_s=0.01)
    release.set()
    assert answered.wait(240)


def test_a_thread_that_is_lost_does_not_hold_the_process():
    """A process with an endlessly spinning decoder ends with its event loop."""
    script = """
import asyncio
import os
import subprocess
import sys
from app.serving.decoders import Decoders

def spin():
    while True:
        pass

async def main():
    decoders = Decoders(1, deadline_s=0.01)
    try:
        await decoders.run(spin)
    except Exception as error:
        print(error)
    decoders.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, "not decoded within" in done.stdout) == (0, True)
