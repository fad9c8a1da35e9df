"""Resolve MODEL and PRETRAINED to what has to be built: architecture, activation, preprocessing.

The activation is the usual mistake: `ViT-B-32` names an architecture with GELU, but OpenAI's weights for it were
trained with QuickGELU. open_clip only warns. Here the tag decides, whichever of the two names is given.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ExportError
from app.exporter.checkpoint import SUFFIXES, is_torchscript
from app.exporter.hub import licence_of, read_licence
from app.exporter.open_clip_import import import_open_clip

QUICK = "-quickgelu"
NO_WEIGHTS = "none"
PLACES = ("hf-hub:", "local-dir:")
OWN = "that of the weights' file; it is not known here"
_FORM = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True)
class Recipe:
    """The specification of a model to build."""

    model: str
    """The model as requested."""
    pretrained: str
    """The tag, "none", or the checkpoint's file name."""
    architecture: str
    """The configuration of open_clip to build."""
    quick_gelu: bool
    """Whether QuickGELU replaces the architecture's own activation."""
    form: dict[str, Any]
    """The known preprocessing: some of mean, std, interpolation, resize_mode."""
    seed: int | None = None
    """Only for random weights."""
    download: dict[str, Any] | None = None
    """open_clip's entry for the tag: the location of its weights."""
    path: Path | None = None
    """The checkpoint's file."""

    licence: str | None = "none is needed for random numbers"
    """Licence of the weights, as their publisher states it; None: see the card at `download`."""

    @property
    def name(self) -> str:
        """Return the name of the bundle and its folder."""
        if self.model.startswith(PLACES):
            return re.sub(r"[^\w.-]+", "-", Path(self.model.partition(":")[2]).name).strip("-.") or "model"
        weights = self.path.stem if self.path else self.pretrained
        return re.sub(r"[^\w.-]+", "-", f"{self.model}-{weights}").strip("-.")


def read_recipe(model: str, pretrained: str, seed: int = 0) -> Recipe:
    """Resolve `model` and `pretrained`: a tag of open_clip's, "none", or a checkpoint's path.

    A model `hf-hub:OWNER/NAME` or `local-dir:FOLDER` has configuration and weights, and needs no `pretrained`.

    Raises ExportError, one line, for an unknown model or tag, or a missing file.
    """
    open_clip = import_open_clip()
    if model.startswith(PLACES):
        return _from_place(open_clip, model)
    name = model.replace("/", "-")
    if name not in open_clip.list_models():
        raise ExportError(_unknown_model(model, open_clip.list_models()))
    if pretrained == NO_WEIGHTS:
        return Recipe(name, pretrained, name, False, _common_form(open_clip, name), seed=seed)
    if Path(pretrained).suffix in SUFFIXES:
        return _from_file(open_clip, name, Path(pretrained))
    return _from_tag(open_clip, name, pretrained)


def _from_place(open_clip: Any, model: str) -> Recipe:
    """Resolve a folder, or a repository of the Hugging Face hub, with an open_clip_config.json beside the weights."""
    kind, _, place = model.partition(":")
    try:
        if kind == "hf-hub":
            path, licence = Path(open_clip.pretrained.download_pretrained_from_hf(place)), read_licence(place)
        else:
            path, licence = find_weights(Path(place)), licence_of(Path(place) / "README.md")
    except ExportError:
        raise
    except Exception as error:  # huggingface_hub, HTTP and file errors share no base
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"the weights of {model} are not available: {reason}") from error
    named = model if kind == "hf-hub" else f"{kind}:{Path(place).resolve().name}"
    return Recipe(named, path.name, model, False, {}, path=path, licence=licence)


def find_weights(folder: Path) -> Path:
    """Find the checkpoint in a folder of open_clip's layout; raises ExportError unless there is exactly one."""
    if not (folder / "open_clip_config.json").is_file():
        raise ExportError(f"{folder} has no open_clip_config.json")
    for suffix in SUFFIXES:
        if found := sorted(folder.glob(f"open_clip*{suffix}")) or sorted(folder.glob(f"*{suffix}")):
            break
    else:
        raise ExportError(f"{folder} has no weights ({', '.join(SUFFIXES)})")
    if len(found) > 1:
        raise ExportError(f"{folder} has several files of weights: {', '.join(path.name for path in found[:5])}")
    return found[0]


def _from_file(open_clip: Any, name: str, path: Path) -> Recipe:
    """Resolve a local checkpoint; the model's name determines its activation, except in OpenAI's own format."""
    if not path.is_file():
        raise ExportError(f"no checkpoint {path}")
    return Recipe(name, path.name, name, is_torchscript(path), _common_form(open_clip, name), path=path, licence=OWN)


def _from_tag(open_clip: Any, name: str, tag: str) -> Recipe:
    """Resolve published weights; their tag determines activation and preprocessing."""
    plain = name.removesuffix(QUICK)
    for known in (name, plain):
        entry = open_clip.get_pretrained_cfg(known, tag)
        if entry:
            break
    else:
        raise ExportError(_unknown_tag(open_clip, name, tag))
    quick = bool(entry.get("quick_gelu"))
    architecture = name if quick else plain
    if architecture not in open_clip.list_models():
        raise ExportError(f"the weights {tag} of {name} were trained with GELU, and open_clip has no {plain}")
    form = {key: entry[key] for key in _FORM if key in entry}
    return Recipe(name, tag, architecture, quick, form, download=entry, licence=None)


def _common_form(open_clip: Any, name: str) -> dict[str, Any]:
    """Return the preprocessing that all published weights of a model share; empty if they differ or are absent."""
    entries = [open_clip.get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)]
    forms = [{key: entry[key] for key in _FORM if key in entry} for entry in entries]
    return forms[0] if forms and all(form == forms[0] for form in forms) else {}


def _unknown_model(model: str, known: list[str]) -> str:
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(model.lower(), lower, n=6, cutoff=0.5)
    near = f"; close to it are {', '.join(lower[name] for name in close)}" if close else ""
    return f"open_clip has no model {model!r}{near}"


def _unknown_tag(open_clip: Any, name: str, tag: str) -> str:
    tags = dict.fromkeys(
        tag for known in (name, name.removesuffix(QUICK)) for tag in open_clip.list_pretrained_tags_by_model(known)
    )
    own = f"none, or a checkpoint's path ({', '.join(SUFFIXES)})"
    return f"{name} has no weights {tag!r}; known are {', '.join([*tags, own])}"
