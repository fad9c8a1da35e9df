"""Export a recipe as a verified bundle, atomically: the whole bundle or nothing."""

import ctypes
import os
import tempfile
from pathlib import Path

from app.errors import ExportError
from app.exporter.engines import EngineFactory
from app.exporter.files import write_files
from app.exporter.gate import Row, ask_original, check
from app.exporter.recipe import Recipe
from app.exporter.weights import Original, Say, build
from app.model.bundle import open_bundle

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux's renameat2


def export(recipe: Recipe, models: Path, engine: EngineFactory, say: Say) -> tuple[Path, Row]:
    """Write the bundle of a recipe under `models`, replacing an older one of the same name at the very end.

    Raises ExportError when the weights cannot be had or the bundle fails the gate; `models` is as it was then.
    """
    place = models / recipe.name
    if place.exists() and not (place / "config.json").is_file():
        raise ExportError(f"{place} is there and is no bundle: move it away, it is not overwritten")
    original = build(recipe, say)
    try:
        models.mkdir(parents=True, exist_ok=True)
        # beside its place a rename cannot fail half-way; one level down nothing is taken for a bundle
        with tempfile.TemporaryDirectory(dir=models, prefix=".export-") as staging:
            folder = Path(staging) / recipe.name
            folder.mkdir()
            row = _write_and_check(recipe, original, folder, engine, say)
            _put(folder, place)
    except OSError as error:
        raise ExportError(f"{place} cannot be written: {error.strerror or error}") from error
    return place, row


def _write_and_check(recipe: Recipe, original: Original, folder: Path, engine: EngineFactory, say: Say) -> Row:
    """Write a bundle and let it through the gate, or raise ExportError."""
    write_files(recipe, original, folder, say)
    say("comparing with open_clip")
    [row] = check(open_bundle(folder), ask_original(original), [engine], say)
    if not row.passed:
        raise ExportError(
            f"{recipe.name} is refused, it does not say what open_clip says: least cosine {row.pictures:.6f} of "
            f"pictures and {row.prompts:.6f} of prompts, {row.wanted} is wanted; "
            f"tokens {'identical' if row.same_tokens else 'different'}"
        )
    return row


def _put(folder: Path, place: Path) -> None:
    """Move a finished bundle to its place; what was there is found in `folder` afterwards."""
    if not place.exists():
        folder.rename(place)
    elif not _exchange(folder, place):
        old = folder.with_name("old")
        place.rename(old)
        try:
            folder.rename(place)
        except OSError:
            old.rename(place)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step, so that a reader always finds one; False where the system cannot."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "renameat2"):
        return False
    return bool(libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)
