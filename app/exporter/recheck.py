"""Re-verify an existing bundle against open_clip."""

from collections.abc import Sequence
from pathlib import Path

from app.errors import ExportError
from app.exporter.checkpoint import SUFFIXES
from app.exporter.engines import EngineFactory
from app.exporter.gate import Row, ask_original, check
from app.exporter.recipe import read_recipe
from app.exporter.weights import Original, Say, build
from app.model.bundle import Bundle


def recheck(bundle: Bundle, weights: str | None, engines: Sequence[EngineFactory], say: Say) -> list[Row]:
    """How each engine does; `weights` is the checkpoint's path where the bundle was made of one.

    Raises ExportError when the original cannot be had, EngineError when an engine cannot run the bundle.
    """
    return check(bundle, ask_original(rebuild(bundle, weights, say)), engines, say)


def rebuild(bundle: Bundle, weights: str | None, say: Say) -> Original:
    """open_clip's model that a bundle was made of; raises ExportError when it cannot be had."""
    name, source = bundle.config.name, bundle.config.source
    if source is None:
        raise ExportError(f"{name} has no original in open_clip that it could be held against: {bundle.config.origin}")
    pretrained = weights or source.pretrained
    if Path(pretrained).suffix in SUFFIXES and not Path(pretrained).is_file():
        raise ExportError(f"{name} was made of the file {source.pretrained}: say where it is with --weights")
    original = build(read_recipe(source.model, pretrained, source.seed or 0), say)
    if original.sha256 != source.sha256:
        raise ExportError(
            f"these are not the weights of {name}: sha256 {original.sha256} was found, "
            f"{source.sha256} is in its config.json"
        )
    return original
