"""The two towers of a small CLIP: a residual CNN for pictures, a transformer for texts."""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.model.engines import Floats
from app.training.options import Options


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut; the first may halve the resolution."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        nn.init.zeros_(self.norm2.weight)
        self.shortcut = nn.Identity() if stride == 1 and before == after else _shortcut(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return functional.relu(y + self.shortcut(x))


def _shortcut(before: int, after: int, stride: int) -> nn.Module:
    """Return average pooling and a 1x1 convolution if a block changes the shape, else the identity."""
    pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
    return nn.Sequential(pool, nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after))


class ImageTower(nn.Module):
    """Maps pixels (N, 3, S, S) to embeddings (N, D); S must be a multiple of the product of all strides."""

    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], embedding: int, stride: int = 2) -> None:
        super().__init__()
        stem = widths[0] * 2 // 3
        self.stem = nn.Conv2d(3, stem, 3, stride, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        before, blocks = stem, []
        for width, depth in zip(widths, depths, strict=True):
            for place in range(depth):
                blocks.append(Block(before, width, 2 if place == 0 else 1))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.project = nn.Linear(before, embedding)

    def forward(self, pixels: Tensor) -> Tensor:
        x = functional.relu(self.stem_norm(self.stem(pixels)))  # (N, stem, S/stride, S/stride)
        x = self.blocks(x)  # (N, width, s, s)
        vectors: Tensor = self.project(x.mean(dim=(2, 3)))  # (N, D)
        return vectors


class FlipTTA(nn.Module):
    """Test-time augmentation: sum the unit embeddings of a picture and of its mirror image."""

    def __init__(self, tower: ImageTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: Tensor) -> Tensor:
        seen, mirrored = self.tower(pixels), self.tower(pixels.flip(3))  # each (N, D)
        return functional.normalize(seen) + functional.normalize(mirrored)


class Layer(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        n, length, width = x.shape
        parts = self.qkv(self.ln_1(x)).view(n, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (N, heads, L, width/heads)
        weights = (query @ key.transpose(2, 3) / math.sqrt(width // self.heads) + bias).softmax(dim=3)
        x = x + self.out((weights @ value).transpose(1, 2).reshape(n, length, width))
        hidden: Tensor = self.fc2(functional.gelu(self.fc1(self.ln_2(x))))
        return x + hidden


class TextTower(nn.Module):
    """Maps tokens (N, L) to embeddings (N, D); token 0 is padding and is masked."""

    def __init__(self, vocabulary: int, context: int, width: int, layers: int, embedding: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(context, width) * 0.02)
        nn.init.normal_(self.tokens.weight, std=0.1)
        self.layers = nn.ModuleList(Layer(width, 4) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, embedding)
        self.drop = nn.Dropout(0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        real = (tokens != 0).float()  # (N, L)
        bias = ((real - 1) * 1e4)[:, None, None, :]
        x = self.drop(self.tokens(tokens) + self.positions[: tokens.shape[1]])  # (N, L, width)
        for layer in self.layers:
            x = layer(x, bias)
        x = self.norm(x) * real[:, :, None]
        x = x.sum(dim=1) / real.sum(dim=1, keepdim=True).clamp(min=1)  # (N, width)
        vectors: Tensor = self.project(x)  # (N, D)
        return vectors


class SmallClip(nn.Module):
    """Both towers and the logit scale; implements the `Engine` protocol of serving."""

    name = "torch"

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.image = ImageTower(options.widths, options.depths, options.embedding_size, options.stem_stride)
        self.text = TextTower(
            options.vocabulary_size,
            options.context_length,
            options.text_width,
            options.text_layers,
            options.embedding_size,
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(12.0)))

    def scale(self) -> Tensor:
        """Return the logit scale, clamped to at most 40."""
        return self.log_scale.exp().clamp(max=40.0)

    @torch.no_grad()
    def encode_pixels(self, pixels: Floats) -> Floats:
        """Encode normalised pictures (N, 3, S, S) as served embeddings (N, D), with test-time augmentation."""
        found: Floats = FlipTTA(self.image)(torch.from_numpy(pixels).to(self.log_scale.device)).cpu().numpy()
        return found

    @torch.no_grad()
    def encode_tokens(self, tokens: npt.NDArray[np.int64]) -> Floats:
        """Encode token ids (N, L) as embeddings (N, D)."""
        found: Floats = self.text(torch.from_numpy(tokens).to(self.log_scale.device)).cpu().numpy()
        return found
