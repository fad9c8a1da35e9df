"""From bytes to vectors, many at a time, bounded."""

import asyncio
import threading

import pytest

from app.errors import ImageTooLarge, InvalidImage, Overloaded
from app.images.decode import decode
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.metrics import Metrics
from app.serving.pipeline import open_pipeline
from tests.fakes import FORM, ColourEncoder, as_base64, as_bytes, picture


def run(scenario, encoder=None, limits=None, decode=decode, **options):
    """Run `scenario(pipeline)` in a new event loop."""
    preparer = Preparer(FORM, limits or ImageLimits(), decode=decode)
    options = {"threads": 2, "max_batch": 4, "max_queue": 4} | options

    async def main():
        async with (
            asyncio.timeout(60),
            open_pipeline(encoder or ColourEncoder(), preparer, Metrics(), **options) as opened,
        ):
            await scenario(opened)

    asyncio.run(main())


def test_bytes_and_base64_give_the_same_vector():
    """A picture as a file or as text is the same picture."""

    async def scenario(pipeline):
        one, other = await asyncio.gather(pipeline.vector(as_bytes(picture())), pipeline.vector(as_base64(picture())))
        assert one.tolist() == other.tolist()

    run(scenario)


def test_a_bad_picture_never_reaches_the_encoder():
    """A picture is decoded completely before it is queued."""
    encoder = ColourEncoder()

    async def scenario(pipeline):
        with pytest.raises(InvalidImage):
            await pipeline.vector(as_bytes(picture())[:-30])

    run(scenario, encoder)
    assert encoder.batches == []


