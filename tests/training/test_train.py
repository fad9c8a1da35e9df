"""A tiny run on generated pictures learns them, in the same way each time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.training import scoring
from app.training.augment import augment
from app.training.batches import OTHER_CLASSES, Batches
from app.training.captions import Captions
from app.training.data import Pictures
from app.training.drawn import KINDS
from app.training.figures import embed_pictures, text_encoder
from app.training.groceries import Groceries
from app.training.model import SmallClip
from app.training.muon import Muon
from app.training.options import Options
from app.training.tokens import train_tokenizer
from app.training.train import Trainer, optimisers, pace

TINY = Options(
    epochs=25, groceries_per_step=12, others_per_step=2, drawn_per_step=2, things_per_step=4, gibberish_per_step=4,
    sizes=(16,), image_size=16, stored_size=16, widths=(9, 18), depths=(1, 1), embedding_size=16,
    text_width=16, text_layers=1, vocabulary_size=300, average_decay=0.9, mix_share=0.0, learning_rate=5e-3,
)  # fmt: skip
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
CAPTIONS = Captions(
    fine=[[f"{colour} apple"] for colour in COLOURS], coarse=[["apple"], ["berry"]], coarse_of=[0, 0, 1],
    groups=["fruit"], group_of=[0, 0, 0], group_of_coarse=[0, 0],
    others=[[f"kind {k}"] for k in range(len(OTHER_CLASSES) + len(KINDS) + 1)],
    things=["table", "chair", "lamp"],
)  # fmt: skip


def coloured(count: int) -> Pictures:
    """Flat pictures with a bright spot, in turn of every colour."""
    labels = np.arange(count) % len(COLOURS)
    pixels = np.array(list(COLOURS.values()), np.uint8)[labels][:, :, None, None].repeat(16, 2).repeat(16, 3)
    pixels[:, :, 4:8, 4:8] = 250
    return Pictures(pixels, labels.astype(np.int64))


def run(options: Options) -> tuple[SmallClip, Trainer]:
    """Train the tiny model; its other pictures are noise."""
    others = Pictures(np.random.default_rng(5).integers(0, 256, (20, 3, 8, 8), np.uint8), np.arange(20) % 10)
    task = Groceries(Batches(coloured(36), others, options), CAPTIONS, options, score=lambda *_: {})
    trainer = Trainer(options, train_tokenizer(task.texts(), options.vocabulary_size, options.context_length))
    return trainer.run(task), trainer


def test_a_tiny_run_learns_its_pictures():
    """Three colours are told apart by name."""
    model, trainer = run(TINY)
    prompts = scoring.prototypes(CAPTIONS.fine, ["{}"], text_encoder(model, trainer.tokenizer))
    pictures = coloured(9)
    assert scoring.accuracy(embed_pictures(model, pictures.pixels) @ prompts.T, pictures.labels) == 1.0


def test_runs_of_one_seed_give_the_same_weights():
    """Nothing random escapes the seed."""
    first, second = (run(replace(TINY, epochs=2))[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_batches_put_groceries_first():
    """A batch has as many labels as groceries, and one kind for every other picture."""
    others = Pictures(np.zeros((10, 3, 8, 8), np.uint8), np.arange(10))
    batch = Batches(coloured(36), others, TINY, coloured(3)).next()
    assert len(batch.pixels) == len(batch.labels) + len(batch.kinds)
    assert len(batch.labels) == TINY.groceries_per_step + TINY.drawings_per_step
    assert augment(batch.pixels, 16, torch.Generator()).shape == (len(batch.pixels), 3, 16, 16)


@pytest.mark.parametrize("muon", [True, False])
def test_every_weight_has_one_optimiser(muon):
    """Muon changes the filters of the blocks, or nothing; AdamW changes the rest."""
    model = SmallClip(TINY)
    found = optimisers(model, replace(TINY, muon=muon))
    weights = [weight for one in found for group in one.param_groups for weight in group["params"]]
    assert sorted(map(id, weights)) == sorted(map(id, model.parameters()))
    filters = {id(weight) for one in found if isinstance(one, Muon) for weight in one.param_groups[0]["params"]}
    assert (id(model.image.blocks[0].first.weight) in filters) is muon
    assert id(model.image.stem.weight) not in filters


@pytest.mark.parametrize(("progress", "expected"), [(0.05, 1.0), (0.525, 0.5), (1.0, 0.0)])
def test_the_learning_rate_rises_then_falls(progress, expected):
    """One cycle: full after the warm-up, half in the middle of the rest, almost none at the end."""
    assert pace(progress, 0.05) == pytest.approx(expected, abs=0.01)
