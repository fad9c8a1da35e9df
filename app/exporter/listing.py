"""List the bundles by their config.json alone."""

from dataclasses import dataclass
from pathlib import Path

from app.errors import BundleError
from app.model.bundle import read_config


@dataclass(frozen=True)
class Listed:
    """One folder with a config.json."""

    name: str
    """The folder's name, by which LARDER_MODEL takes it."""
    megabytes: float
    embedding_size: int | None = None
    calibrated: bool | None = None
    origin: str | None = None
    damage: str | None = None
    """Why its config.json cannot be read."""


def list_bundles(models: Path) -> list[Listed]:
    """The bundles directly under `models`, by name; checksums are not verified."""
    folders = sorted(path.parent for path in models.glob("*/config.json"))
    return [_listed(folder) for folder in folders if not folder.name.startswith(".")]


def _listed(folder: Path) -> Listed:
    megabytes = round(sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6, 1)
    try:
        config = read_config(folder)
    except BundleError as error:
        return Listed(folder.name, megabytes, damage=str(error))
    return Listed(folder.name, megabytes, config.embedding_size, config.calibration is not None, config.origin)
