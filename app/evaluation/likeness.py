"""The command that says how a bundle's pictures are compared with examples, and writes it into the bundle."""

import argparse
from pathlib import Path

import numpy as np

from app.errors import EvaluationError
from app.evaluation.calibrate import write_calibration
from app.evaluation.data import folder_classes, read_classes, read_pictures
from app.evaluation.model import open_measured

DIGITS = 6


def run(options: argparse.Namespace, data: Path) -> int:
    """Writes `picture_mean`, the mean over the classes of their pictures' mean vectors, and `example_scale` as given.

    `data` is where compiled models are kept. Returns the exit status.
    """
    labels = read_classes(options.classes) if options.classes else folder_classes(options.data)
    pictures = read_pictures(options.data, labels)
    model = open_measured(options.bundle, data)
    calibration = model.config.calibration
    if calibration is None:
        raise EvaluationError(
            f"{model.bundle.folder} is not calibrated: python -m app.evaluation calibrate {options.bundle}"
        )
    vectors = model.vectors(pictures.files, "pictures")
    means = [vectors[pictures.labels == label].mean(axis=0) for label in np.unique(pictures.labels)]
    mean = tuple(round(float(number), DIGITS) for number in np.mean(means, axis=0))
    likeness = {"example_scale": options.scale, "picture_mean": mean}
    write_calibration(model.bundle.folder, calibration.model_copy(update=likeness))
    print(
        f"{model.bundle.folder}: the mean of {len(vectors)} pictures, of length {np.linalg.norm(mean):.3f}, is written"
    )
    return 0
