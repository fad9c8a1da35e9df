"""Random changes of a batch of pictures: crops, colours, coarseness, holes, mixtures."""

import math

import torch
from torch import Tensor
from torch.nn import functional

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BLUR_SHARE = 0.12  # of the groceries, so that blur alone does not tell other pictures


def augment(pixels: Tensor, size: int, dice: torch.Generator) -> Tensor:
    """Stored pictures [N, 3, T, T] uint8 to changed, normalised pictures [N, 3, size, size]."""
    x = pixels.float() / 255
    x = cut(x, size, dice)
    x = recolour(x, dice)
    x = make_holes(x, dice)
    return normalise(x)


def normalise(x: Tensor) -> Tensor:
    """Values 0..1 to the model's range."""
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return (x - mean) / std


def spread(count: int, low: float, high: float, dice: torch.Generator) -> Tensor:
    """Uniform random numbers [count]."""
    return torch.rand(count, generator=dice) * (high - low) + low


def cut(x: Tensor, size: int, dice: torch.Generator) -> Tensor:
    """A random affine crop: part of the picture, stretched, turned, mirrored; edges are reflected."""
    n = len(x)
    side = spread(n, 0.3, 1.1, dice).sqrt()  # share of the area that is kept
    stretch = spread(n, -0.25, 0.25, dice).exp().sqrt()
    turn = spread(n, -0.35, 0.35, dice)
    flip = torch.where(spread(n, 0, 1, dice) < 0.5, -1.0, 1.0)
    wide, high = side * stretch, side / stretch
    free_x, free_y = (1 - wide).clamp(min=0) + 0.05, (1 - high).clamp(min=0) + 0.05
    shift_x, shift_y = spread(n, -1, 1, dice) * free_x, spread(n, -1, 1, dice) * free_y
    cos, sin = turn.cos(), turn.sin()
    across = torch.stack([flip * wide * cos, -high * sin, shift_x], dim=1)
    down = torch.stack([flip * wide * sin, high * cos, shift_y], dim=1)
    grid = functional.affine_grid(torch.stack([across, down], dim=1), [n, 3, size, size], align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def recolour(x: Tensor, dice: torch.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue by one 3x3 matrix and one offset a picture."""
    n = len(x)
    grey = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    bright, contrast, colourful = spread(n, 0.65, 1.4, dice), spread(n, 0.7, 1.4, dice), spread(n, 0.6, 1.5, dice)
    keep = torch.eye(3).expand(n, 3, 3)
    matrix = keep * colourful.view(n, 1, 1) + grey * (1 - colourful).view(n, 1, 1)
    matrix = matrix @ hue_matrix(spread(n, -0.12, 0.12, dice))
    matrix = matrix * (bright * contrast).view(n, 1, 1)
    cast = torch.randn(n, 3, 1, generator=dice) * 0.03  # colour of the light
    middle = x.mean(dim=(1, 2, 3)).view(n, 1, 1) * bright.view(n, 1, 1)
    y = torch.baddbmm(middle * (1 - contrast).view(n, 1, 1) + cast, matrix, x.flatten(2))
    return y.view_as(x).clamp(0, 1)


def hue_matrix(angle: Tensor) -> Tensor:
    """Rotations [N, 3, 3] of RGB around the grey axis, angles [N] in radians."""
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    third = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return cos * torch.eye(3) + sin * cross + (1 - cos) * third


def make_holes(x: Tensor, dice: torch.Generator) -> Tensor:
    """Paint a random box of a random colour into a quarter of the pictures."""
    n, _, size, _ = x.shape
    boxes = random_boxes(n, size, 0.02, 0.2, dice)
    chosen = (torch.rand(n, generator=dice) < 0.25).view(n, 1, 1, 1)
    return torch.where(boxes & chosen, torch.rand(n, 3, 1, 1, generator=dice), x)


def random_boxes(n: int, size: int, least: float, most: float, dice: torch.Generator) -> Tensor:
    """Masks [n, 1, size, size] of boxes that cover between `least` and `most` of the picture."""
    half = spread(n, least, most, dice).sqrt() / 2
    stretch = spread(n, -0.4, 0.4, dice).exp()
    x, y = spread(n, 0, 1, dice).view(n, 1, 1), spread(n, 0, 1, dice).view(n, 1, 1)
    line = (torch.arange(size) + 0.5) / size
    across = (line.view(1, 1, size) - x).abs() < (half * stretch).view(n, 1, 1)
    down = (line.view(1, size, 1) - y).abs() < (half / stretch).view(n, 1, 1)
    return (across & down).unsqueeze(1)


def coarsen(x: Tensor, dice: torch.Generator) -> Tensor:
    """Shrink one picture [3, T, T] uint8 to 24..96 pixels and enlarge it again in a random way."""
    low = int(torch.randint(24, 96, (1,), generator=dice))
    small = functional.interpolate(x[None].float(), size=(low, low), mode="area")
    return enlarge(small, x.shape[1], dice)[0]


def enlarge(small: Tensor, size: int, dice: torch.Generator) -> Tensor:
    """Small pictures [N, 3, t, t] to [N, 3, size, size] uint8 by a random filter, blurred at random."""
    mode = ("nearest", "bilinear", "bicubic", "bicubic")[int(torch.randint(4, (1,), generator=dice))]
    x = functional.interpolate(small.float(), size=(size, size), mode=mode)
    if torch.rand(1, generator=dice) < 0.3:
        x = functional.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
    return x.clamp(0, 255).round().to(torch.uint8)


def mix(x: Tensor, targets: list[Tensor], dice: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """Blend every picture with its neighbour, or paste a box of the neighbour; targets [N, K] follow the area."""
    n, _, size, _ = x.shape
    order = torch.randperm(n, generator=dice)
    if torch.rand(1, generator=dice) < 0.5:
        share = (1 - spread(n, 0, 0.5, dice)).view(n, 1)
        x = x * share.view(n, 1, 1, 1) + x[order] * (1 - share.view(n, 1, 1, 1))
    else:
        boxes = random_boxes(n, size, 0.1, 0.6, dice)
        share = 1 - boxes.float().mean(dim=(1, 2, 3)).view(n, 1)
        x = torch.where(boxes, x[order], x)
    return x, [target * share + target[order] * (1 - share) for target in targets]
