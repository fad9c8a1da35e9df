"""The prompts that come with requests: encoded beside the pictures, kept in memory for when they return."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import numpy as np

from app.errors import Overloaded
from app.model.engines import Floats

_PROMPTS_A_TURN = 64  # a request of a thousand prompts lets others in between
_TEXTS_A_TURN = 16  # the same for what is done with each text by itself, which takes up to 20 ms
R = TypeVar("R")


class RequestPrompts:
    """Unit vectors of prompts, at most `most_kept` of them in memory; for one event loop.

    `encode` turns prompts into vectors (N, D) and runs in `executor`. At most `most_waiting` requests wait for it.
    Nothing is written to disk: what people ask for is theirs.
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], Floats], executor: Executor, *, most_kept: int, most_waiting: int
    ) -> None:
        self._encode = encode
        self._executor = executor
        self._most_kept = most_kept
        self._most_waiting = most_waiting
        self._waiting = 0
        self._kept: OrderedDict[str, Floats] = OrderedDict()

    async def each(self, work: Callable[[str], R], texts: Sequence[str]) -> list[R]:
        """What `work` makes of each text, such as its number of tokens, in the thread that encodes prompts.

        Requests take turns of a few texts. A cancelled request ends with its turn. Raises Overloaded.
        """
        if self._waiting >= self._most_waiting:
            raise Overloaded(f"{self._most_waiting} requests with new texts are waiting already")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            made: list[R] = []
            for start in range(0, len(texts), _TEXTS_A_TURN):
                turn = texts[start : start + _TEXTS_A_TURN]
                made += await loop.run_in_executor(self._executor, list, map(work, turn))
        finally:
            self._waiting -= 1
        return made

    async def vectors(self, prompts: Sequence[str]) -> Floats:
        """The unit vectors (N, D) of N >= 1 prompts, word for word; raises Overloaded."""
        found = {prompt: self._kept[prompt] for prompt in prompts if prompt in self._kept}
        for prompt in found:
            self._kept.move_to_end(prompt)
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in found]
        if missing:
            found |= await self._new(missing)
        return np.stack([found[prompt] for prompt in prompts])

    async def _new(self, prompts: list[str]) -> dict[str, Floats]:
        if self._waiting >= self._most_waiting:
            raise Overloaded(f"{self._most_waiting} requests with new texts are waiting already")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            vectors: dict[str, Floats] = {}
            for start in range(0, len(prompts), _PROMPTS_A_TURN):
                part = prompts[start : start + _PROMPTS_A_TURN]
                vectors |= zip(part, await loop.run_in_executor(self._executor, self._encode, part), strict=True)
        finally:
            self._waiting -= 1
        self._kept |= vectors
        while len(self._kept) > self._most_kept:
            self._kept.popitem(last=False)
        return vectors
