"""From bytes to vectors, many at a time, bounded."""

import asyncio

import pytest

from app.errors import InvalidImage, Overloaded
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.metrics import Metrics
from app.serving.pipeline import blank, open_pipeline
from tests.fakes import FORM, ColourEncoder, as_base64, as_bytes, picture


def run(scenario, encoder=None, **options):
    """Run `scenario(pipeline)` in a loop of its own."""
    options = {"threads": 2, "max_batch": 4, "max_queue": 4} | options

    async def main():
        async with (
            asyncio.timeout(10),
            open_pipeline(encoder or ColourEncoder(), Preparer(FORM, ImageLimits()), Metrics(), **options) as opened,
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
    """With four in hand a fifth is overloaded at once; when they are through, one more is welcome."""
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
    """Errors and cancelled callers do not use up the places."""

    async def scenario(pipeline):
        for _ in range(10):
            with pytest.raises(InvalidImage):
                await pipeline.vector(b"no picture")
        await pipeline.vector(as_bytes(picture()))

    run(scenario)


def test_proof_is_an_encoding_that_went_through():
    """To prove that the encoder answers it is asked, unless it has just answered; what it raises is raised."""
    encoder = ColourEncoder()

    async def scenario(pipeline):
        await pipeline.prove(blank(FORM))
        await pipeline.prove(blank(FORM))
        assert encoder.batches == [1]

    run(scenario, encoder)

    async def broken(pipeline):
        encoder.failure = RuntimeError("broken")
        with pytest.raises(RuntimeError):
            await pipeline.prove(blank(FORM))

    run(broken, encoder)


def test_an_encoder_that_hangs_is_no_proof():
    """The proof has a deadline."""
    encoder = ColourEncoder()

    async def scenario(pipeline):
        encoder.open.clear()
        with pytest.raises(TimeoutError):
            await pipeline.prove(blank(FORM), within=0.05)
        encoder.open.set()

    run(scenario, encoder)
