"""CLIP with a vision transformer, as open_clip publishes it: configuration, weights, forward pass.

Needs neither torch nor open_clip. The forward pass is the plain computation in numpy, and the graphs of
`app.exporter.clip_graph` are compared with it before a bundle is kept.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from app.errors import ExportError
from app.model.engines import Floats

T = TypeVar("T")

# open_clip's other options, with the values that disable them
_NEUTRAL = {
    "ls_init_value": None, "no_ln_pre": False, "final_ln_after_pool": False, "output_tokens": False,
    "act_kwargs": None, "norm_kwargs": None, "block_type": None, "qk_norm": False, "scaled_cosine_attn": False,
    "scale_heads": False, "scale_attn_inner": False, "scale_attn": False, "scale_fc": False, "attentional_pool": False,
    "timm_model_name": None, "hf_model_name": None, "hf_tokenizer_name": None, "tokenizer_mode": None,
    "tokenizer_kwargs": None, "embed_cls": False, "no_causal_mask": False, "proj_bias": False, "proj_type": "linear",
}  # fmt: skip
_NEUTRAL_VISION = _NEUTRAL | {"pool_type": "tok", "pos_embed_type": "learnable"}
_NEUTRAL_TEXT = _NEUTRAL | {"pool_type": "argmax"}
_TRAINING = {
    "custom_text", "init_logit_scale", "init_logit_bias", "nonscalar_logit_scale", "cast_dtype", "output_dict",
    "patch_dropout", "attn_pooler_queries", "attn_pooler_heads", "timm_model_pretrained", "timm_pool", "timm_proj",
    "timm_proj_bias", "timm_drop", "timm_drop_path", "hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "pad_id",
    "eos_id",
}  # fmt: skip
"""Options without effect on a trained model."""
_BESIDE = {"input_resolution", "context_length", "vocab_size", "attn_mask"}  # entries of some files that are no weights


@dataclass(frozen=True)
class Tower:
    """One transformer's dimensions."""

    width: int
    heads: int
    layers: int
    hidden: int
    """Hidden width of a block's MLP."""


