"""Data augmentation of a batch: random crops, colour jitter, random erasing, mixup and CutMix."""

import math

import torch
from torch import Tensor
from torch.nn import functional

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


def augment_photos(pixels: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Augment and normalise stored pictures (N, 3, T, T) uint8 to (N, 3, size, size)."""
    x = random_affine_crop(pixels.float() / 255, size, rng)
    return normalise(random_erasing(colour_jitter(x, rng), rng))


def random_shift(pixels: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Shift tiny pictures (N, 3, T, T) uint8 by at most an eighth, flip and normalise them: (N, 3, size, size).

    Edges are reflected and nothing is resampled, because every pixel of a tiny picture matters.
    """
    n, _, side, _ = pixels.shape
    down, across = _windows(n, side, size, rng), _windows(n, side, size, rng)
    mirrored = (uniform(n, 0, 1, rng) < 0.5)[:, None]
    across = torch.where(mirrored, across.flip(1), across)
    rows = torch.arange(n)[:, None, None]
    x = pixels[rows, :, down[:, :, None], across[:, None, :]]  # (N, size, size, 3)
    return normalise(x.permute(0, 3, 1, 2).float() / 255)


AUGMENTATIONS = {"photo": augment_photos, "shift": random_shift}


def normalise(x: Tensor) -> Tensor:
    """Normalise values 0..1 with ImageNet's mean and standard deviation."""
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return (x - mean) / std


def uniform(count: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    """Draw uniform random numbers (count,)."""
    return torch.rand(count, generator=rng) * (high - low) + low


def _windows(n: int, side: int, size: int, rng: torch.Generator) -> Tensor:
    """Draw a window for each of n pictures: indices (n, size) of pixels in 0..side-1, reflected at both ends."""
    beyond = size // 8
    starts = torch.randint(-beyond, side + beyond - size + 1, (n,), generator=rng)
    places = (starts[:, None] + torch.arange(size)).abs()
    return side - 1 - (side - 1 - places).abs()


def random_affine_crop(x: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Crop, stretch, rotate and flip each picture at random; edges are reflected."""
    n = len(x)
    side = uniform(n, 0.3, 1.1, rng).sqrt()  # share of the area that the crop keeps
    stretch = uniform(n, -0.25, 0.25, rng).exp().sqrt()
    angle = uniform(n, -0.35, 0.35, rng)
    flip = torch.where(uniform(n, 0, 1, rng) < 0.5, -1.0, 1.0)
    wide, high = side * stretch, side / stretch
    free_x, free_y = (1 - wide).clamp(min=0) + 0.05, (1 - high).clamp(min=0) + 0.05
    shift_x, shift_y = uniform(n, -1, 1, rng) * free_x, uniform(n, -1, 1, rng) * free_y
    cos, sin = angle.cos(), angle.sin()
    across = torch.stack([flip * wide * cos, -high * sin, shift_x], dim=1)
    down = torch.stack([flip * wide * sin, high * cos, shift_y], dim=1)
    grid = functional.affine_grid(torch.stack([across, down], dim=1), [n, 3, size, size], align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def colour_jitter(x: Tensor, rng: torch.Generator) -> Tensor:
    """Change brightness, contrast, saturation and hue with one 3x3 matrix and one offset per picture."""
    n = len(x)
    grey = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    bright, contrast, saturation = uniform(n, 0.65, 1.4, rng), uniform(n, 0.7, 1.4, rng), uniform(n, 0.6, 1.5, rng)
    keep = torch.eye(3).expand(n, 3, 3)
    matrix = keep * saturation.view(n, 1, 1) + grey * (1 - saturation).view(n, 1, 1)
    matrix = matrix @ hue_rotation(uniform(n, -0.12, 0.12, rng))
    matrix = matrix * (bright * contrast).view(n, 1, 1)
    cast = torch.randn(n, 3, 1, generator=rng) * 0.03  # colour cast of the light
    middle = x.mean(dim=(1, 2, 3)).view(n, 1, 1) * bright.view(n, 1, 1)
    y = torch.baddbmm(middle * (1 - contrast).view(n, 1, 1) + cast, matrix, x.flatten(2))
    return y.view_as(x).clamp(0, 1)


def hue_rotation(angle: Tensor) -> Tensor:
    """Return rotations (N, 3, 3) of RGB around the grey axis by angles (N,) in radians."""
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    third = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return cos * torch.eye(3) + sin * cross + (1 - cos) * third


def random_erasing(x: Tensor, rng: torch.Generator) -> Tensor:
    """Fill a random box with a random colour in a quarter of the pictures."""
    n, _, size, _ = x.shape
    boxes = random_boxes(n, size, 0.02, 0.2, rng)
    chosen = (torch.rand(n, generator=rng) < 0.25).view(n, 1, 1, 1)
    return torch.where(boxes & chosen, torch.rand(n, 3, 1, 1, generator=rng), x)


def random_boxes(n: int, size: int, least: float, most: float, rng: torch.Generator) -> Tensor:
    """Draw box masks (n, 1, size, size), each covering a share between `least` and `most` of the picture."""
    half = uniform(n, least, most, rng).sqrt() / 2
    stretch = uniform(n, -0.4, 0.4, rng).exp()
    x, y = uniform(n, 0, 1, rng).view(n, 1, 1), uniform(n, 0, 1, rng).view(n, 1, 1)
    line = (torch.arange(size) + 0.5) / size
    across = (line.view(1, 1, size) - x).abs() < (half * stretch).view(n, 1, 1)
    down = (line.view(1, size, 1) - y).abs() < (half / stretch).view(n, 1, 1)
    return (across & down).unsqueeze(1)


def enlarge(small: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """Enlarge small pictures (N, 3, t, t) to (N, 3, size, size) uint8 with a random filter; blur some of them."""
    mode = ("nearest", "bilinear", "bicubic", "bicubic")[int(torch.randint(4, (1,), generator=rng))]
    x = functional.interpolate(small.float(), size=(size, size), mode=mode)
    if torch.rand(1, generator=rng) < 0.3:
        x = functional.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
    return x.clamp(0, 255).round().to(torch.uint8)


def mixup_or_cutmix(x: Tensor, targets: list[Tensor], rng: torch.Generator) -> tuple[Tensor, list[Tensor]]:
    """Blend every picture with another of the batch, and the targets (N, K) in the same proportions.

    Draws one of the two for the whole batch: mixup blends the pictures, CutMix pastes a box of the other picture.
    """
    n, _, size, _ = x.shape
    order = torch.randperm(n, generator=rng)
    if torch.rand(1, generator=rng) < 0.5:
        share = (1 - uniform(n, 0, 0.5, rng)).view(n, 1)
        x = x * share.view(n, 1, 1, 1) + x[order] * (1 - share.view(n, 1, 1, 1))
    else:
        boxes = random_boxes(n, size, 0.1, 0.6, rng)
        share = 1 - boxes.float().mean(dim=(1, 2, 3)).view(n, 1)
        x = torch.where(boxes, x[order], x)
    return x, [target * share + target[order] * (1 - share) for target in targets]


def smooth_labels(labels: Tensor, classes: int, amount: float) -> Tensor:
    """Smooth labels: one-hot targets (N, classes) with `amount` spread over all classes."""
    return functional.one_hot(labels, classes).float() * (1 - amount) + amount / classes
