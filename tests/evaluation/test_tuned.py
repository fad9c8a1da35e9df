"""The baseline that starts from ImageNet's weights, with a run of one step."""

import numpy as np
import pytest
import torch

from app.evaluation.data import read_splits
from app.evaluation.tuned import tune_baseline
from app.training.tower.options import Stage, TowerOptions

SHORT = TowerOptions(network="lite0", stages=(Stage(1, 32, 2, 0.0),), groceries=4, warmup=1, coarse=0.0)


@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own parts
def test_the_tuned_network_answers_the_pictures_of_both_splits(tmp_path, parquet, class_list):
    """A row of logits for each picture of val and test, of other weights than ImageNet's; `keep` has the run."""
    train, val, test = ([parquet(f"{name}.parquet", each)] for name, each in (("train", 3), ("val", 1), ("test", 2)))
    splits = read_splits(train, val, test, class_list)
    backgrounds = parquet("backgrounds.parquet", 20)
    found, weights = tune_baseline(splits, backgrounds, tmp_path / "run", "make baseline", 3, SHORT)
    assert (found.architecture, found.size, found.command) == ("efficientnet_lite0", 224, "make baseline")
    assert (found.val.shape, found.test.shape) == ((4, 4), (8, 4))
    assert np.isfinite(found.val).all()
    assert found.digest == splits.digest()
    assert all(torch.isfinite(each).all() for each in weights.values())
    assert (tmp_path / "run/checkpoint.pt").is_file()