@dataclass(frozen=True)
class ClipConfig:
    """The `model_cfg` of an open_clip_config.json."""

    embed_dim: int
    quick_gelu: bool
    image_size: int
    patch_size: int
    context_length: int
    vocab_size: int
    vision: Tower
    text: Tower

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Return the name and shape of each weight, as open_clip names them."""
        vision, text, patches = self.vision, self.text, (self.image_size // self.patch_size) ** 2
        yield "visual.class_embedding", (vision.width,)
        yield "visual.positional_embedding", (patches + 1, vision.width)
        yield "visual.conv1.weight", (vision.width, 3, self.patch_size, self.patch_size)
        yield "visual.proj", (vision.width, self.embed_dim)
        for norm in ("visual.ln_pre", "visual.ln_post"):
            yield from ((f"{norm}.{part}", (vision.width,)) for part in ("weight", "bias"))
        yield from _block_shapes("visual.transformer.", vision)
        yield "positional_embedding", (self.context_length, text.width)
        yield "token_embedding.weight", (self.vocab_size, text.width)
        yield "text_projection", (text.width, self.embed_dim)
        yield from ((f"ln_final.{part}", (text.width,)) for part in ("weight", "bias"))
        yield from _block_shapes("transformer.", text)
        yield "logit_scale", ()


def read_clip_config(model: Mapping[str, Any]) -> ClipConfig:
    """Read the `model_cfg` of an open_clip_config.json; raises ExportError, one line, for all but a plain CLIP ViT."""
    vision, text = model.get("vision_cfg"), model.get("text_cfg")
    if not isinstance(vision, dict) or not isinstance(text, dict):
        raise ExportError("the configuration has no vision_cfg and text_cfg, as open_clip's have")
    _only_plain(model, "model_cfg", {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg"}, {})
    sizes = {"image_size", "patch_size", "width", "layers", "head_width", "mlp_ratio"}
    _only_plain(vision, "vision_cfg", sizes, _NEUTRAL_VISION)
    sizes = {"context_length", "vocab_size", "width", "layers", "heads", "mlp_ratio"}
    _only_plain(text, "text_cfg", sizes, _NEUTRAL_TEXT)
    width, text_width = _size(vision, "width", 768), _size(text, "width", 512)
    return ClipConfig(
        embed_dim=_size(model, "embed_dim"),
        quick_gelu=bool(model.get("quick_gelu", False)),
        image_size=_size(vision, "image_size", 224),
        patch_size=_size(vision, "patch_size", 16),
        context_length=_size(text, "context_length", 77),
        vocab_size=_size(text, "vocab_size", 49408),
        vision=_tower(vision, width, width // _size(vision, "head_width", 64)),
        text=_tower(text, text_width, _size(text, "heads", 8)),
    )


def _only_plain(part: Mapping[str, Any], name: str, known: set[str], neutral: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if key in known or key in _TRAINING or (key in neutral and value in (neutral[key], None, {})):
            continue
        raise ExportError(f"{name}.{key} is {value!r}: this is not a plain CLIP ViT, and needs PyTorch for its export")


def _size(part: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = part.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 2**20:
        raise ExportError(f"{key} of the configuration is {value!r}; a positive whole number was expected")
    return value


def _tower(part: Mapping[str, Any], width: int, heads: int) -> Tower:
    layers, ratio = _size(part, "layers", 12), part.get("mlp_ratio", 4.0)
    if heads < 1 or width % heads or not isinstance(ratio, (int, float)) or not 0 < ratio <= 64:
        raise ExportError(f"the configuration has {heads} heads and an mlp_ratio of {ratio!r} for a width of {width}")
    return Tower(width, heads, layers, int(width * ratio))


def _block_shapes(prefix: str, tower: Tower) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, hidden = tower.width, tower.hidden
    matrices = {
        "attn.in_proj_": (3 * width, width), "attn.out_proj.": (width, width),
        "mlp.c_fc.": (hidden, width), "mlp.c_proj.": (width, hidden),
    }  # fmt: skip
    for layer in range(tower.layers):
        block = f"{prefix}resblocks.{layer}."
        for name, shape in matrices.items():
            yield f"{block}{name}weight", shape
            yield f"{block}{name}bias", shape[:1]
        for norm in ("ln_1", "ln_2"):
            yield from ((f"{block}{norm}.{part}", (width,)) for part in ("weight", "bias"))


def without_wrappers(weights: Mapping[str, T]) -> dict[str, T]:
    """Rename weights to the model's own names, without the prefixes of wrappers.

    torch.compile's `_orig_mod.` may occur anywhere in a name. A first component that all names share belongs to a
    wrapper, such as `module.` of DistributedDataParallel: a CLIP has parameters outside of its towers.
    """
    plain = {name.replace("_orig_mod.", ""): value for name, value in weights.items()}
    while len({name.partition(".")[0] for name in plain}) == 1 and all("." in name for name in plain):
        plain = {name.partition(".")[2]: value for name, value in plain.items()}
    return plain


@dataclass(frozen=True)
class ClipViT:
    """A model with its float32 weights under open_clip's names."""

    config: ClipConfig
    weights: Mapping[str, Floats]
    logit_scale: float
    """The factor on cosine similarities, not its logarithm."""
    logit_bias: float | None = None
    """Bias of a model trained with the sigmoid loss."""

    def encode_pixels(self, pixels: Floats) -> Floats:
        """Encode preprocessed pictures (N, 3, S, S) as embeddings (N, D), not normalised."""
        w, size = self.weights, self.config.patch_size
        n, cells, width = len(pixels), pixels.shape[-1] // size, self.config.vision.width
        patches = pixels.reshape(n, 3, cells, size, cells, size).transpose(0, 2, 4, 1, 3, 5)  # (N, C, C, 3, P, P)
        x = patches.reshape(n, cells**2, -1) @ w["visual.conv1.weight"].reshape(width, -1).T  # (N, L - 1, W)
        x = np.concatenate([np.broadcast_to(w["visual.class_embedding"], (n, 1, width)), x], axis=1)  # (N, L, W)
        x = self._norm(x + w["visual.positional_embedding"], "visual.ln_pre")
        x = self._blocks(x, "visual.transformer.", self.config.vision, None)
        return np.asarray(self._norm(x[:, 0], "visual.ln_post") @ w["visual.proj"])

    def encode_tokens(self, tokens: np.ndarray) -> Floats:
        """Encode token ids (N, L) as embeddings (N, D), read at the end of text: the first of the highest ids."""
        w, length = self.weights, tokens.shape[1]
        x = w["token_embedding.weight"][tokens] + w["positional_embedding"][:length]  # (N, L, W)
        mask = np.triu(np.full((length, length), -np.inf, np.float32), 1)
        x = self._blocks(x, "transformer.", self.config.text, mask)
        x = self._norm(x[np.arange(len(x)), tokens.argmax(axis=1)], "ln_final")  # (N, W)
        return np.asarray(x @ w["text_projection"])

    def _blocks(self, x: Floats, prefix: str, tower: Tower, mask: Floats | None) -> Floats:
        for layer in range(tower.layers):
            block = f"{prefix}resblocks.{layer}."
            x = x + self._attention(self._norm(x, block + "ln_1"), block + "attn.", tower.heads, mask)
            hidden = self._linear(self._norm(x, block + "ln_2"), block + "mlp.c_fc.")
            x = x + self._linear(self._activation(hidden), block + "mlp.c_proj.")
        return x

    def _attention(self, x: Floats, name: str, heads: int, mask: Floats | None) -> Floats:
        n, length, width = x.shape
        joined = self._linear(x, name + "in_proj_").reshape(n, length, 3, heads, width // heads)
        q, k, v = joined.transpose(2, 0, 3, 1, 4)  # each (N, H, L, W / H)
        logits = q @ k.swapaxes(-1, -2) / np.float32(math.sqrt(width // heads))  # (N, H, L, L)
        logits = logits if mask is None else logits + mask
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        mixed = powers / powers.sum(axis=-1, keepdims=True) @ v  # (N, H, L, W / H)
        return self._linear(mixed.swapaxes(1, 2).reshape(n, length, width), name + "out_proj.")

    def _linear(self, x: Floats, name: str) -> Floats:
        return np.asarray(x @ self.weights[name + "weight"].T + self.weights[name + "bias"])

    def _norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(1e-5))
        return np.asarray(scaled * self.weights[name + ".weight"] + self.weights[name + ".bias"])

    def _activation(self, x: Floats) -> Floats:
        if self.config.quick_gelu:
            return np.asarray(x / (1 + np.exp(-1.702 * x)))
        return np.asarray(x * np.interp(x, _GRID, _NORMAL), dtype=np.float32)


_GRID = np.linspace(-6, 6, 2**16 + 1)  # between two points the distribution is linear within 1e-8
_NORMAL = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in _GRID])


