"""The bundle that comes with the checkout: what `make run` serves answers the README's first request."""

import base64
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.bundle import find_bundle, open_bundle
from app.main import create_app
from app.settings import Settings
from samples.draw import KEPT
from tests.conftest import wait_until

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The service as it starts without any setting, but for its data folder."""
    with TestClient(create_app(Settings(data=tmp_path_factory.mktemp("data")))) as client:
        wait_until(lambda: client.get("/").status_code == 200, seconds=30)
        yield client


def ask(service, name: str) -> dict:
    data = base64.b64encode((ROOT / "samples" / f"{name}.jpg").read_bytes()).decode()
    return service.post("/process-image", json={"image_data": data}).json()


def test_the_first_request_of_the_readme_is_a_banana(service):
    """The README's picture is what its file is called, and known to be one of the labels."""
    answer = ask(service, "banana")
    assert answer["item"] == "banana"
    assert answer["known"] is True
    assert answer["model"] == "larder-small"
    assert answer["label_count"] > 120


@pytest.mark.parametrize("name", KEPT)
def test_samples_are_what_they_are_called(service, name):
    """Drawn groceries, with seeds that training never saw, are recognised."""
    assert ask(service, name.replace(" ", "-"))["item"] == name


def test_it_is_small():
    """The bundle is at most 16 MB, and calibrated, for labels by themselves too."""
    folder = find_bundle("larder-small")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 16e6
    assert open_bundle(folder).config.calibration.label_cosine is not None
