"""The space that pictures and texts share: what a picture looks like beside what kind of thing it shows.

A picture's features (N, F) become unit([sqrt(1 - b) f, sqrt(b) s]). f is the unit vector of the centred features,
whitened within classes and projected on the directions in which classes differ. s is the mean embedding of all classes
in WordNet's tree, weighed by the picture's posterior: short where that is undecided. A word such as "dog" names no
direction of f, since 118 breeds differ in f, but one of s.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.model.encoder import unit
from app.model.engines import Floats

LOOKS, KINDS = 384, 128  # dimensions of f and s
SHARE = 0.4  # b: what s has of the squared length
SHRINK = 1.0  # of the covariance within classes towards a sphere
GROCERY_SCALE, GROCERY_COSINE = 25.0, 0.35  # the logit of a grocery: scale x (cosine of f with the class's mean - cosine)


@dataclass(frozen=True)
class Space:
    """What `fit_space` found."""

    centre: Floats
    """Mean features of everyday pictures (F,)."""
    looks: Floats
    """(F, LOOKS)"""
    classifier: Floats
    """ImageNet's weights (I, F)."""
    bias: Floats
    """(I,)"""
    directions: Floats
    """f of all classes (C, LOOKS): ImageNet's as their weights say, then the groceries' as their pictures do."""
    kinds: Floats
    """All classes in the tree (C, KINDS)."""

    def save(self, path: Path) -> None:
        """Write it to an .npz file."""
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Space":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            return cls(**{name: kept[name] for name in kept.files})

    def pictures(self, features: Floats) -> Floats:
        """Features (N, F) to unit embeddings (N, D)."""
        with torch.inference_mode():
            made: Floats = Head(self)(torch.from_numpy(np.asarray(features, np.float32))).numpy()
        return unit(made)

    def names(self, shares: Floats) -> Floats:
        """Unit embeddings (N, D) of kinds that consist of classes in some shares (N, C)."""
        return joined(unit(shares @ self.directions), unit(shares @ self.kinds))


class Head(nn.Module):
    """The last layers of the picture tower: features (N, F) to embeddings (N, D), not yet of unit length."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        count = len(space.classifier)
        groceries = GROCERY_SCALE * space.directions[count:]
        self.looks = _linear(space.looks.T, -(space.centre @ space.looks))
        self.imagenet = _linear(space.classifier, space.bias)
        self.groceries = _linear(groceries, np.full(len(groceries), -GROCERY_SCALE * GROCERY_COSINE))
        self.kinds = _linear(space.kinds.T, np.zeros(KINDS))

    def forward(self, features: Tensor) -> Tensor:
        """See the head of this file."""
        looks = functional.normalize(self.looks(features), dim=-1)  # (N, LOOKS)
        logits = torch.cat([self.imagenet(features), self.groceries(looks)], dim=-1)  # (N, C)
        kinds = self.kinds(logits.softmax(-1))  # (N, KINDS)
        return torch.cat([(1 - SHARE) ** 0.5 * looks, SHARE**0.5 * kinds], dim=-1)


def _linear(weight: Floats, bias: npt.NDArray[np.floating]) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    state = {"weight": np.ascontiguousarray(weight, np.float32), "bias": bias.astype(np.float32)}
    layer.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return layer


def joined(looks: Floats, kinds: Floats) -> Floats:
    """Vectors f (N, LOOKS) and s (N, KINDS) side by side (N, D)."""
    return np.concatenate([(1 - SHARE) ** 0.5 * looks, SHARE**0.5 * kinds], axis=-1).astype(np.float32)


def fit_space(
    features: Floats, labels: npt.NDArray[np.int64], everyday: Floats, classifier: Floats, bias: Floats, kinds: Floats
) -> Space:
    """The space of groceries' features (N, F), other pictures' (M, F), ImageNet's classifier and the tree (C, KINDS)."""
    means = np.stack([features[labels == label].mean(0) for label in np.unique(labels)])  # (G, F)
    centre = (means.mean(0) + everyday.mean(0)) / 2
    apart = features - means[labels]
    scatter = (apart.T @ apart / len(apart)).astype(np.float64)
    scatter *= len(scatter) / np.trace(scatter)
    values, axes = np.linalg.eigh(scatter + SHRINK * np.eye(len(scatter)))
    whiten, colour = axes * values**-0.5 @ axes.T, axes * values**0.5 @ axes.T
    weights = unit((classifier - classifier.mean(0)) @ colour)  # (I, F): an inner product with whitened features
    differ = np.concatenate([weights, 5 * unit((means - centre) @ whiten)])
    project = np.linalg.svd(differ, full_matrices=False)[2][:LOOKS].T  # (F, LOOKS)
    looks = whiten @ project
    shown = unit((features - centre) @ looks)  # (N, LOOKS)
    groceries = np.stack([shown[labels == label].mean(0) for label in np.unique(labels)])
    directions = unit(np.concatenate([weights @ project, groceries]))
    return Space(*(each.astype(np.float32) for each in (centre, looks, classifier, bias, directions, kinds)))
