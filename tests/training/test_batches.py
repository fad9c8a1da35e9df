"""Batches show every picture once in an epoch, and each caption once in a batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from app.training.augment import normalise, random_shift
from app.training.batches import Batches
from app.training.data import Pictures
from app.training.options import RECIPES
from app.training.sources import Examples, read_examples

OPTIONS = replace(RECIPES["cifar"], pictures_per_step=6, smoothing=0.0, held_out=0.25, image_size=16)


def test_pictures_that_share_a_caption_are_all_right_answers_to_it():
    """A caption is there once, and every picture's row has a 1 at its own."""
    captions = ["plum", "plum", "fig", "plum", "date", "fig"]
    texts = list(dict.fromkeys(captions))
    labels = np.array([*map(texts.index, captions), 0, 1])
    pixels = np.arange(8, dtype=np.uint8)[:, None, None, None] + np.zeros((8, 3, 16, 16), np.uint8)
    batches = Batches(Examples(Pictures(pixels, labels), texts), replace(OPTIONS, templates=("{}",)))
    batch = batches.next(16)
    assert len(set(batch.captions)) == len(batch.captions)
    numbers = np.rint((batch.pixels[:, 0, 0, 0] - normalise(torch.zeros(1, 3, 1, 1))[0, 0, 0, 0]).numpy() * 255 * 0.229)
    shown = [texts[labels[int(number)]] for number in numbers]
    assert [batch.captions[place] for place in batch.targets.argmax(dim=1)] == shown
    assert torch.equal(batch.targets.sum(dim=1), torch.ones(6))


def test_what_is_held_out_is_never_shown(folder: Path):
    """Every picture is either shown or held out, and an epoch shows each of the others once."""
    examples = read_examples(folder, 16)
    batches = Batches(examples, OPTIONS)
    every = sorted(picture.tobytes() for picture in examples.pictures.pixels)
    apart = sorted(picture.tobytes() for part in (batches.held_out, batches.shown) for picture in part.pixels)
    assert (len(batches.held_out.labels), len(batches.shown.labels)) == (6, 18)
    assert apart == every
    epoch = np.concatenate([batches.sampler.next() for _ in range(batches.steps_per_epoch)])
    assert sorted(epoch) == list(range(18))


def test_captions_of_classes_come_in_templates(folder: Path):
    """A batch has one caption for each class that it shows, in one of the templates."""
    batches = Batches(read_examples(folder, 16), OPTIONS)
    batch = batches.next(16)
    allowed = {template.replace("{}", label) for template in OPTIONS.templates for label in batches.labels}
    assert set(batch.captions) <= allowed
    assert batch.pixels.shape == (6, 3, 16, 16)


def test_a_shift_moves_every_picture_as_a_whole():
    """The result is a mirrored or straight crop of the picture with reflected edges."""
    pixels = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    wide = torch.nn.functional.pad(pixels.float() / 255, (2, 2, 2, 2), mode="reflect")
    for place, cut in enumerate(random_shift(pixels, 16, torch.Generator().manual_seed(2))):
        windows = [
            normalise(wide[place, :, top : top + 16, left : left + 16][None])[0]
            for top in range(5)
            for left in range(5)
        ]
        assert any(torch.allclose(cut, one) or torch.allclose(cut, one.flip(2)) for one in windows)
