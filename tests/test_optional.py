"""If a library is not installed, commands and settings say in one line how to install it."""

import importlib.util

import pytest

from app.components import open_contents, open_followers, open_model
from app.errors import LarderError
from app.metrics import Metrics
from app.pantry.none import NoPantry
from app.settings import Settings
from tests.fakes import colour_model


@pytest.fixture(autouse=True)
def _not_installed(monkeypatch):
    """Simulate that no package is installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


def test_an_open_clip_model_needs_torch():
    """Only `open_clip:` needs it; bundles run without."""
    message = "open_clip:ViT-B-32/none needs torch, open_clip: pip install -r requirements-model.txt"
    with pytest.raises(LarderError, match=message):
        open_model(Settings(model="open_clip:ViT-B-32/none"))


def test_milvus_needs_its_client(encoder):
    """The error names the setting and the package."""
    message = "LARDER_CONTENTS=milvus:// needs pymilvus: pip install -r requirements-milvus.txt"
    with pytest.raises(LarderError, match=message):
        open_contents(Settings(contents="milvus://127.0.0.1:1/c"), colour_model(encoder, None))


def test_mqtt_needs_its_client():
    """The error says how to install it."""
    message = "LARDER_MQTT needs aiomqtt: pip install -r requirements-mqtt.txt"
    with pytest.raises(LarderError, match=message):
        open_followers(Settings(mqtt="mqtt://127.0.0.1"), NoPantry(), Metrics())


def test_training_needs_torch(capsys):
    """The command ends with status 2."""
    from app.training.__main__ import main

    assert main(["train", "photos"]) == 2
    assert capsys.readouterr().err == "larder: training needs torch: pip install -r requirements-model.txt\n"


def test_evaluation_needs_pyarrow(capsys):
    """The command ends with status 2."""
    from app.evaluation.__main__ import main

    assert main(["calibrate", "tiny", "--data", "photos", "--classes", "labels.txt"]) == 2
    assert capsys.readouterr().err == "larder: evaluation needs pyarrow: pip install -r requirements-model.txt\n"
