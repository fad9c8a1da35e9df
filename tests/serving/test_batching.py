"""The batcher's contract, clause by clause. A gate in the fake encoder replaces time."""

import asyncio

import numpy as np
import pytest

from app.errors import Draining, Overloaded
from app.serving.batching import Batcher


class GatedEncode:
    """Answers a batch with each picture's own mean when its gate is open; counts what it is given."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.batches: list[list[float]] = []
        self.failures: list[Exception] = []

    async def __call__(self, pixels):
        self.batches.append([float(each.mean()) for each in pixels])
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return np.stack([np.full(2, each.mean()) for each in pixels])


def pixels(value: float) -> np.ndarray:
    return np.full((3, 2, 2), value, np.float32)


def run(scenario, **options):
    """Run `scenario(batcher, encode)` in a new event loop; the timeout only ends a hang."""
    options = {"max_batch": 4, "max_queue": 8} | options

    async def main():
        encode = GatedEncode()
        async with asyncio.timeout(60), Batcher(encode, **options) as batcher:
            await scenario(batcher, encode)
            encode.gate.set()

    asyncio.run(main())


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def start(batcher, *values: float) -> list[asyncio.Task]:
    return [asyncio.create_task(batcher.vector(pixels(value))) for value in values]


def test_each_caller_gets_its_own_vector():
    """In any batch each caller gets its own answer, and no batch is larger than allowed."""

    async def scenario(batcher, encode):
        vectors = await asyncio.gather(*start(batcher, *range(8)))
        assert [float(vector[0]) for vector in vectors] == list(range(8))
        assert [len(batch) for batch in encode.batches] == [4, 4]

    run(scenario)


def test_nobody_waits_for_company_when_idle():
    """A single picture is encoded at once; those that arrive meanwhile share the next batch."""

    async def scenario(batcher, encode):
        encode.gate.clear()
        tasks = start(batcher, 1)
        await settle()
        assert encode.batches == [[1]]
        tasks += start(batcher, 2, 3)
        await settle()
        assert encode.batches == [[1]]
        encode.gate.set()
        await asyncio.gather(*tasks)
        assert encode.batches == [[1], [2, 3]]

    run(scenario)


def test_company_is_waited_for_until_the_deadline_and_no_longer():
    """With `wait`, a second caller joins the first; alone, the first is encoded at the deadline."""

    async def scenario(batcher, encode):
        tasks = start(batcher, 1)
        await settle()
        assert encode.batches == []
        tasks += start(batcher, 2)
        await asyncio.gather(*tasks)
        assert encode.batches == [[1, 2]]

    run(scenario, wait=0.05)
    run(scenario, wait=3600, max_batch=2)


def test_a_full_queue_is_overloaded_at_once():
    """The ninth waiting caller is refused without waiting; the others are answered."""

    async def scenario(batcher, encode):
        encode.gate.clear()
        first = start(batcher, 0)
        await settle()
        waiting = start(batcher, *range(1, 9))
        await settle()
        with pytest.raises(Overloaded, match="8 pictures"):
            await batcher.vector(pixels(9))
        encode.gate.set()
        assert len(await asyncio.gather(*first, *waiting)) == 9

    run(scenario)


def test_a_failed_batch_fails_its_own_callers_only():
    """The error reaches everyone in the batch, and the next batch is answered."""

    async def scenario(batcher, encode):
        encode.failures.append(RuntimeError("the engine broke"))
        failed = await asyncio.gather(*start(batcher, 1, 2), return_exceptions=True)
        assert [str(error) for error in failed] == ["the engine broke"] * 2
        assert float((await batcher.vector(pixels(3)))[0]) == 3

    run(scenario)


def test_a_batch_with_too_few_vectors_is_a_failure():
    """If an engine loses an answer, no caller is left waiting."""

    async def short(_):
        return np.zeros((1, 2))

    async def main():
        async with asyncio.timeout(60), Batcher(short, max_batch=4, max_queue=8) as batcher:
            tasks = start(batcher, 1, 2)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(outcome, ValueError) for outcome in outcomes)

    asyncio.run(main())


def test_callers_that_went_away_are_skipped():
    """A cancelled caller costs no encoding."""

    async def scenario(batcher, encode):
        encode.gate.clear()
        first, gone, last = start(batcher, 1, 2, 3)[0], *start(batcher, 4, 5)
        await settle()
        gone.cancel()
        await settle()
        encode.gate.set()
        await asyncio.gather(first, last)
        assert 4 not in [value for batch in encode.batches[1:] for value in batch]

    run(scenario, max_batch=1)


def test_a_caller_who_leaves_during_encoding_disturbs_nobody():
    """If one caller is cancelled during encoding, the others get their answers."""

    async def scenario(batcher, encode):
        encode.gate.clear()
        gone, stays = start(batcher, 1, 2)
        await settle()
        gone.cancel()
        await settle()
        encode.gate.set()
        assert float((await stays)[0]) == 2
        assert float((await batcher.vector(pixels(3)))[0]) == 3

    run(scenario)


def test_shutdown_answers_who_waits_and_refuses_who_comes():
    """On shutdown, waiting callers get their vectors and new ones an error."""

    async def main():
        encode = GatedEncode()
        encode.gate.clear()
        batcher = Batcher(encode, max_batch=2, max_queue=8)
        async with asyncio.timeout(60):
            async with batcher:
                tasks = start(batcher, 1, 2, 3)
                await settle()
                asyncio.get_running_loop().call_later(0.01, encode.gate.set)
            assert [float(vector[0]) for vector in await asyncio.gather(*tasks)] == [1, 2, 3]
            with pytest.raises(Draining):
                await batcher.vector(pixels(4))

    asyncio.run(main())


def test_a_cancelled_loop_leaves_nobody_waiting():
    """When the loop itself is cancelled, the current batch and the queue are cancelled too."""

    async def main():
        encode = GatedEncode()
        encode.gate.clear()
        batcher = Batcher(encode, max_batch=2, max_queue=8)
        async with asyncio.timeout(60):
            await batcher.__aenter__()
            tasks = start(batcher, 1, 2, 3)
            await settle()
            batcher._loop.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Draining] * 3

    asyncio.run(main())


def test_the_clock_tells_when_it_last_worked():
    """`last_success` is the clock's time of the last successful batch."""

    async def main():
        now = [100.0]
        encode = GatedEncode()
        async with asyncio.timeout(60), Batcher(encode, max_batch=2, max_queue=8, clock=lambda: now[0]) as batcher:
            assert batcher.last_success == float("-inf")
            await batcher.vector(pixels(1))
            assert batcher.last_success == 100
            now[0] = 200.0
            encode.failures.append(RuntimeError("broken"))
            with pytest.raises(RuntimeError):
                await batcher.vector(pixels(1))
            assert batcher.last_success == 100

    asyncio.run(main())


