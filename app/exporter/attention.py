"""Attention of CLIP's transformers, rewritten for small, fast ONNX graphs.

torch's own is exported with some twenty shape computations per layer and two multiplications by the scale. Here a layer
is four matrix products and a softmax, which runtimes recognise. The results are equal: the scale is folded into the
queries' weights, and a tower that reads only its first row computes only that row in the last layer.
"""

from typing import Any

from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Computes what nn.MultiheadAttention does, with the call signature that open_clip uses."""

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__()
        self.heads, self.width = original.num_heads, original.head_dim
        scale = self.width**-0.5
        weights = original.in_proj_weight.detach().chunk(3)  # three of (D, D)
        biases = original.in_proj_bias.detach().chunk(3)  # three of (D,)
        self.query = _linear(weights[0] * scale, biases[0] * scale)
        self.key = _linear(weights[1], biases[1])
        self.value = _linear(weights[2], biases[2])
        self.out = original.out_proj

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **_: bool
    ) -> tuple[Tensor, None]:
        """Map queries (N, Q, D), keys and values (N, L, D), mask (Q, L) or (N x H, Q, L) to (N, Q, D)."""
        q = self._heads(self.query(query))  # (N, H, Q, W)
        k = self._heads(self.key(key))  # (N, H, L, W)
        v = self._heads(self.value(value))  # (N, H, L, W)
        logits = q @ k.transpose(-1, -2)  # (N, H, Q, L)
        if attn_mask is not None:
            logits = logits + (
                attn_mask if attn_mask.dim() == 2 else attn_mask.reshape(-1, self.heads, *attn_mask.shape[1:])
            )
        mixed = logits.softmax(-1) @ v  # (N, H, Q, W)
        return self.out(mixed.transpose(1, 2).flatten(2)), None  # (N, Q, D)

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], self.heads, self.width).transpose(1, 2)  # (N, L, D) -> (N, H, L, W)


class FirstRowBlock(nn.Module):
    """The last transformer block of a tower that reads only its first row."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, **_: None) -> Tensor:
        """Map (N, L, D) to (N, 1, D), without a mask."""
        block, first = self.block, x[:, :1]  # (N, 1, D)
        normed = block.ln_1(x)  # (N, L, D)
        first = first + block.ls_1(block.attn(normed[:, :1], normed, normed)[0])
        last: Tensor = first + block.ls_2(block.mlp(block.ln_2(first)))
        return last


def is_plain(attention: nn.MultiheadAttention) -> bool:
    """Return whether SelfAttention is equivalent: one input, biases, batch first, nothing added."""
    packed = attention.in_proj_weight is not None and attention.in_proj_bias is not None
    return packed and attention.batch_first and attention.bias_k is None and not attention.add_zero_attn


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(1, 1, device="meta")
    layer.weight, layer.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
    return layer
