"""A bulk run on a Ray cluster, in a separate network namespace.

Ray opens ports on every address, regardless of its options. So the cluster, the command and their child processes run
in a network namespace with only 127.0.0.1, and in a process namespace that ends with the test.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.__main__ import main
from tests.bulk.conftest import BROKEN, GOOD, write_parquet
from tests.bulk.test_command import answers, reasons
from tests.fakes import as_bytes, picture
from tests.untested import untested

ROOT = Path(__file__).parents[2]
ALONE = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
START = "ip link set lo up && $PYTHON -m ray.scripts.scripts start --head --node-ip-address=127.0.0.1 --num-cpus=2 \
--object-store-memory=100000000 --include-dashboard=false --disable-usage-stats --temp-dir=$RAY_FOLDER >&2"


def missing() -> str | None:
    """Return why the test cannot run here."""
    if importlib.util.find_spec("ray") is None:
        return "Ray is not there: install it with `pip install -r requirements-ray.txt`"
    if not shutil.which("ip") or subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], check=False).returncode:
        return "a network namespace cannot be made: run the tests as root, with util-linux and iproute2 installed"
    return None


@pytest.fixture
def on_cluster(home, tmp_path_factory):
    """Run `python -m app bulk WORDS... --ray auto` on a fresh local cluster."""
    if reason := missing():
        untested("bulk on Ray", reason)
    folder = tmp_path_factory.mktemp("ray")  # a short path: Ray keeps its sockets there
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "RAY_FOLDER": str(folder)}

    def run(*words: str) -> subprocess.CompletedProcess:
        command = f"{START} && $PYTHON -m app bulk {' '.join(words)} --ray auto"
        return subprocess.run(
            [*ALONE, "bash", "-c", command], env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def test_a_cluster_goes_on_where_one_machine_ended(on_cluster, home, photos, monkeypatch):
    """Each good file or row is in the output once, and each bad one has its reason."""
    monkeypatch.setenv("LARDER_ENGINE", "onnxruntime")  # it starts the soonest
    main(["bulk", "classify", "photos", "--out", "out"])
    colours = ["red", "green", "blue"] * 5
    write_parquet(photos / "test.parquet", [*[as_bytes(picture(colour)) for colour in colours], b"no picture"])
    (photos / "new.png").write_bytes(as_bytes(picture("green")))
    ran = on_cluster("classify", "photos", "--out", "out", "--json")
    assert ran.returncode == 1, ran.stderr
    new = {f"test.parquet:{number}": colour for number, colour in enumerate(colours)} | {"new.png": "green"}
    assert sorted(answers()) == sorted((GOOD | new).items())
    assert reasons().keys() == BROKEN.keys() | {"test.parquet:15"}
    assert BROKEN["photo.tif"][1] in reasons()["photo.tif"]
    summary = json.loads(ran.stdout)
    assert (summary["good"], summary["bad"], summary["done_before"]) == (16, 7, 4)
