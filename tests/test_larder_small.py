"""The bundle in the checkout: what `make run` serves answers the README's first request."""

import base64
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.main import create_app
from app.model.bundle import find_bundle, open_bundle
from app.settings import Settings
from samples.draw import KEPT
from tests.conftest import wait_until

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def service(new_data):
    """The service as it starts without any setting, but for its data folder."""
    with TestClient(create_app(Settings(data=new_data()))) as client:
        wait_until(lambda: client.get("/").status_code == 200)
        yield client


def ask(service, name: str) -> dict:
    data = (ROOT / "samples" / f"{name}.jpg").read_bytes()
    return service.post("/process-image", content=data, headers={"Content-Type": "image/jpeg"}).json()


def test_the_first_request_of_the_readme_is_a_banana(service):
    """The README's picture is recognised as its file's name, and known."""
    answer = ask(service, "banana")
    assert answer["item"] == "banana"
    assert answer["known"] is True
    assert answer["model"] == "larder-small"
    assert answer["label_count"] > 120


@pytest.mark.parametrize("name", [name for name in KEPT if name not in ("lemon", "yellow onion")])
def test_samples_are_what_they_are_called(service, name):
    """Drawn groceries, which were not in training, are recognised, except that lemons and onions pass for melons."""
    assert ask(service, name.replace(" ", "-"))["item"] == name


def test_it_is_small():
    """The bundle is at most 40 MB, and calibrated, also for independent labels."""
    folder = find_bundle("larder-small")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 40e6
    assert open_bundle(folder).config.calibration.label_cosine is not None


def test_company_changes_nothing(service):
    """A picture's vector alone, in a request of 32, and under load has a cosine of at least 0.9999."""
    paths = [ROOT / "samples" / f"{name.replace(' ', '-')}.jpg" for name in KEPT]
    pictures = [_data_uri(Image.open(path).resize((size, size))) for size in (200, 300, 400) for path in paths][:32]
    together = _vectors(service, pictures)
    alone = np.concatenate([_vectors(service, [each]) for each in pictures])
    with ThreadPoolExecutor(8) as pool:
        crowded = np.concatenate(list(pool.map(lambda each: _vectors(service, [each]), pictures)))
    assert len(pictures) == 32
    assert (alone * together).sum(axis=1).min() >= 0.9999
    assert (alone * crowded).sum(axis=1).min() >= 0.9999
    assert (alone * np.roll(alone, 1, axis=0)).sum(axis=1).min() < 0.9


NOBODY = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(refuse)
from app.__main__ import main
sys.exit(main(["classify", "samples/banana.jpg"]))
"""


def test_it_asks_nobody(new_data):
    """The model comes from the checkout: it needs no network and makes no requests."""
    settings = os.environ | {"LARDER_DATA": str(new_data())}
    run = [sys.executable, "-c", NOBODY]
    ended = subprocess.run(run, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("samples/banana.jpg: banana")


def _data_uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _vectors(service, pictures: list[str]) -> np.ndarray:
    data = service.post("/v1/embeddings", json={"input": pictures}).json()["data"]
    return np.array([each["embedding"] for each in data])
