"""Export an open_clip model as a bundle, compared with the original before it is kept."""

from pathlib import Path
from typing import Any

import torch

from app.errors import ExportError
from app.exporter.card import picture_form, write_card
from app.exporter.clip_vit import read_scale
from app.exporter.gate import EngineFactory, Row, Say, check, require
from app.exporter.graph import write_graph
from app.exporter.hub import NOT_STATED, read_licence
from app.exporter.open_clip_import import import_open_clip
from app.exporter.recipe import Recipe
from app.exporter.staging import check_place, write_whole
from app.exporter.tokenizer import make_tokenizer
from app.exporter.towers import PictureTower, text_tower
from app.exporter.weights import Original, ask_original, build
from app.model.bundle import PROBE_PROMPT, Proof, Source, make_proof, open_bundle, probe_pixels, write_config


def write_files(recipe: Recipe, original: Original, folder: Path, say: Say) -> None:
    """Write a complete bundle into an empty folder.

    Raises ExportError if a bundle cannot represent the model.
    """
    config, model = describe(recipe, original), original.model
    make_tokenizer(original.tokenizer).save(str(folder / "tokenizer.json"), pretty=False)
    size, length = config["image_size"], config["context_length"]
    say("writing the picture tower")
    _write_tower(PictureTower(model), torch.zeros(2, 3, size, size), "pixels", folder / "visual.onnx")
    say("writing the text tower")
    _write_tower(text_tower(model), torch.ones(2, length, dtype=torch.int64), "tokens", folder / "text.onnx")
    architecture = f"{recipe.architecture} of open_clip {import_open_clip().__version__}"
    write_card(
        folder, config, architecture=architecture, activation=activation(model), original="open_clip",
        bias=_bias(original),
    )  # fmt: skip
    write_config(folder, config | {"proof": _proof(original, size)})


def activation(model: Any) -> str:
    """Return the activations of a model: "QuickGELU", "GELU" or others."""
    names = {type(module).__name__ for module in model.modules()}
    found = sorted(name for name in names if name in ("QuickGELU", "GELU", "ReLU", "SiLU"))
    return " and ".join(found) or "unknown"


def _write_tower(tower: torch.nn.Module, example: torch.Tensor, name: str, path: Path) -> None:
    try:
        write_graph(tower.eval(), example, name, path)
    except Exception as error:  # torch's exporter has its own exceptions, with pages of advice
        reason = (str(error.__cause__ or error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(f"torch cannot write {path.name} of this model as a graph: {reason[:300]}") from error


def _proof(original: Original, size: int) -> Proof:
    """Compute the reference embeddings of the probes with open_clip."""
    with torch.no_grad():
        picture = original.model.encode_image(torch.from_numpy(probe_pixels(size)))  # (1, D)
        prompt = original.model.encode_text(original.tokenizer([PROBE_PROMPT]))  # (1, D)
    return make_proof(picture.numpy(), prompt.numpy())


def describe(recipe: Recipe, original: Original) -> dict[str, Any]:
    """Return config.json without proof and checksums."""
    scale, bias = read_scale(original.model.logit_scale.item()), _bias(original)
    source = Source(model=recipe.model, pretrained=recipe.pretrained, seed=recipe.seed, sha256=original.sha256)
    return {
        "format_version": 1,
        "name": recipe.name,
        "origin": _origin(recipe, original),
        "licence": recipe.licence or _published_licence(recipe),
        **picture_form(original.model.visual.preprocess_cfg),
        "context_length": original.tokenizer.context_length,
        "embedding_size": import_open_clip().get_model_config(recipe.architecture)["embed_dim"],
        "logit_scale": scale,
        "calibration": None if bias is None else {"label_cosine": -bias / scale},
        "source": source,
    }


def _bias(original: Original) -> float | None:
    """Return the bias of a model trained with the sigmoid loss; 0 if the model has none."""
    bias = getattr(original.model, "logit_bias", None)
    return bias.item() or None if bias is not None else None


def _published_licence(recipe: Recipe) -> str:
    """Return the licence on the card beside a tag's weights; call it last, because an absent hub takes time."""
    repo = str((recipe.download or {}).get("hf_hub", "")).rstrip("/")
    return read_licence(repo) if repo else NOT_STATED


def _origin(recipe: Recipe, original: Original) -> str:
    """Describe the origin of the weights in one line."""
    built = f"{recipe.model}, built by open_clip {import_open_clip().__version__}"
    if recipe.download:
        place = recipe.download.get("hf_hub") or recipe.download.get("url") or "an unknown place"
        return f"{built}, with its weights {recipe.pretrained} from {place.rstrip('/')} (sha256 {original.sha256})"
    if recipe.path:
        return f"{built}, with the weights of the file {recipe.path.name} (sha256 {original.sha256})"
    return f"{built}, with random weights, seed {recipe.seed}, torch {torch.__version__}: it has learnt nothing"


def export(recipe: Recipe, models: Path, engine: EngineFactory, say: Say) -> tuple[Path, Row]:
    """Write the bundle of a recipe under `models`, atomically replacing an older one of the same name.

    Raises ExportError if the weights are not available or the bundle fails the gate; `models` is then unchanged.
    """
    place = models / recipe.name
    check_place(place)
    original = build(recipe, say)

    def write(folder: Path) -> Row:
        write_files(recipe, original, folder, say)
        say("comparing with open_clip")
        [row] = check(open_bundle(folder), ask_original(original), [engine], say)
        require(row, recipe.name)
        return row

    return place, write_whole(place, write)
