"""A tiny run learns its pictures reproducibly; every weight is trained by the right optimiser."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.training.batches import Batches
from app.training.commands import train_tokenizer
from app.training.data import Pictures
from app.training.model import SmallClip
from app.training.options import Options
from app.training.runs import Trained
from app.training.sources import Examples
from app.training.train import Trainer, contrastive_losses, lr_schedule, optimisers

TINY = Options(
    epochs=25, pictures_per_step=12, sizes=(16,), image_size=16, stored_size=16, widths=(9, 18), depths=(1, 1),
    embedding_size=16, text_width=16, text_layers=1, vocabulary_size=300, average_decay=0.9, mix_share=0.0,
    learning_rate=5e-3, templates=("{}", "a photo of {}."),
)  # fmt: skip
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


def coloured(count: int) -> Pictures:
    """Flat pictures with a bright spot, in turn of every colour."""
    labels = np.arange(count) % len(COLOURS)
    pixels = np.array(list(COLOURS.values()), np.uint8)[labels][:, :, None, None].repeat(16, 2).repeat(16, 3)
    pixels[:, :, 4:8, 4:8] = 250
    return Pictures(pixels, labels.astype(np.int64))


def run(options: Options) -> Trained:
    """Train the tiny model on three colours."""
    batches = Batches(Examples(coloured(40), [f"{colour} apple" for colour in COLOURS]), options)
    trainer = Trainer(options, train_tokenizer(batches.texts(), options.vocabulary_size, options.context_length))
    return Trained(trainer.run(batches), trainer.tokenizer, options, batches.labels)


def test_a_tiny_run_learns_its_pictures():
    """Three colours are classified by name."""
    pictures = coloured(9)
    assert run(TINY).score(pictures.pixels, pictures.labels)["accuracy"] == 1.0


def test_runs_of_one_seed_give_the_same_weights():
    """All randomness depends on the seed."""
    first, second = (run(replace(TINY, epochs=2)).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("muon", [True, False])
def test_every_weight_has_one_optimiser(muon):
    """Muon changes the convolutions of the blocks, or nothing; AdamW changes the rest."""
    model = SmallClip(TINY)
    found = optimisers(model, replace(TINY, muon=muon))
    weights = [weight for one in found for group in one.param_groups for weight in group["params"]]
    assert sorted(map(id, weights)) == sorted(map(id, model.parameters()))
    filters = {id(weight) for one in found[1:] for weight in one.param_groups[0]["params"]}
    assert (id(model.image.blocks[0].conv1.weight) in filters) is muon
    assert id(model.image.stem.weight) not in filters


def test_muons_steps_are_orthogonal_and_twice_as_long_as_those_of_adamw():
    """A step changes a filter by an almost orthogonal matrix with a root mean square of 0.4 times the rate."""
    model, options = SmallClip(TINY), replace(TINY, weight_decay=0.0, learning_rate=1.0)
    weight = model.image.blocks[0].conv2.weight  # (9, 9, 3, 3)
    [_, muon] = optimisers(model, options)
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    before = weight.detach().clone()
    muon.param_groups[0]["lr"] = muon.param_groups[0]["peak"]
    muon.step()
    change = (weight.detach() - before).flatten(1)
    lengths = torch.linalg.svdvals(change) / (0.4 * math.sqrt(81))
    assert torch.all((lengths > 0.6) & (lengths < 1.3))


def test_a_zero_gradient_moves_nothing():
    """A block whose gradient is zero does not change."""
    model = SmallClip(TINY)
    weight = model.image.blocks[0].conv2.weight
    before = weight.detach().clone()
    weight.grad = torch.zeros_like(weight)
    [_, muon] = optimisers(model, replace(TINY, weight_decay=0.0))
    muon.step()
    assert torch.equal(weight, before)


def test_the_loss_is_that_of_the_loops():
    """Pictures with equal captions are all positives, in both directions, as in explicit loops."""
    rng = torch.Generator().manual_seed(0)
    logits, shown = torch.randn(6, 3, generator=rng), [0, 1, 0, 0, 2, 1]
    there, back = contrastive_losses(logits, torch.eye(3)[shown])
    powers = logits.exp()
    slow_there = sum(-math.log(powers[row, own] / powers[row].sum()) for row, own in enumerate(shown)) / 6
    slow_back = 0.0
    for caption in range(3):
        rows = [row for row, own in enumerate(shown) if own == caption]
        slow_back -= sum(math.log(powers[row, caption] / powers[:, caption].sum()) for row in rows) / len(rows) / 3
    assert (float(there), float(back)) == pytest.approx((slow_there, slow_back), abs=1e-5)


@pytest.mark.parametrize(("progress", "expected"), [(0.05, 1.0), (0.525, 0.5), (1.0, 0.0)])
def test_the_learning_rate_rises_then_falls(progress, expected):
    """One cycle: full after the warm-up, half in the middle of the rest, almost none at the end."""
    assert lr_schedule(progress, 0.05) == pytest.approx(expected, abs=0.01)
