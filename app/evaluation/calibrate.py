"""The commands that measure a bundle's confidence: `calibrate` fits it to data, `confidence` uses it unchanged."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from app.errors import EvaluationError
from app.evaluation.confidence import (
    DRAWN_NAME,
    FIT_SEED,
    REPORT_SEED,
    Confidence,
    drawn_pictures,
    fit,
    gather,
    judge,
    words,
)
from app.evaluation.data import folder_classes, read_classes, read_files, read_pictures, shown
from app.evaluation.model import open_measured
from app.model.bundle import update_config
from app.recognition.vocabulary import read_prompts

NUMBERS = {
    "temperature": "temperature",
    "calibration error": "calibration_error",
    "negative log likelihood": "negative_log_likelihood",
    "margin of known": "known_margin",
    "labelled pictures known": "true_positive_rate",
}


def run(options: argparse.Namespace, data: Path) -> int:
    """Run either command; `data` is the cache of compiled models. Returns the exit status."""
    writing = options.command == "calibrate"
    labels = read_classes(options.classes) if options.classes else folder_classes(options.data)
    labelled = read_pictures(options.data, labels)
    drawn = {DRAWN_NAME: drawn_pictures(FIT_SEED if writing else REPORT_SEED)}
    others = drawn | {shown(path): read_files(path) for path in options.others}
    model = open_measured(options.bundle, data)
    now = model.config.calibration
    if now is None and not writing:
        raise EvaluationError(
            f"{model.bundle.folder} is not calibrated: python -m app.evaluation calibrate {options.bundle}"
        )
    spoken = words(model, labels, read_prompts(options.templates), read_prompts(options.background))
    found = gather(model, spoken, labelled, others)
    columns = {"now" if not writing else "before": judge(found, now)}
    if writing:
        chosen = {"known_margin": options.known_margin, "label_cosine": options.label_cosine}
        told = {name: value for name, value in chosen.items() if value is not None}
        if not options.others:  # drawn pictures alone do not measure out-of-distribution detection
            told.setdefault("known_margin", now.known_margin if now else None)
        calibration = fit(found).model_copy(update=told)
        update_config(model.bundle.folder, calibration=calibration)
        columns["after"] = judge(found, calibration)
    print(json.dumps({name: asdict(each) for name, each in columns.items()}) if options.json else table(columns))
    return 0


def table(columns: dict[str, Confidence]) -> str:
    """Format one line per figure, with a column for each calibration."""
    every = list(columns.values())
    lines = [
        f"{every[0].pictures} labelled pictures, {every[0].labels} labels, top-1 {every[0].top_1:.1%}",
        f"{'':<60}" + "".join(f"{name:>10}" for name in columns),
        *(_line(name, [getattr(each, field) for each in every]) for name, field in NUMBERS.items()),
    ]
    for same in zip(*(each.known for each in every), strict=True):
        lines.append(_line(f"AUROC of known against {same[0].others}", [each.auroc for each in same]))
        lines.append(_line(f"  wrongly known of {same[0].pictures}", [each.false_positive_rate for each in same]))
    return "\n".join(lines)


def _line(name: str, values: list[float | None]) -> str:
    return f"{name:<60}" + "".join(f"{'-' if value is None else f'{value:.4f}':>10}" for value in values)
