"""The prompts of requests: cached, bounded, fair."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from app.errors import Overloaded
from app.serving.batching import RequestPrompts
from tests.fakes import ColourEncoder

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def encoder():
    return ColourEncoder()


@pytest.fixture
def executor():
    with ThreadPoolExecutor(1) as threads:
        yield threads


def of(encoder, executor, most_kept=100, most_waiting=4):
    return RequestPrompts(encoder.texts, executor, most_kept=most_kept, most_waiting=most_waiting)


async def test_vectors_come_in_the_order_of_the_prompts(encoder, executor):
    """Each prompt gets its own vector, also a repeated one."""
    vectors = await of(encoder, executor).vectors(["red", "blue", "red"])
    assert np.array_equal(vectors, encoder.texts(["red", "blue", "red"]))


async def test_a_prompt_that_returns_is_not_encoded_again(encoder, executor):
    """Only new prompts are encoded."""
    prompts = of(encoder, executor)
    await prompts.vectors(["red", "blue"])
    await prompts.vectors(["blue", "green", "green"])
    assert encoder.prompts_seen == ["red", "blue", "green"]


async def test_what_was_asked_longest_ago_gives_way(encoder, executor):
    """The cache evicts the least recently used prompts."""
    prompts = of(encoder, executor, most_kept=2)
    for asked in ("red", "blue", "red", "green", "red", "blue"):
        await prompts.vectors([asked])
    assert encoder.prompts_seen == ["red", "blue", "green", "blue"]


async def test_more_prompts_than_are_kept_are_all_answered(encoder, executor):
    """One request may have more prompts than the cache."""
    vectors = await of(encoder, executor, most_kept=3).vectors([f"red {n}" for n in range(200)])
    assert vectors.shape == (200, 4)


async def test_a_small_request_is_answered_before_a_large_one_that_came_first(encoder, executor):
    """A thousand prompts are encoded in parts, and other requests are served in between."""
    prompts, done = of(encoder, executor, most_kept=5000), []

    async def ask(name, texts):
        await prompts.vectors(texts)
        done.append(name)

    await asyncio.gather(ask("large", [f"red {n}" for n in range(1000)]), ask("small", ["blue"]))
    assert done == ["small", "large"]


async def test_too_many_waiting_is_overloaded(encoder, executor):
    """The queue is bounded, and cached prompts are still answered."""
    prompts = of(encoder, executor, most_waiting=1)
    await prompts.vectors(["red"])
    encoder.open.clear()
    first = asyncio.create_task(prompts.vectors(["blue"]))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="1 requests"):
        await prompts.vectors(["green"])
    assert len(await prompts.vectors(["red"])) == 1
    encoder.open.set()
    assert len(await first) == 1


async def test_a_failure_reaches_its_caller_and_frees_the_place(encoder, executor):
    """An error of the model is not cached, and the next request is served."""

    def fail(texts):
        raise RuntimeError("broken")

    prompts = RequestPrompts(fail, executor, most_kept=10, most_waiting=1)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            await prompts.vectors(["red"])
