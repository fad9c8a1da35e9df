"""The pretrained CNN baseline: EfficientNet-Lite0, fine-tuned like the tower of larder-small."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from app.evaluation.cnn import Predictions, answer
from app.evaluation.data import Splits
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.training.data import Classes, decoded, read_pictures
from app.training.data import Pictures as Stored
from app.training.tower.features import image_form
from app.training.tower.network import FROZEN, SIZES, Front, pretrained
from app.training.tower.options import Stage, TowerOptions
from app.training.tower.pictures import STORED, Source
from app.training.tower.train import Trainer, run

OPTIONS = TowerOptions(network="lite0", stages=(Stage(441, 224, 2, 0.0), Stage(189, 224, 2, 0.0, 1.0, 0.0)), coarse=0.0)


def tune_baseline(
    splits: Splits, backgrounds: Path, keep: Path, command: str, seed: int = 0, options: TowerOptions = OPTIONS
) -> tuple[Predictions, dict[str, Tensor]]:
    """Train once in the folder `keep`, or resume a run there; returns the predictions and the weights.

    `backgrounds` is a parquet file of everyday pictures that groceries are pasted onto.
    """
    began = time.process_time()
    options, count = replace(options, seed=seed), len(splits.classes)
    classes = Classes(np.arange(count), [label.name for label in splits.classes])
    groceries = Stored(decoded(splits.train.files, STORED), splits.train.labels)
    source = Source(groceries, read_pictures(backgrounds, 32, slice(0, None, 25)), classes, options)
    trainer = Trainer(options, source)
    keep.mkdir(parents=True, exist_ok=True)
    run(trainer, keep)
    epochs = round(options.steps / source.per_epoch)
    front = Front(pretrained(options.network), FROZEN[options.network])
    network = nn.Sequential(front, trainer.average.tail, trainer.average.names)
    preparer = Preparer(image_form(options.network), ImageLimits())
    predictions = Predictions(
        architecture=f"efficientnet_{options.network}",
        pretrained=True,
        size=SIZES[options.network],
        train_size=options.stages[0].size,
        epochs=epochs,
        cpu_minutes=round((time.process_time() - began) / 60, 1),
        command=command,
        digest=splits.digest(),
        val=answer(network, preparer, splits.val),
        test=answer(network, preparer, splits.test),
    )
    return predictions, trainer.average.state_dict()
