"""Drawn pictures without content: noise, plain colours, gradients, stripes, checks."""

import numpy as np

KINDS = ("noise", "plain colour", "colour gradient", "stripes", "checks")


def draw(kind: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one picture [3, size, size] uint8 of the numbered kind."""
    makers = (noise, plain_colour, gradient, stripes, checks)
    picture: np.ndarray = np.clip(makers[kind](size, rng), 0, 255).astype(np.uint8)
    return picture


def colour(rng: np.random.Generator) -> np.ndarray:
    """Draw a random colour [3, 1, 1]."""
    return rng.uniform(0, 255, (3, 1, 1))


def enlarge(small: np.ndarray, size: int) -> np.ndarray:
    """Repeat cells [C, n, n] up to [C, size, size]."""
    places = np.arange(size) * small.shape[1] // size
    large: np.ndarray = small[:, places][:, :, places]
    return large


def noise(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw grey or coloured noise of a random grain around a random colour."""
    cells = max(4, size // int(rng.integers(1, 9)))
    channels = int(rng.choice((1, 3)))
    speckle = rng.normal(0, rng.uniform(20, 90), (channels, cells, cells))
    if rng.random() < 0.3:
        return enlarge(rng.uniform(0, 255, (channels, cells, cells)), size).repeat(3 // channels, 0)
    picture: np.ndarray = colour(rng) + enlarge(speckle, size)
    return picture


def plain_colour(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one colour with a trace of noise."""
    return colour(rng) + rng.normal(0, rng.uniform(0, 6), (3, size, size))


def gradient(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a gradient of two colours along a line or from a centre."""
    y, x = np.mgrid[0:size, 0:size] / size
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        way = np.cos(angle) * x + np.sin(angle) * y
    else:
        way = np.hypot(x - rng.random(), y - rng.random())
    way = (way - way.min()) / np.ptp(way)
    picture: np.ndarray = colour(rng) * (1 - way) + colour(rng) * way
    return picture


def stripes(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw stripes of two colours with a random angle and width."""
    y, x = np.mgrid[0:size, 0:size] / size
    angle = rng.uniform(0, np.pi)
    wave = np.sin((np.cos(angle) * x + np.sin(angle) * y) * rng.uniform(10, 120))
    return np.where(wave > rng.uniform(-0.5, 0.5), colour(rng), colour(rng))


def checks(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a grid of two or of many colours."""
    cells = int(rng.integers(2, 14))
    if rng.random() < 0.5:
        return enlarge(rng.uniform(0, 255, (3, cells, cells)), size)
    board = enlarge((np.indices((cells, cells)).sum(0) % 2)[None].astype(float), size)
    return np.where(board > 0, colour(rng), colour(rng))
