"""From MODEL and PRETRAINED to a bundle in its place, whole and proved, or to nothing at all."""

import tempfile
from pathlib import Path

from app.bundle import open_bundle
from app.errors import ExportError
from app.exporter.engines import EngineFactory
from app.exporter.files import write_files
from app.exporter.gate import Row, ask_original, check
from app.exporter.recipe import Recipe
from app.exporter.weights import Say, build


def export(recipe: Recipe, models: Path, engine: EngineFactory, say: Say) -> tuple[Path, Row]:
    """Write the bundle of a recipe under `models`; an older one of its name gives way to it at the very end.

    Raises ExportError when the weights cannot be had or the bundle fails the gate; `models` is as it was then.
    """
    place = models / recipe.name
    if place.exists() and not (place / "config.json").is_file():
        raise ExportError(f"{place} is there and is no bundle: move it away, it is not overwritten")
    original = build(recipe, say)
    models.mkdir(parents=True, exist_ok=True)
    # two levels down nothing is taken for a bundle, and a rename inside one file system is atomic
    with tempfile.TemporaryDirectory(dir=models, prefix=".export-") as staging:
        folder = Path(staging) / recipe.name
        folder.mkdir()
        write_files(recipe, original, folder, say)
        say("comparing with open_clip")
        [row] = check(open_bundle(folder), ask_original(original), [engine], say)
        if not row.passed:
            raise ExportError(
                f"{recipe.name} is refused, it does not say what open_clip says: least cosine {row.pictures:.6f} of "
                f"pictures and {row.prompts:.6f} of prompts, {row.wanted} is wanted; "
                f"tokens {'identical' if row.same_tokens else 'different'}"
            )
        _put(folder, place, Path(staging) / "old")
    return place, row


def _put(folder: Path, place: Path, old: Path) -> None:
    """Move a finished bundle to its place; what was there goes to `old`, and back if the move fails."""
    replaced = place.exists()
    if replaced:
        place.rename(old)
    try:
        folder.rename(place)
    except OSError:
        if replaced:
            old.rename(place)
        raise
