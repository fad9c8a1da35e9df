"""Frames and shelves are measured on any bundle and any pictures."""

import json

import pytest

from app.evaluation.__main__ import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Keep compiled models below the working folder."""
    monkeypatch.chdir(tmp_path)


def test_frames_and_shelves_are_measured(here, bundle, parquet, class_list, prompts, capsys):
    """Noisy pictures are recognised better together, and items on shelves are found."""
    data = str(parquet("test.parquet", 12))
    words = [str(bundle), "--data", data, "--classes", str(class_list), "--labels", str(class_list), *prompts]
    assert main(["several", *words, "--shelves", "4", "--threshold", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pictures"] == 48
    assert found["together"] >= found["one_picture"] > 0.5
    assert found["precision"] > 0.5
    assert found["recall"] > 0.2
