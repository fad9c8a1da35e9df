"""Export an open_clip model as a bundle, compared with the original before it is kept."""

from pathlib import Path

from app.exporter.files import write_files
from app.exporter.gate import EngineFactory, Row, Say, check, require
from app.exporter.recipe import Recipe
from app.exporter.staging import check_place, write_whole
from app.exporter.weights import ask_original, build
from app.model.bundle import open_bundle


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
