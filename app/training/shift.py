"""Random changes of small pictures, whose every pixel counts: a shift by an eighth at most, a mirror."""

import torch
from torch import Tensor

from app.training.augment import normalise, spread


def shift(pixels: Tensor, size: int, dice: torch.Generator) -> Tensor:
    """Stored pictures [N, 3, T, T] uint8 to shifted, normalised pictures [N, 3, size, size]; edges are reflected."""
    n, _, side, _ = pixels.shape
    down = window(n, side, size, dice)
    across = window(n, side, size, dice)
    mirror = (spread(n, 0, 1, dice) < 0.5)[:, None]
    across = torch.where(mirror, across.flip(1), across)
    rows = torch.arange(n)[:, None, None]
    x = pixels[rows, :, down[:, :, None], across[:, None, :]]  # [N, size, size, 3]
    return normalise(x.permute(0, 3, 1, 2).float() / 255)


def window(n: int, side: int, size: int, dice: torch.Generator) -> Tensor:
    """For each of n pictures `size` neighbouring places [n, size] of 0..side-1, reflected at both ends."""
    beyond = size // 8
    starts = torch.randint(-beyond, side + beyond - size + 1, (n,), generator=dice)
    places = (starts[:, None] + torch.arange(size)).abs()
    return side - 1 - (side - 1 - places).abs()
