"""Random changes keep shapes and ranges, and follow their generator."""

import torch

from app.training.augment import MEAN, STD, augment_photos, enlarge, hue_rotation, mixup_or_cutmix


def rng(seed: int = 0) -> torch.Generator:
    """A seeded generator."""
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 6, size: int = 40) -> torch.Tensor:
    """Random pictures."""
    return torch.randint(0, 256, (count, 3, size, size), generator=rng(9), dtype=torch.uint8)


def test_augmented_pictures_have_the_asked_size_and_range():
    """Values stay within the normalised range of 0..1."""
    x = augment_photos(pictures(), 32, rng())
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    plain = x * std + mean
    assert x.shape == (6, 3, 32, 32)
    assert plain.min() > -1e-4
    assert plain.max() < 1 + 1e-4


def test_the_same_generator_gives_the_same_pictures():
    """Augmentation is a function of its seed."""
    assert torch.equal(augment_photos(pictures(), 32, rng(1)), augment_photos(pictures(), 32, rng(1)))
    assert not torch.equal(augment_photos(pictures(), 32, rng(1)), augment_photos(pictures(), 32, rng(2)))


def test_mixed_targets_still_sum_to_one():
    """A picture mixed of two has both targets, weighted by their areas."""
    for seed in range(6):
        x, [targets] = mixup_or_cutmix(torch.rand(6, 3, 16, 16), [torch.eye(6)], rng(seed))
        assert x.shape == (6, 3, 16, 16)
        assert torch.allclose(targets.sum(dim=1), torch.ones(6), atol=1e-5)


def test_hue_matrices_keep_grey():
    """Rotating the hue does not change grey pixels."""
    grey = hue_rotation(torch.tensor([0.4, -1.0])) @ torch.ones(3)
    assert torch.allclose(grey, torch.ones(2, 3), atol=1e-6)


def test_enlarged_pictures_are_pictures():
    """They are uint8 of the asked size."""
    large = enlarge(pictures(2, 8), 40, rng())
    assert large.shape == (2, 3, 40, 40)
    assert large.dtype == torch.uint8
