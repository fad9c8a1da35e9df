"""Build the open_clip model of a recipe with its weights, in float32 on the CPU."""

import io
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file

from app.errors import ExportError
from app.exporter import probes
from app.exporter.checkpoint import SUFFIXES, read_checkpoint
from app.exporter.gate import Reference, Say
from app.exporter.open_clip_import import import_open_clip
from app.exporter.recipe import Recipe, read_recipe
from app.log import quiet
from app.model.bundle import Bundle, sha256_of


@dataclass(frozen=True)
class Original:
    """The reference model that a bundle must reproduce."""

    model: Any
    """open_clip's model, in evaluation mode."""
    tokenizer: Any
    """open_clip's tokenizer for it."""
    sha256: str | None
    """SHA-256 of the weights' file; None for random weights."""


def build(recipe: Recipe, say: Say) -> Original:
    """Build open_clip's model for a recipe; downloads published weights.

    Raises ExportError if the weights are not available or do not fit, or a dependency of the model is missing.
    """
    path = _download(recipe, say) if recipe.download else recipe.path
    digest = sha256_of(path) if path else None
    activation = " with QuickGELU" if recipe.quick_gelu else ""
    say(f"building {recipe.architecture}{activation}" + ("" if path else f", random weights, seed {recipe.seed}"))
    model, tokenizer = _construct(recipe)
    if path:
        say(f"loading {path.name}")
        _load(model, path)
    return Original(model.eval().requires_grad_(False), tokenizer, digest)


def ask_original(original: Original) -> Reference:
    """Encode the probes with open_clip's own transform, tokenizer and model."""
    forms, model = import_open_clip().transform, original.model
    transform = forms.image_transform_v2(forms.PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    pixels = torch.stack([transform(Image.open(io.BytesIO(data))) for data in probes.pictures()])  # (P, 3, S, S)
    tokens = original.tokenizer(probes.PROMPTS)  # (T, L)
    with torch.no_grad():
        pictures, prompts = model.encode_image(pixels, normalize=False), model.encode_text(tokens, normalize=False)
    return Reference(pictures.numpy(), prompts.numpy(), tokens.numpy())


def rebuild(bundle: Bundle, weights: str | None, say: Say) -> Original:
    """Build the open_clip model that a bundle was exported from; raises ExportError if it is not available."""
    name, source = bundle.config.name, bundle.config.source
    if source is None:
        raise ExportError(f"{name} has no original in open_clip to compare with: {bundle.config.origin}")
    pretrained, model = weights or source.pretrained, source.model
    if model.startswith("local-dir:"):
        if not weights:
            raise ExportError(
                f"{name} was made of the folder {model.partition(':')[2]}: say where it is with --weights"
            )
        model = f"local-dir:{weights}"
    elif not model.startswith("hf") and Path(pretrained).suffix in SUFFIXES and not Path(pretrained).is_file():
        raise ExportError(f"{name} was made of the file {source.pretrained}: say where it is with --weights")
    if model.startswith("hf:"):  # what needs no torch can be read by open_clip too
        model = f"hf-hub:{model.removeprefix('hf:')}"
    original = build(read_recipe(model, pretrained, source.seed or 0), say)
    if original.sha256 != source.sha256:
        raise ExportError(
            f"these are not the weights of {name}: sha256 {original.sha256} was found, "
            f"{source.sha256} is in its config.json"
        )
    return original


def _construct(recipe: Recipe) -> tuple[Any, Any]:
    """Build open_clip's model with random weights, and its tokenizer."""
    open_clip = import_open_clip()
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed or 0)
            model = open_clip.create_model(
                recipe.architecture,
                force_quick_gelu=recipe.quick_gelu,
                force_preprocess_cfg=recipe.form,
                pretrained_text=False,
                load_weights=False,
            )
            return model, open_clip.get_tokenizer(recipe.architecture)
    except ModuleNotFoundError as error:
        raise ExportError(f"{recipe.architecture} needs another package: pip install {error.name}") from error
    except Exception as error:  # every library has its own exceptions for unreachable hubs and the like
        raise ExportError(f"open_clip cannot build {recipe.architecture}: {_line(error)}") from error


def _download(recipe: Recipe, say: Say) -> Path:
    """Return the file of published weights, from the cache or the hub; resumes an interrupted download."""
    say(f"fetching the weights {recipe.pretrained} of {recipe.architecture}; it takes a minute to find no connection")
    try:
        with quiet():
            return Path(import_open_clip().pretrained.download_pretrained(recipe.download))
    except Exception as error:  # huggingface_hub, HTTP and file errors share no base
        raise ExportError(
            f"the weights {recipe.pretrained} of {recipe.model} cannot be downloaded; without a connection give "
            f"PRETRAINED=none or a checkpoint's path, otherwise try again: {_line(error)}"
        ) from error


def _load(model: Any, path: Path) -> None:
    """Load a checkpoint's weights into a model; open_clip translates the names of other projects."""
    weights = {name: tensor.contiguous().clone() for name, tensor in read_checkpoint(path).items()}
    with tempfile.TemporaryDirectory() as folder:  # in the one format that open_clip reads without executing anything
        plain = Path(folder) / "weights.safetensors"
        save_file(weights, plain)
        try:
            import_open_clip().load_checkpoint(model, str(plain), strict=True)
        except Exception as error:  # a RuntimeError of many lines, or any error of a translation
            raise ExportError(f"{path} does not fit the model: {_line(error)}") from error


_MANY_NAMES = re.compile(r'((?:"[^"]+", ){2}"[^"]+")(?:, "[^"]+")+')  # torch's lists of mismatched names


def _line(error: Exception) -> str:
    """Summarise a foreign error in one line of limited length, with at most three names of each list."""
    text = _MANY_NAMES.sub(r"\1, …", " ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 400 else text[:400] + "…"
