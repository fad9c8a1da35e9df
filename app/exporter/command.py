"""`python -m app models list|export|check`: output and exit status."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import BundleError, ExportError
from app.model.bundle import find_bundle, open_bundle, read_config

if TYPE_CHECKING:
    from app.exporter.gate import Row

NEEDED = ("torch", "open_clip", "onnxscript")
NEEDED_FOR_HUB = ("onnx", "safetensors", "regex")


@dataclass(frozen=True)
class Listed:
    """A folder with a config.json."""

    name: str
    """The folder's name, as LARDER_MODEL takes it."""
    megabytes: float
    embedding_size: int | None = None
    calibrated: bool | None = None
    origin: str | None = None
    damage: str | None = None
    """Why its config.json cannot be read."""


def list_bundles(models: Path) -> list[Listed]:
    """List the bundles directly under `models` by name; checksums are not verified."""
    folders = sorted(path.parent for path in models.glob("*/config.json"))
    return [_listed(folder) for folder in folders if not folder.name.startswith(".")]


def _listed(folder: Path) -> Listed:
    megabytes = round(sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6, 1)
    try:
        config = read_config(folder)
    except BundleError as error:
        return Listed(folder.name, megabytes, damage=str(error))
    return Listed(
        folder.name,
        megabytes,
        config.embedding_size,
        bool(config.calibration and config.calibration.temperature),
        config.origin,
    )


def run(options: argparse.Namespace) -> int:
    """Run one action; returns the exit status, 1 if a check fails."""
    if options.action == "list":
        return _list(options)
    return _export(options) if options.action == "export" else _check(options)


def _need(*names: str, file: str) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f"{', '.join(missing)} not installed: pip install -r {file}")


def _list(options: argparse.Namespace) -> int:
    bundles = list_bundles(options.models)
    _print_json(map(asdict, bundles)) if options.json else print(_table_of_bundles(bundles))
    return 0


def _export(options: argparse.Namespace) -> int:
    if options.model.startswith("hf:"):
        place, row = _export_published(options)
    else:
        _need(*NEEDED, file="requirements-model.txt")
        from app.exporter.export import export
        from app.exporter.gate import onnxruntime
        from app.exporter.recipe import read_recipe

        recipe = read_recipe(options.model, options.pretrained, options.seed)
        place, row = export(recipe, options.models, onnxruntime, _say)
    if options.json:
        _print_json([{"bundle": str(place)} | _facts(row)])
    else:
        print(f"{place}: written, and equal to its original (least cosine {min(row.pictures, row.prompts):.7f})")
    return 0


def _export_published(options: argparse.Namespace) -> "tuple[Path, Row]":
    _need(*NEEDED_FOR_HUB, file="requirements-hub.txt")
    from app.exporter.hub import parse_name
    from app.exporter.published import export_published

    repo, _ = parse_name(options.model)
    place = options.models / repo.partition("/")[2]
    return place, export_published(options.model, place, _say)


def _check(options: argparse.Namespace) -> int:
    from app.exporter.gate import check, installed_engines

    bundle = open_bundle(find_bundle(options.bundle, options.models))
    if bundle.config.source and bundle.config.source.model.startswith("hf:"):
        _need(*NEEDED_FOR_HUB, file="requirements-hub.txt")
        from app.exporter.published import recheck_published

        rows = recheck_published(bundle, installed_engines(), _say)
    else:
        _need(*NEEDED, file="requirements-model.txt")
        from app.exporter.weights import ask_original, rebuild

        rows = check(bundle, ask_original(rebuild(bundle, options.weights, _say)), installed_engines(), _say)
    _print_json(map(_facts, rows)) if options.json else print(_table_of_rows(rows))
    return int(not all(row.passed for row in rows))


def _say(line: str) -> None:
    """Print a line of progress to stderr."""
    print(f"larder: {line}", file=sys.stderr, flush=True)


def _print_json(answers: Iterable[dict[str, object]]) -> None:
    for answer in answers:
        print(json.dumps(answer, ensure_ascii=False))


def _facts(row: "Row") -> dict[str, object]:
    return asdict(row) | {"wanted": row.wanted, "passed": row.passed}


def _table_of_rows(rows: "Sequence[Row]") -> str:
    verdicts = [f"{'passes' if row.passed else 'FAILS'} (>= {row.wanted} is wanted)" for row in rows]
    cells = [
        (
            row.engine,
            f"{row.pictures:.7f}",
            f"{row.prompts:.7f}",
            "identical" if row.same_tokens else "DIFFERENT",
            verdict,
        )
        for row, verdict in zip(rows, verdicts, strict=True)
    ]
    return _table(("engine", "pictures", "prompts", "tokens", "verdict"), cells)


def _table_of_bundles(bundles: Sequence[Listed]) -> str:
    cells = [
        (
            each.name,
            f"{each.megabytes:,.1f} MB",
            str(each.embedding_size or "?"),
            {True: "calibrated", False: "not calibrated", None: f"DAMAGED: {each.damage}"}[each.calibrated],
        )
        for each in bundles
    ]
    return _table(("bundle", "size", "embedding", "probabilities"), cells)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Format columns as wide as their widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
    return "\n".join(lines)
