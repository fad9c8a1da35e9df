"""`python -m app models list|export|check`: output and exit status."""

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import BundleError, ExportError
from app.model.bundle import Bundle, find_bundle, open_bundle, read_config

if TYPE_CHECKING:
    from app.exporter.gate import EngineFactory, Row
    from app.exporter.precisions import Precision
    from app.model.engines import Engine

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
    from app.exporter.precisions import compare_precisions, open_engines

    bundle = open_bundle(find_bundle(options.bundle, options.models))
    with tempfile.TemporaryDirectory() as folder:
        engines = open_engines(bundle, Path(folder), _say)
        rows = _compare_with_original(bundle, engines, options.weights)
        _say("measuring")
        precisions = compare_precisions(bundle, engines, Path(folder), _say)
    if options.json:
        _print_json(asdict(each) | (_facts(rows[each.engine]) if rows else {}) for each in precisions)
    else:
        print(_table_of_engines(precisions, rows))
    return int(not all(row.passed or row.engine.endswith("int8") for row in rows.values()))


def _compare_with_original(bundle: Bundle, engines: "Sequence[Engine]", weights: str | None) -> "dict[str, Row]":
    """Compare each engine with what the bundle was made of, where that can be built again; else give no rows."""
    source = bundle.config.source
    if source is None:
        _say(f"{bundle.config.name} has no original in open_clip: float32 is what the engines are compared with")
        return {}
    factories: list[EngineFactory] = [partial(_given, engine) for engine in engines]
    if source.model.startswith("hf:"):
        _need(*NEEDED_FOR_HUB, file="requirements-hub.txt")
        from app.exporter.published import recheck_published

        rows = recheck_published(bundle, factories, _say)
    else:
        _need(*NEEDED, file="requirements-model.txt")
        from app.exporter.gate import check
        from app.exporter.weights import ask_original, rebuild

        rows = check(bundle, ask_original(rebuild(bundle, weights, _say)), factories, _say)
    return {row.engine: row for row in rows}


def _given(engine: "Engine", _: Bundle) -> "Engine":
    """Return an engine that is open already."""
    return engine


def _say(line: str) -> None:
    """Print a line of progress to stderr."""
    print(f"larder: {line}", file=sys.stderr, flush=True)


def _print_json(answers: Iterable[dict[str, object]]) -> None:
    for answer in answers:
        print(json.dumps(answer, ensure_ascii=False))


def _facts(row: "Row") -> dict[str, object]:
    return asdict(row) | {"wanted": row.wanted, "passed": row.passed}


def _table_of_engines(precisions: "Sequence[Precision]", rows: "Mapping[str, Row]") -> str:
    head = ("engine", "least cosine", "mean", "1 picture", "8, each", "original", "prompts", "tokens", "verdict")
    cells = []
    for each in precisions:
        row = rows.get(each.engine)
        cells.append(
            (
                each.engine + (" (auto)" if each.auto else ""),
                f"{each.least_cosine:.6f}",
                f"{each.mean_cosine:.6f}",
                f"{each.one_ms:.2f} ms",
                f"{each.batch_ms:.2f} ms",
                *(_cells_of_row(row) if row else ("-",) * 4),
            )
        )
    return _table(head, cells)


def _cells_of_row(row: "Row") -> tuple[str, ...]:
    verdict = f"{'passes' if row.passed else 'FAILS'} (>= {row.wanted} is wanted)"
    tokens = "identical" if row.same_tokens else "DIFFERENT"
    return f"{row.pictures:.7f}", f"{row.prompts:.7f}", tokens, verdict


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
