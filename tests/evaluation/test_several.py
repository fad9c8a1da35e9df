"""Frames and shelves are measured on any bundle and any pictures."""

import json

import pytest

from app.evaluation.__main__ import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Compiled models are kept under the working folder."""
    monkeypatch.chdir(tmp_path)


def test_frames_and_shelves_are_measured(here, bundle, parquet, class_list, prompts, capsys):
    """Noisy pictures are recognised better together, and what is found on a shelf is there."""
    data = str(parquet("test.parquet", 12))
    words = [str(bundle), "--data", data, "--classes", str(class_list), "--labels", str(class_list), *prompts]
    assert main(["several", *words, "--shelves", "4", "--threshold", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 48
    assert found["together"] >= found["one_picture"] > 0.5
    assert found["precision"] > 0.5
    assert found["recall"] > 0.2


def test_the_likeness_is_written_into_the_bundle(here, bundle, parquet, class_list, prompts, capsys):
    """The mean of the pictures and the scale; a calibration that is fitted anew keeps both."""
    words = [str(bundle), "--data", str(parquet("val.parquet", 10)), "--classes", str(class_list)]
    assert main(["likeness", *words, "--scale", "0.9"]) == 2
    assert "not calibrated" in capsys.readouterr().err
    assert main(["calibrate", *words, *prompts, "--json"]) == 0
    assert main(["likeness", *words, "--scale", "0.9"]) == 0
    first = json.loads((bundle / "config.json").read_text())["calibration"]
    assert (first["example_scale"], len(first["picture_mean"])) == (0.9, 3)
    assert main(["calibrate", *words, *prompts, "--json"]) == 0
    assert json.loads((bundle / "config.json").read_text())["calibration"] == first
