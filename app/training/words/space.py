"""The shared embedding space: what a picture looks like, which of the shop's goods it resembles, and its kind.

A picture's features (N, 2 F), of the untouched and of the tuned tail, become z = unit([looks, goods, kinds]), each part
weighted by the square root of its share:

- looks: the centred features of the untouched tail, projected onto the axes in which ImageNet's classes differ, with
  length 1;
- goods: those of the tuned tail, centred on the groceries, whitened within classes and projected onto the axes in which
  they differ, scaled by the probability of food: what a dog has in common with a leek there is meaningless;
- kinds: the mean WordNet embedding of all classes, weighted by the picture's posterior, so short if that is undecided.
  A word such as "dog" has no direction of looks, since 118 breeds differ there, but it has one of kinds.
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
from app.recognition.few_shot import ImageAlignment
from app.recognition.zero_shot import softmax

LOOKS, GOODS, KINDS = 256, 128, 128  # dimensions of the three parts
SHARES = (0.2, 0.6, 0.2)  # of the squared length
SHRINK = 1.0  # of the within-class covariance towards a sphere
FADED = 0.5  # factor on the looks of groceries' names: goods separate these better
SHARP = 2.0  # factor on ImageNet's logits, which were trained with smoothed labels and are underconfident
TRUST, FEW = 2.5, 3.0  # weight of the evidence relative to goods of length 1; pictures below which a class has little
TAUGHT = ((3.0, 1.0, 0.3), (12.0, 1.0, 0.3))  # factors on the shares, of pictures and of names beside examples
MARGINS = (0.125, 0.1, 0.09, 0.082, 0.078, 0.076)  # for 1, 2, ... examples: docs/decisions/0018-teaching.md
KNOWN = 0.72
SCALE, THRESHOLD = 25.0, 0.8  # the logit of a grocery: SCALE x (cosine of looks + cosine of goods - THRESHOLD)


@dataclass(frozen=True)
class Space:
    """The fitted space; F features per tail, I ImageNet classes, G groceries."""

    centres: Floats
    """Mean features (2, F): of everyday pictures in the untouched tail, of groceries in the tuned tail."""
    looks: Floats
    """(F, LOOKS)"""
    goods: Floats
    """(F, GOODS)"""
    classifier: Floats
    """ImageNet's classifier weights (I, F)."""
    bias: Floats
    """(I,)"""
    class_looks: Floats
    """Unit looks of all classes (I + G, LOOKS): ImageNet's from their weights, the groceries' from their pictures."""
    class_goods: Floats
    """Mean goods of the groceries (G, GOODS), length 1."""
    kinds: Floats
    """Embeddings of all classes in the tree (I + G, KINDS)."""
    evidence: Floats
    """Goods (I, GOODS) that pictures of ImageNet's classes show, weighted by the classifier's reliability."""
    food: Floats
    """1 for classes that are food, 0 for others (I + G,)."""

    def save(self, path: Path) -> None:
        """Save to an .npz file."""
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Space":
        """Load what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            return cls(**{name: kept[name] for name in kept.files})

    def pictures(self, features: Floats) -> Floats:
        """Map features (N, 2 F) to unit embeddings (N, D)."""
        with torch.inference_mode():
            made: Floats = Head(self)(torch.from_numpy(np.asarray(features, np.float32))).numpy()
        return unit(made)

    def names(self, shares: Floats) -> Floats:
        """Return unit embeddings (N, D) of kinds given as mixtures of classes (N, I + G).

        A kind has goods in proportion to its share of groceries; one without groceries has none.
        """
        grocery = shares[:, len(self.classifier) :]
        goods = unit(grocery @ self.class_goods) * np.sqrt(grocery.sum(1, keepdims=True))
        looks = shares @ self.class_looks  # shorter if the classes differ more in them
        looks /= np.sqrt(np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-12))
        looks *= 1 - FADED * grocery.sum(1, keepdims=True)
        parts = (looks, goods, unit(shares @ self.kinds))
        return unit(np.concatenate([share**0.5 * part for share, part in zip(SHARES, parts, strict=True)], axis=1))


def taught() -> ImageAlignment:
    """Return the alignment for few-shot labels: looks count more, since goods separate what the tail was tuned on."""
    images, texts = (np.repeat(np.sqrt(each), (LOOKS, GOODS, KINDS)).astype(np.float32) for each in TAUGHT)
    return ImageAlignment(images, texts, MARGINS, means=True, known=KNOWN)


class Head(nn.Module):
    """The last layers of the picture tower: features (N, 2 F) to embeddings (N, D), not yet normalised."""

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.looks = _linear(space.looks.T, -(space.centres[0] @ space.looks))
        self.goods = _linear(space.goods.T, -(space.centres[1] @ space.goods))
        self.imagenet = _linear(space.classifier, space.bias)
        groceries = np.concatenate([space.class_looks[len(space.classifier) :], space.class_goods], axis=1)
        self.groceries = _linear(SCALE * groceries, np.full(len(groceries), -SCALE * THRESHOLD))
        self.evidence = _linear(space.evidence.T, np.zeros(space.evidence.shape[1]))
        self.kinds = _linear(space.kinds.T, np.zeros(space.kinds.shape[1]))
        self.food = _linear(space.food[None], np.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        """Compute the embedding described at the head of this file."""
        untouched, tuned = features.chunk(2, dim=-1)  # (N, F) each
        looks = functional.normalize(self.looks(untouched), dim=-1)
        imagenet = self.imagenet(untouched)  # (N, I)
        seen = functional.normalize(self.goods(tuned), dim=-1)
        goods = functional.normalize(seen + self.evidence((SHARP * imagenet).softmax(-1)), dim=-1)
        logits = torch.cat([imagenet, self.groceries(torch.cat([looks, goods], dim=-1))], dim=-1)  # (N, I + G)
        posterior = logits.softmax(-1)  # (N, I + G)
        sure = torch.linalg.vector_norm(posterior, dim=-1, keepdim=True).sqrt()  # 1 for a single class
        parts = (looks, goods * self.food(posterior), sure * self.kinds(posterior))
        return torch.cat([share**0.5 * part for share, part in zip(SHARES, parts, strict=True)], dim=-1)


def _linear(weight: npt.NDArray[np.floating], bias: npt.NDArray[np.floating]) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    state = {"weight": np.ascontiguousarray(weight, np.float32), "bias": bias.astype(np.float32)}
    layer.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return layer


def fit_space(
    features: Floats, labels: npt.NDArray[np.int64], everyday: Floats, classifier: Floats, bias: Floats, kinds: Floats,
    food: Floats,
) -> Space:  # fmt: skip
    """Fit the space to groceries' features (N, 2 F) and labels (N,).

    `everyday` are the mean features of other pictures in the untouched tail (F,), `kinds` the classes in the tree
    (I + G, KINDS), `food` is 1 for food and 0 for other classes (I + G,).
    """
    means = np.stack([features[labels == label].mean(0) for label in np.unique(labels)])  # (G, 2 F)
    size = means.shape[1] // 2
    centres = np.stack([(means[:, :size].mean(0) + everyday) / 2, means[:, size:].mean(0)])  # (2, F)
    untouched, tuned = features[:, :size], features[:, size:]
    weights = unit(classifier - classifier.mean(0))  # (I, F)
    looks = _axes(np.concatenate([weights, unit(means[:, :size] - centres[0])]), LOOKS)
    whiten = _whitening(tuned - means[labels, size:])
    between, rest = ((some - centres[1]) @ whiten for some in (means[:, size:], tuned[:: max(1, len(tuned) // 500)]))
    goods = whiten @ _axes(np.concatenate([5 * unit(between), unit(rest)]), GOODS)  # the span of the means comes first
    shown = unit((untouched - centres[0]) @ looks), unit((tuned - centres[1]) @ goods)
    by_label = [np.stack([some[labels == label].mean(0) for label in np.unique(labels)]) for some in shown]
    class_looks = unit(np.concatenate([weights @ looks, by_label[0]]))
    class_goods = unit(by_label[1])
    evidence = _evidence(untouched @ classifier.T + bias, labels, class_goods)
    kinds = kinds - kinds.mean(0)  # what all kinds share would pull an undecided picture towards the broad ones
    every = (centres, looks, goods, classifier, bias, class_looks, class_goods, kinds, evidence, food)
    return Space(*(each.astype(np.float32) for each in every))


def _evidence(logits: Floats, labels: npt.NDArray[np.int64], class_goods: Floats) -> Floats:
    """Estimate the goods (I, GOODS) of ImageNet's classes from its logits (N, I) for groceries with labels (N,).

    A banana photographed elsewhere looks unlike the shop's, but ImageNet knows it. A class counts by the purity of its
    predictions, the largest share of one grocery among them, cubed: "lemon" is predicted for half of the shop's fruit.
    """
    given = softmax(SHARP * logits).T  # (I, N)
    shares = given @ np.eye(len(class_goods))[labels] / (given.sum(1, keepdims=True) + FEW)  # (I, G)
    evidence: Floats = TRUST * shares.max(1, keepdims=True) ** 2 * (shares @ class_goods)
    return evidence


def _axes(vectors: Floats, size: int) -> Floats:
    """Return the axes (F, size) of largest variance of vectors (N, F)."""
    axes: Floats = np.linalg.svd(vectors, full_matrices=False)[2][:size].T
    return axes


def _whitening(apart: Floats) -> Floats:
    """Return the map (F, F) that whitens features' differences from their class means (N, F), with shrinkage."""
    scatter = (apart.T @ apart / len(apart)).astype(np.float64)
    values, axes = np.linalg.eigh(scatter * (len(scatter) / np.trace(scatter)) + SHRINK * np.eye(len(scatter)))
    whitening: Floats = axes * values**-0.5 @ axes.T
    return whitening
