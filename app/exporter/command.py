"""`python -m app models list|export|check`: what each prints, and its exit status."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from app.errors import ExportError
from app.exporter.listing import Listed, list_bundles
from app.model.bundle import find_bundle, open_bundle

if TYPE_CHECKING:
    from app.exporter.gate import Row

NEEDED = ("torch", "open_clip", "onnxscript")


def run(options: argparse.Namespace) -> int:
    """Run one action; returns the exit status: 1 where a check fails."""
    if options.action == "list":
        return _list(options)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f"{', '.join(missing)} not installed: pip install -r requirements-model.txt")
    return _export(options) if options.action == "export" else _check(options)


def _list(options: argparse.Namespace) -> int:
    bundles = list_bundles(options.models)
    _print_json(map(asdict, bundles)) if options.json else print(_table_of_bundles(bundles))
    return 0


def _export(options: argparse.Namespace) -> int:
    from app.exporter.engines import onnxruntime
    from app.exporter.export import export
    from app.exporter.recipe import read_recipe

    recipe = read_recipe(options.model, options.pretrained, options.seed)
    place, row = export(recipe, options.models, onnxruntime, _say)
    if options.json:
        _print_json([{"bundle": str(place)} | _facts(row)])
    else:
        print(f"{place}: written, and equal to open_clip (least cosine {min(row.pictures, row.prompts):.7f})")
    return 0


def _check(options: argparse.Namespace) -> int:
    from app.exporter.engines import installed_engines
    from app.exporter.recheck import recheck

    bundle = open_bundle(find_bundle(options.bundle, options.models))
    rows = recheck(bundle, options.weights, installed_engines(), _say)
    _print_json(map(_facts, rows)) if options.json else print(_table_of_rows(rows))
    return int(not all(row.passed for row in rows))


def _say(line: str) -> None:
    """A line of progress, apart from the answer."""
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
    """Columns as wide as their widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
    return "\n".join(lines)