def test_a_batch_has_four_pictures_or_as_many_as_take_a_quarter_of_a_second():
    """The next size follows from the seconds of a picture in the last call; it is the maximum or a power of 2."""
    now = [100.0]
    sizes: list[int] = []
    picture_s = [0.0]

    async def encode(some):
        sizes.append(len(some))
        now[0] += picture_s[0] * len(some)
        return np.zeros((len(some), 2))

    async def main():
        async with asyncio.timeout(60), Batcher(encode, max_batch=48, max_queue=96, clock=lambda: now[0]) as batcher:
            for picture_s[0], expected in ((0.06, 4), (0.03, 8), (0.01, 16), (9, 4), (0.005, 48), (0.006, 32), (0, 48)):
                await batcher.vector(pixels(0))
                sizes.clear()
                await asyncio.gather(*start(batcher, *range(48)))
                assert sizes == [expected] * (48 // expected) + [16] * (expected == 32)

    asyncio.run(main())


def test_a_picture_waits_for_one_batch_of_another_request_and_no_more():
    """Those behind others of their own request are put off while pictures of other requests wait."""

    async def scenario(batcher, encode):
        encode.gate.clear()
        tasks = start(batcher, 0)
        await settle()
        tasks += [asyncio.create_task(batcher.vector(pixels(1 + place), place)) for place in range(6)]
        await settle()
        tasks += start(batcher, 10, 11)
        await settle()
        encode.gate.set()
        await asyncio.gather(*tasks)
        assert encode.batches == [[0], [1, 10], [11, 2], [3, 4], [5, 6]]

    run(scenario, max_batch=2)


def test_a_picture_that_was_put_off_has_its_turn_although_others_keep_coming():
    """A picture behind two others joins the third batch after those that waited before it."""
    batches: list[list[float]] = []

    async def main():
        tasks: list[asyncio.Task] = []

        async def encode(some):
            batches.append([float(each.mean()) for each in some])
            if len(batches) == 1:
                tasks.append(asyncio.create_task(batcher.vector(pixels(99), 2)))
            if len(batches) < 8:
                tasks.extend(start(batcher, 1, 1))  # one more than a batch takes
            await settle()
            return np.zeros((len(some), 2))

        async with asyncio.timeout(60), Batcher(encode, max_batch=1, max_queue=20) as batcher:
            await batcher.vector(pixels(0))
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert [99] in batches[:8]


def test_a_warm_up_encodes_the_sizes_that_a_batch_may_have_while_no_picture_waits():
    """While one is encoded and another waits, none is; the largest size exceeds the most that a batch may have."""

    async def scenario(batcher, encode):
        encode.gate.clear()
        tasks = start(batcher, 1)
        await settle()
        tasks += start(batcher, 2)
        await settle()
        warming = asyncio.create_task(batcher.warm_up(pixels(0), [4, 9, 2], 0))
        await settle()
        assert encode.batches == [[1]]
        encode.gate.set()
        await asyncio.gather(warming, *tasks)
        assert [batch for batch in encode.batches if 0 in batch] == [[0] * 4, [0] * 2]

    run(scenario, max_batch=8)


def test_a_warm_up_that_fails_leaves_batches_of_any_size():
    """The warm-up's caller gets the error; pictures are batched as before."""

    async def scenario(batcher, encode):
        encode.failures.append(RuntimeError("broken"))
        with pytest.raises(RuntimeError):
            await batcher.warm_up(pixels(0), [4], 0)
        await asyncio.gather(*start(batcher, 1, 2, 3))
        assert encode.batches[1:] == [[1, 2, 3]]

    run(scenario)