def make_clip(config: ClipConfig, tensors: Mapping[str, np.ndarray]) -> ClipViT:
    """Build the model of a configuration with the weights of a file.

    Raises ExportError, one line, if a weight is missing, unexpected, of another shape, or not finite.
    """
    found = {name.removeprefix("text."): tensor for name, tensor in without_wrappers(tensors).items()}
    scale, bias = found.get("logit_scale"), found.pop("logit_bias", None)
    if scale is not None and scale.size == 1:
        found["logit_scale"] = scale.reshape(())
    expected = dict(config.shapes())
    if missing := [name for name in expected if name not in found]:
        raise ExportError(f"the weights lack {_some(missing)}, which the configuration asks for")
    if more := sorted(found.keys() - expected.keys() - _BESIDE):
        raise ExportError(f"the weights have {_some(more)}, which a plain CLIP ViT does not have")
    for name, shape in expected.items():
        if found[name].shape != shape:
            raise ExportError(f"the weight {name} is {found[name].shape}; the configuration asks for {shape}")
    weights = {name: np.asarray(found[name], np.float32, order="C") for name in expected}
    if broken := [name for name, weight in weights.items() if not np.isfinite(weight).all()]:
        raise ExportError(f"the weights {_some(broken)} are not finite")
    factor = read_scale(float(weights["logit_scale"]))
    return ClipViT(config, weights, factor, None if bias is None else float(bias.reshape(-1)[0]))


def read_scale(logarithm: float) -> float:
    """Return the factor of a logit scale; raises ExportError if a softmax cannot be computed with it."""
    factor = math.exp(min(logarithm, 100))
    if not 0 < factor < 1e6:
        raise ExportError(f"the weights' logit_scale is exp({logarithm:.4g}); a finite one below a million is needed")
    return factor


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
