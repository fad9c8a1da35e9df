"""Everything random about a run's steps, in a form that a checkpoint keeps."""

import random
from typing import Any

import numpy as np
import torch

from app.errors import TrainingError


class Dice:
    """One generator for each kind of choice; the same seed throws the same numbers."""

    def __init__(self, seed: int) -> None:
        self.numbers = np.random.default_rng(seed)  # which pictures
        self.pictures = torch.Generator().manual_seed(seed)  # how pictures of other things come out
        self.changes = torch.Generator().manual_seed(seed + 1)  # augmentation
        self.words = random.Random(seed)  # captions

    def state(self) -> dict[str, Any]:
        """Where the generators stand."""
        return {
            "numbers": self.numbers.bit_generator.state,
            "pictures": self.pictures.get_state(),
            "changes": self.changes.get_state(),
            "words": self.words.getstate(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.numbers.bit_generator.state = state["numbers"]
        self.pictures.set_state(state["pictures"])
        self.changes.set_state(state["changes"])
        self.words.setstate(state["words"])


class Order:
    """Rows in random order, pass after pass, a step of `size` rows at a time; what is left of a pass is dropped."""

    def __init__(self, count: int, size: int, dice: Dice) -> None:
        self.size, self.dice = min(size, count), dice
        self.steps = count // self.size  # in one pass
        self.rows, self.place = np.arange(count), self.steps

    def next(self) -> np.ndarray:
        """The rows of the next step."""
        if self.place == self.steps:
            self.rows, self.place = self.dice.numbers.permutation(len(self.rows)), 0
        self.place += 1
        return self.rows[(self.place - 1) * self.size : self.place * self.size]

    def state(self) -> dict[str, Any]:
        """The order of the present pass, and the place in it."""
        return {"rows": torch.from_numpy(self.rows), "place": self.place}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; raises TrainingError where the pictures are not as many as then."""
        if len(state["rows"]) != len(self.rows):
            raise TrainingError(f"the run was begun with {len(state['rows'])} pictures; {len(self.rows)} were found")
        self.rows, self.place = state["rows"].numpy(), state["place"]
