"""Embeddings of the evaluation pictures, and the figures drawn from them."""

from collections.abc import Iterable

import numpy as np
import torch
from tokenizers import Tokenizer

from app.text import clean
from app.training.augment import normalise
from app.training.model import SmallClip
from app.training.scoring import Encode, prototypes


@torch.no_grad()
def embed_pictures(model: SmallClip, pixels: np.ndarray, batch: int = 64) -> np.ndarray:
    """Pictures [N, 3, S, S] uint8 to unit embeddings [N, D]."""
    model.eval()
    parts: Iterable[np.ndarray] = (pixels[start : start + batch] for start in range(0, len(pixels), batch))
    look, device = model.served(), model.log_scale.device
    vectors = [look(normalise(torch.from_numpy(part).float() / 255).to(device)) for part in parts]
    unit: np.ndarray = torch.nn.functional.normalize(torch.cat(vectors), dim=1).cpu().numpy()
    return unit


def text_encoder(model: SmallClip, tokenizer: Tokenizer) -> Encode:
    """A function from texts to embeddings [N, D]."""

    @torch.no_grad()
    def encode(texts: list[str]) -> np.ndarray:
        model.eval()
        rows = [row.ids for row in tokenizer.encode_batch([clean(text) for text in texts])]
        parts = torch.tensor(rows).to(model.log_scale.device).chunk(len(rows) // 256 + 1)
        vectors: np.ndarray = torch.cat([model.text(part) for part in parts]).cpu().numpy()
        return vectors

    return encode


def logits_of(
    model: SmallClip, tokenizer: Tokenizer, pixels: np.ndarray, texts: list[str], template: str
) -> np.ndarray:
    """Logits [N, K] of pictures [N, 3, S, S] uint8 for texts, each in the template."""
    prompts = prototypes([[text] for text in texts], [template], text_encoder(model, tokenizer))
    logits: np.ndarray = float(model.scale().detach()) * embed_pictures(model, pixels) @ prompts.T
    return logits
