"""Augmentation that varies scale, crop and background, so that the tower does not learn the shop."""

import torch
from torch import Tensor
from torch.nn import functional

from app.training.augment import colour_jitter, random_erasing, uniform

SMALLER = 0.3  # share of the pictures that are pasted onto another background


def change(pixels: Tensor, backgrounds: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Augment groceries (N, 3, T, T) uint8 with backgrounds (M, 3, t, t) uint8 to (N, 3, size, size)."""
    n = len(pixels)
    small = uniform(n, 0, 1, rng) < SMALLER
    area = torch.where(small, uniform(n, 1.0, 5.0, rng), uniform(n, 0.3, 1.05, rng))
    grid = crops(area, size, rng)
    x = functional.grid_sample(pixels.float() / 255, grid, padding_mode="reflection", align_corners=False)
    behind = other_backgrounds(int(small.sum()), backgrounds, size, rng)
    x[small] = torch.where(shown(grid[small], rng), x[small], behind)
    return normalise(random_erasing(colour_jitter(x, rng), rng))


def change_others(pixels: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Augment other pictures (N, 3, T, T) uint8 to (N, 3, size, size) with mild crops."""
    grid = crops(uniform(len(pixels), 0.5, 1.05, rng), size, rng)
    x = functional.grid_sample(pixels.float() / 255, grid, padding_mode="reflection", align_corners=False)
    return normalise(colour_jitter(x, rng))


def normalise(x: Tensor) -> Tensor:
    """Normalise values 0..1 as the pretrained weights expect."""
    return (x * 255 - 127) / 128


def crops(area: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Draw grids (N, size, size, 2) of random crops that cover `area` (N) of a picture: stretched, rotated, flipped."""
    n = len(area)
    side, stretch = area.sqrt(), uniform(n, -0.29, 0.29, rng).exp().sqrt()
    turn = torch.randn(n, generator=rng) * 0.17
    flip = torch.where(uniform(n, 0, 1, rng) < 0.5, -1.0, 1.0)
    wide, high = side * stretch, side / stretch
    shift_x, shift_y = (uniform(n, -1, 1, rng) * ((1 - length).abs() * 0.9 + 0.05) for length in (wide, high))
    cos, sin = turn.cos(), turn.sin()
    across = torch.stack([flip * wide * cos, -high * sin, shift_x], dim=1)
    down = torch.stack([flip * wide * sin, high * cos, shift_y], dim=1)
    return functional.affine_grid(torch.stack([across, down], dim=1), [n, 3, size, size], align_corners=False)


def shown(grid: Tensor, rng: torch.Generator) -> Tensor:
    """Draw masks (N, 1, size, size) of the picture's visible part: a central ellipse, a rounded box, or all of it."""
    n = len(grid)
    power = 2 + uniform(n, 0, 1, rng).view(n, 1, 1, 1).pow(3) * 20
    radius = uniform(n, 0.75, 1.0, rng).view(n, 1, 1, 1)
    return ((grid / radius).abs().pow(power).sum(dim=3, keepdim=True) < 1).permute(0, 3, 1, 2)


def other_backgrounds(n: int, pictures: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Draw backgrounds [n, 3, size, size] in 0..1: white, one colour, a gradient, or another picture."""
    kind = torch.randint(4, (n, 1, 1, 1), generator=rng)
    white = 1 - uniform(n, 0, 0.12, rng).view(n, 1, 1, 1).expand(n, 3, size, size)
    one, two = torch.rand(2, n, 3, 1, 1, generator=rng)
    fade = torch.linspace(0, 1, size).view(1, 1, size, 1)
    rows = torch.randint(len(pictures), (n,), generator=rng)
    picture = functional.interpolate(pictures[rows].float() / 255, size=(size, size), mode="bilinear")
    choices = [white, one.expand_as(white), one * fade + two * (1 - fade) + torch.zeros_like(white), picture]
    return torch.stack(choices).gather(0, kind.expand(1, n, 3, size, size))[0]
