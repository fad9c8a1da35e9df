"""The two towers of an open_clip model as modules with one input and one output, for any batch size.

torch's own attention is exported with some twenty shape computations per layer and two multiplications by the scale.
Here a layer is four matrix products and a softmax, which runtimes recognise. The results are equal: the scale is folded
into the queries' weights, and a tower that reads only its first row computes only that row in the last layer.
"""

import copy
import itertools
from typing import Any

import torch
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


class PictureTower(nn.Module):
    """Maps preprocessed pictures (N, 3, S, S) to embeddings (N, D)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = _lean(model)
        _read_first_row(self.model.visual)

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode as open_clip does, without normalisation."""
        embedding: Tensor = self.model.encode_image(pixels, normalize=False)
        return embedding


class TextTower(nn.Module):
    """Maps token ids (N, L) to embeddings (N, D)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = _lean(model)

    def forward(self, tokens: Tensor) -> Tensor:
        """Encode as open_clip does, without normalisation."""
        embedding: Tensor = self.model.encode_text(tokens, normalize=False)
        return embedding


class CausalTextTower(nn.Module):
    """The text tower of the original CLIP; it stops at the last end of text in the batch.

    Attention is causal, and the embedding is read at the end of text, the highest id, so the padding after it has no
    effect. A prompt of eight tokens costs a tenth of the 77 that it is padded to.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        lean = _lean(model)
        self.text = getattr(lean, "text", lean)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids (N, L) to embeddings (N, D), not normalised."""
        end = tokens.argmax(-1)  # (N,)
        length: Any = (end.max() + 1).item()
        torch._check(length >= 1)  # type: ignore[no-untyped-call]
        torch._check(length <= tokens.shape[1])  # type: ignore[no-untyped-call]
        text: Any = self.text
        x: Tensor = text.token_embedding(tokens[:, :length]) + text.positional_embedding[:length]  # (N, l, W)
        x = text.transformer(x, attn_mask=text.attn_mask[:length, :length])  # (N, l, W)
        x = x.gather(1, end[:, None, None].expand(-1, 1, x.shape[-1]))[:, 0]  # (N, W)
        x = text.ln_final(x)
        if text.text_projection is not None:
            x = text.text_projection(x) if callable(text.text_projection) else x @ text.text_projection  # (N, D)
        return x


def text_tower(model: Any) -> nn.Module:
    """Return the text tower: the one that stops early if texts are read that way, otherwise the general one."""
    text = getattr(model, "text", model)
    pooling = getattr(text, "text_pool_type", None) or getattr(text, "pool_type", None)
    causal = getattr(text, "attn_mask", None) is not None and getattr(text, "cls_emb", None) is None
    return CausalTextTower(model) if causal and pooling == "argmax" else TextTower(model)


def _lean(model: Any) -> Any:
    """Copy a model, sharing its weights, with attention rewritten for ONNX."""
    shared = {id(tensor): tensor for tensor in itertools.chain(model.parameters(), model.buffers())}
    lean = copy.deepcopy(model, shared)
    _reparameterize(lean)
    for module in list(lean.modules()):
        attention = getattr(module, "attn", None)
        if hasattr(module, "ln_1") and isinstance(attention, nn.MultiheadAttention) and is_plain(attention):
            module.attn = SelfAttention(attention)
    return lean


def _reparameterize(module: nn.Module) -> None:
    """Fuse blocks with parallel training branches (MobileOne, RepVGG, FastViT) into one convolution."""
    for child in module.children():
        if callable(merge := getattr(child, "reparameterize", None)):
            merge()
        else:
            _reparameterize(child)


def _read_first_row(visual: Any) -> None:
    """Let the last block compute only the class token if nothing else is read."""
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", [])
    class_token = getattr(visual, "pool_type", "") == "tok" and visual.attn_pool is None and not visual.output_tokens
    if class_token and blocks and isinstance(getattr(blocks[-1], "attn", None), SelfAttention):
        blocks[-1] = FirstRowBlock(blocks[-1])
