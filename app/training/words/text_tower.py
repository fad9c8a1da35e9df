"""The text tower: MiniLM and a map from its embeddings to the space of the pictures.

The map is kernel ridge regression on landmarks z: an embedding x becomes beta exp(-2 GAMMA (1 - z x)), whose second
factor is the Gaussian kernel of unit vectors. It is fitted in closed form, reproduces its targets for a thousand
names, and decays to zero for a text unlike all of them.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from app.exporter.graph import write_graph
from app.model.engines import Floats
from app.text import clean
from app.training.words.minilm import CONTEXT, PAD_TO, Affine, FourBits, MiniLM
from app.training.words.texts import Texts

LANDMARKS = 4000
GAMMA = 3.0
RIDGE = 0.1
BATCH = 256  # texts of similar length encoded at a time


class TextTower(nn.Module):
    """Maps token ids (N, L) to embeddings (N, D), not yet normalised."""

    places: Tensor

    def __init__(self, encoder: MiniLM, landmarks: FourBits, beta: Floats) -> None:
        super().__init__()
        self.encoder = encoder
        self.landmarks = landmarks
        self.register_buffer("places", torch.arange(len(beta)))
        self.out = Affine(torch.from_numpy(beta.T.copy()), torch.zeros(beta.shape[1]))

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute the map described at the head of this file."""
        near: Tensor = self.encoder(tokens) @ self.landmarks(self.places).T  # (N, landmarks), cosine similarities
        mapped: Tensor = self.out(torch.exp(2 * GAMMA * (near - 1)))
        return mapped


def fit_tower(encoder: MiniLM, found: Floats, texts: Texts, targets: Floats) -> TextTower:
    """Fit the map from the encoder's embeddings (N, W) of texts to their targets (N, D)."""
    landmarks = FourBits(torch.from_numpy(found[_chosen(texts)]))
    points = landmarks(torch.arange(len(landmarks.weight))).numpy()  # (l, W)
    near = _kernel(found, points)  # (N, l)
    weighted = (near * texts.weights[:, None]).T
    system = weighted @ near + RIDGE * _kernel(points, points)
    system[np.diag_indices_from(system)] += 1e-3
    beta = np.linalg.solve(system, weighted @ targets).astype(np.float32)
    return TextTower(encoder, landmarks, beta).eval()


def _chosen(texts: Texts) -> npt.NDArray[np.int64]:
    """Choose the landmarks: texts of full weight, then some of the others; returns their indices."""
    rank = np.random.default_rng(0).random(len(texts.texts)) - 2 * (texts.weights == 1)
    return np.argsort(rank, kind="stable")[:LANDMARKS]


def _kernel(some: Floats, others: Floats) -> Floats:
    kernel: Floats = np.exp(np.float32(2 * GAMMA) * (some @ others.T - 1))
    return kernel


def write_text(tower: nn.Module, tokenizer: Tokenizer, folder: Path) -> None:
    """Write text.onnx (`tokens` (N, L) -> `embedding` (N, D), N and L free) and tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    example = torch.ones(2, 2 * PAD_TO, dtype=torch.int64)
    write_graph(tower, example, "tokens", folder / "text.onnx", longest=CONTEXT)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


class Embedder:
    """MiniLM on OpenVINO, several times as fast as PyTorch here: texts to unit embeddings (N, W)."""

    def __init__(self, encoder: MiniLM, tokenizer: Tokenizer) -> None:
        import openvino

        with tempfile.TemporaryDirectory() as folder:
            write_text(encoder, tokenizer, Path(folder))
            self._run = openvino.Core().compile_model(f"{folder}/text.onnx", "CPU").create_infer_request()
        self._tokenizer = tokenizer

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Encode texts of any length to unit embeddings (N, W)."""
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch([clean(text) for text in texts])]
        lengths = np.array([np.count_nonzero(ids) for ids in encoded])
        found: dict[int, Floats] = {}
        for places in np.array_split(np.argsort(lengths), -(-len(texts) // BATCH)):
            width = -(-int(lengths[places].max()) // PAD_TO) * PAD_TO
            tokens = np.array([encoded[place] for place in places], np.int64)[:, :width]
            found |= zip(places.tolist(), self._run.infer({0: tokens})[0].copy(), strict=True)
        return np.stack([found[place] for place in range(len(texts))])
