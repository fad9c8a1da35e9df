"""Options are saved, read and changed without loss."""

from pathlib import Path

import pytest

from app.errors import TrainingError
from app.training.options import Options


def test_options_come_back_from_json(tmp_path: Path):
    """The saved options are those that the run got."""
    options = Options(seed=7, sizes=(32, 64))
    options.save(tmp_path / "options.json")
    assert Options.load(tmp_path / "options.json") == options


def test_settings_are_json():
    """A setting replaces one field; lists become tuples."""
    assert Options().changed(["mix_share=0.1", "sizes=[64]"]) == Options(mix_share=0.1, sizes=(64,))


def test_options_of_another_version_are_refused(tmp_path: Path):
    """The message names the unknown options, so that a run of another network is not resumed."""
    (tmp_path / "options.json").write_text('{"seed": 1, "groceries_per_step": 64}')
    with pytest.raises(TrainingError, match="is of another version, with groceries_per_step: train again"):
        Options.load(tmp_path / "options.json")
