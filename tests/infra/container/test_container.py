"""The running image: its answers, its privileges, its shutdown."""

import base64
import json
import os
import tempfile
import threading
from pathlib import Path

import httpx2 as httpx

from app import __version__
from tests.conftest import wait_until
from tests.infra.container.conftest import LIMITS, PATIENCE, podman

ROOT = Path(__file__).parents[3]
BANANA = {"image_data": base64.b64encode((ROOT / "samples/banana.jpg").read_bytes()).decode()}


def test_it_answers(container):
    """It is ready, and recognises a picture."""
    assert container.client.get("/").json()["version"] == __version__
    answer = container.client.post("/process-image", json=BANANA).json()
    assert (answer["item"], answer["confident"]) == ("banana", True)


def test_it_may_do_nothing_else(container):
    """It is not root, has no capability and can get none."""
    assert container.run("id", "-u").stdout.strip() == "10001"
    status = container.run("cat", "/proc/1/status").stdout.split()
    assert status[status.index("CapBnd:") + 1] == "0000000000000000"
    assert status[status.index("NoNewPrivs:") + 1] == "1"


def test_it_writes_to_its_data_alone(container):
    """The root is read-only, the data folder stores counts, and nothing fails."""
    for place in ("/larder/new", "/tmp/new", "/new"):
        assert "Read-only file system" in container.run("touch", place).stderr
    assert container.client.put("/pantry/rice", json={"count": 3}).status_code == 200
    wait_until(lambda: "rice" in container.client.get("/labels").text, PATIENCE)
    lines = container.log().splitlines()
    assert lines
    assert all('"level": "info"' in line and "not cached" not in line and "unavailable" not in line for line in lines)


def test_its_health_check_passes(container):
    """The image contains everything that its health check needs."""
    assert container.healthy()


def test_sigterm_drains(launch):
    """Requests are answered until the port closes, the health check sees it coming, and the exit status is 0."""
    container, statuses = launch(), []

    def ask() -> None:
        with httpx.Client(base_url=container.url, timeout=30) as client:
            try:
                while True:
                    statuses.append(client.post("/process-image", json=BANANA).status_code)
            except httpx.TransportError:
                return  # the port is closed

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: len(statuses) > 5, PATIENCE)
    podman("kill", "--signal=TERM", container.name)
    wait_until(lambda: not container.healthy(), PATIENCE)
    assert podman("wait", container.name).stdout.strip() == "0"
    asking.join(PATIENCE)
    assert set(statuses) <= {200, 503}


def test_its_model_may_be_in_s3(image, bucket):
    """The bundle is fetched when the service starts, with AWS's own library."""
    model = bucket.put_folder("small", ROOT / "models/larder-small")
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")} | {
        "LARDER_MODEL": model
    }
    words = [f"--env={name}={value}" for name, value in environment.items()]
    words += ["--network=host", f"--volume={ROOT}/samples:/samples:ro", *LIMITS, image]
    command = ["python", "-m", "app", "classify", "/samples/banana.jpg", "--json"]
    assert json.loads(podman("run", "--rm", "--pull=never", *words, *command).stdout)["item"] == "banana"


def test_a_registry_gives_it_back(image, registry, tmp_path):
    """Pushed, deleted and pulled, it has the same digest."""
    place = f"{registry}/larder:try"
    podman("push", "--tls-verify=false", f"--digestfile={tmp_path}/digest", image, place)
    with tempfile.TemporaryDirectory() as folder:  # pytest's is too long a path for podman
        elsewhere = [f"--root={folder}/images", f"--runroot={folder}/run"]
        podman(*elsewhere, "pull", "--tls-verify=false", place)
        digest = podman(*elsewhere, "image", "inspect", "--format={{.Digest}}", place).stdout.strip()
        podman(*elsewhere, "image", "rm", place)
    assert digest == (tmp_path / "digest").read_text()


def test_it_is_small(image):
    """Without the bundle it has at most 700 MB, and nothing of torch."""
    script = (ROOT / "infra/contents.py").read_text()
    table = podman("run", "--rm", "--pull=never", "--user=0", *LIMITS, image, "python", "-c", script).stdout
    sizes = {
        name.strip(): float(megabytes) for megabytes, name in (line.split(maxsplit=1) for line in table.splitlines())
    }
    assert sizes["in all, without the bundle"] <= 700
    assert sizes["onnxruntime"] > 10
    assert "torch" not in sizes
