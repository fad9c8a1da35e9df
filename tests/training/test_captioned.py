"""Pictures that share a caption are positives of each other."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from app.training.augment import normalise
from app.training.captioned import Captioned
from app.training.data import Pictures
from app.training.recipes import RECIPES
from app.training.shift import shift
from app.training.sources import Examples, read_examples
from app.training.train import contrast

OPTIONS = replace(RECIPES["cifar"], pictures_per_step=6, smoothing=0.0, held_out=0.25, image_size=16)


def slow_loss(pictures: list[list[float]], captions: dict[str, list[float]], shown: list[str], scale: float) -> float:
    """The symmetric loss by loops: captions[shown[i]] is the vector of picture i's caption."""

    def power(picture: list[float], caption: list[float]) -> float:
        return math.exp(scale * sum(a * b for a, b in zip(picture, caption, strict=True)))

    there = 0.0
    for picture, own in zip(pictures, shown, strict=True):
        there -= math.log(power(picture, captions[own]) / sum(power(picture, each) for each in captions.values()))
    back = 0.0
    for text, caption in captions.items():
        positives = [picture for picture, own in zip(pictures, shown, strict=True) if own == text]
        for picture in positives:
            share = power(picture, caption) / sum(power(each, caption) for each in pictures)
            back -= math.log(share) / len(positives)
    return (there / len(pictures) + back / len(captions)) / 2


def test_the_loss_is_that_of_the_loops():
    """Pictures of equal captions are all right answers, in both directions."""
    captions = ["plum", "plum", "fig", "plum", "date", "fig"]
    texts = list(dict.fromkeys(captions))
    examples = Examples(
        Pictures(np.zeros((8, 3, 16, 16), np.uint8), np.array([*map(texts.index, captions), 0, 1])), texts
    )
    task = Captioned(examples, replace(OPTIONS, templates=("{}",)))
    step = task.step(16)
    [level] = step.levels
    dice = torch.Generator().manual_seed(0)
    pictures, vectors = (
        torch.nn.functional.normalize(torch.randn(n, 4, generator=dice)) for n in (6, len(level.captions))
    )
    shown = [level.captions[place] for place in level.targets.argmax(dim=1).tolist()]
    assert len(set(shown)) == len(level.captions) < len(shown)
    fast, _ = contrast(torch.tensor(7.0), pictures, vectors, step)
    slow = slow_loss(pictures.tolist(), dict(zip(level.captions, vectors.tolist(), strict=True)), shown, 7.0)
    assert float(fast) == pytest.approx(slow, abs=1e-5)


def test_what_is_held_out_is_never_shown(folder: Path):
    """Every picture is either shown or held out, and a pass shows each of the others once."""
    examples = read_examples(folder, 16)
    task = Captioned(examples, OPTIONS)
    every = sorted(picture.tobytes() for picture in examples.pictures.pixels)
    apart = sorted(picture.tobytes() for part in (task.held, task.shown) for picture in part.pixels)
    assert (len(task.held.labels), len(task.shown.labels)) == (6, 18)
    assert apart == every
    assert sorted(np.concatenate([task.order.next() for _ in range(task.steps_per_epoch)])) == list(range(18))


def test_captions_of_classes_come_in_templates(folder: Path):
    """A step has one caption for each class that it shows, in one of the templates."""
    task = Captioned(read_examples(folder, 16), OPTIONS)
    step = task.step(16)
    [level] = step.levels
    allowed = {template.replace("{}", label) for template in OPTIONS.templates for label in task.labels}
    assert set(level.captions) <= allowed
    assert step.pixels.shape == (6, 3, 16, 16)


def test_a_shift_moves_every_picture_as_a_whole():
    """What comes out is a mirrored or straight cut of the picture with reflected edges."""
    pixels = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    wide = torch.nn.functional.pad(pixels.float() / 255, (2, 2, 2, 2), mode="reflect")
    for place, cut in enumerate(shift(pixels, 16, torch.Generator().manual_seed(2))):
        windows = [
            normalise(wide[place, :, top : top + 16, left : left + 16][None])[0]
            for top in range(5)
            for left in range(5)
        ]
        assert any(torch.allclose(cut, one) or torch.allclose(cut, one.flip(2)) for one in windows)