def test_more_pictures_than_allowed_are_refused_and_the_rest_answered():
    """With four in progress a fifth is overloaded at once; when they are through, one more is welcome."""
    encoder = ColourEncoder()

    async def scenario(pipeline):
        encoder.open.clear()
        tasks = [asyncio.create_task(pipeline.vector(as_bytes(picture()))) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await pipeline.vector(as_bytes(picture()))
        encoder.open.set()
        await asyncio.gather(*tasks)
        await pipeline.vector(as_bytes(picture()))

    run(scenario, encoder)


def test_a_failed_picture_gives_its_place_back():
    """Errors and cancelled callers release their slots."""

    async def scenario(pipeline):
        for _ in range(10):
            with pytest.raises(InvalidImage):
                await pipeline.vector(b"no picture")
        await pipeline.vector(as_bytes(picture()))

    run(scenario)


def test_proof_is_an_encoding_that_went_through():
    """The health check encodes, unless a recent encoding succeeded; it passes exceptions on."""
    encoder = ColourEncoder()

    async def scenario(pipeline):
        await pipeline.prove()
        await pipeline.prove()
        assert encoder.batches == [1]

    run(scenario, encoder)

    async def broken(pipeline):
        encoder.failure = RuntimeError("broken")
        with pytest.raises(RuntimeError):
            await pipeline.prove()

    run(broken, encoder)


def test_an_encoder_that_hangs_is_no_proof():
    """The health check has a deadline."""
    encoder = ColourEncoder()

    async def scenario(pipeline):
        encoder.open.clear()
        with pytest.raises(TimeoutError):
            await pipeline.prove(within=0.05)
        encoder.open.set()

    run(scenario, encoder)


def large(size=(400, 300)):
    return as_bytes(picture(size=size))


def test_a_small_picture_does_not_wait_for_a_large_one():
    """Large pictures are decoded in a separate thread, one at a time, concurrently with small ones."""
    inside, leave, most = [], threading.Event(), []

    def slow(header, *arguments):
        if header.is_giant:
            inside.append(1)
            most.append(len(inside))
            assert leave.wait(240)
            inside.pop()
        return decode(header, *arguments)

    async def scenario(pipeline):
        giants = [asyncio.create_task(pipeline.vector(large((3000, 1100)))) for _ in range(3)]
        while not inside:
            await asyncio.sleep(0.001)
        for _ in range(10):
            await pipeline.vector(as_bytes(picture()))
        assert not any(giant.done() for giant in giants)
        leave.set()
        await asyncio.gather(*giants)
        assert max(most) == 1

    run(scenario, limits=ImageLimits(giant=100_000), decode=slow, threads=1)


def test_a_small_picture_is_decoded_before_costlier_ones_that_came_first():
    """With one thread and a queue of pictures just below the large ones, it waits for the one being decoded alone."""
    begun, leave, done = threading.Event(), threading.Event(), []

    def slow(header, *arguments):
        done.append(header.picture.width)
        begun.set()
        assert leave.wait(240)
        return decode(header, *arguments)

    async def scenario(pipeline):
        costly = [asyncio.create_task(pipeline.vector(large((1700, 1700)))) for _ in range(20)]
        while not begun.is_set():
            await asyncio.sleep(0.001)
        small = asyncio.create_task(pipeline.vector(as_bytes(picture(size=(50, 50)))))
        while len(pipeline._decoders._waiting) < 20:
            await asyncio.sleep(0.001)
        leave.set()
        await asyncio.gather(small, *costly)
        assert 50 in done[:3]

    run(scenario, decode=slow, threads=1, max_queue=64)


@pytest.mark.parametrize("count", [5, 1000])
def test_more_pixels_than_a_request_may_have_are_refused_before_decoding(count):
    """The headers of all its pictures are added up before any is decoded."""
    decoded = []

    def counted(*arguments):
        decoded.append(1)
        return decode(*arguments)

    async def scenario(pipeline):
        with pytest.raises(ImageTooLarge, match="at most 480,000 are accepted in a request"):
            await pipeline.vectors([large()] * count)
        assert not decoded
        assert len(await pipeline.vectors([large()] * 4)) == 4

    run(scenario, limits=ImageLimits(max_pixels=120_000), decode=counted, max_queue=16)


def test_pixels_in_hand_are_bounded_over_all_requests():
    """Four pictures of the largest size; a fifth is refused at once, and welcome when there is room."""
    leave = threading.Event()

    def slow(*arguments):
        assert leave.wait(240)
        return decode(*arguments)

    async def scenario(pipeline):
        size = (2000, 2000)
        tasks = [asyncio.create_task(pipeline.vector(large(size))) for _ in range(4)]
        while pipeline._cost < 4 * 4_000_000:
            await asyncio.sleep(0.001)
        with pytest.raises(Overloaded, match="16,000,000 pixels are in progress"):
            await pipeline.vector(large(size))
        leave.set()
        await asyncio.gather(*tasks)
        await pipeline.vector(large(size))

    run(scenario, limits=ImageLimits(max_pixels=4_000_000), decode=slow, max_queue=16)


def test_a_decoder_that_does_not_come_back_shows_and_gives_its_place_back():
    """For small and huge pictures, the ones queued behind a hanging one are answered."""
    leave, first = threading.Event(), []

    def hanging(*arguments):
        if not first:
            first.append(1)
            leave.wait(240)
        return decode(*arguments)

    for giant in (10**6, 100):

        async def scenario(pipeline, giant=giant):
            lane = pipeline._large_decoder if giant == 100 else pipeline._decoders
            usual, lane.deadline_s = lane.deadline_s, 0.1
            with pytest.raises(ImageTooLarge, match="not decoded within"):
                await pipeline.vector(large())
            assert pipeline.lost_decoders == 1
            lane.deadline_s = usual
            await pipeline.vector(large())

        first.clear()
        run(scenario, limits=ImageLimits(giant=giant), decode=hanging, threads=1)
    leave.set()


def test_a_picture_does_not_wait_for_barcodes_of_others(monkeypatch):
    """While every thread that reads barcodes is busy, a picture without them is answered."""
    leave, reading = threading.Event(), []

    def slow(*_):
        reading.append(1)
        leave.wait(240)
        return []

    monkeypatch.setattr("app.serving.pipeline.read_barcodes", slow)

    async def scenario(pipeline):
        tasks = [asyncio.create_task(pipeline.vector_and_barcodes(as_bytes(picture()))) for _ in range(3)]
        while not reading:
            await asyncio.sleep(0.001)
        await pipeline.vector(as_bytes(picture()))
        leave.set()
        await asyncio.gather(*tasks)

    run(scenario, threads=1)


def test_a_picture_is_decoded_once_for_all_its_crops_and_its_thumbnail():
    """There is one decode, counted once."""
    decoded = []

    def counted(*arguments):
        decoded.append(1)
        return decode(*arguments)

    async def scenario(pipeline):
        await pipeline.crops(large(), lambda _size: [(0, 0, 9, 9)] * 20)
        assert len(decoded) == 1
        _, _, thumbnail = await pipeline.for_entry(large(), thumbnail=True)
        assert (len(decoded), thumbnail[:2]) == (2, b"\xff\xd8")
        assert pipeline.in_hand == 0

    run(scenario, decode=counted)
