"""The client package: the contents of its wheel, and its metadata in an index."""

import shutil
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import larder_client
import pytest

import app
from tests.client.test_client import CLIENT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """Build a wheel from a copy of the folder with `pip wheel` and the installed build tool."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(CLIENT, folder / "client", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    build = ["wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(folder), str(folder / "client")]
    subprocess.run([sys.executable, "-m", "pip", *build], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_licence_is_in_the_wheel(wheel):
    """Apache-2.0 requires a copy of the licence with every copy of the code."""
    (name,) = [name for name in wheel.namelist() if name.endswith("/licenses/LICENSE")]
    assert wheel.read(name) == (CLIENT.parent / "LICENSE").read_bytes()


def test_the_metadata_say_what_it_is(wheel):
    """They have version, licence and the typed marker; every module of the folder is included."""
    (name,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    metadata = message_from_bytes(wheel.read(name))
    assert metadata["Version"] == larder_client.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Typing :: Typed" in metadata.get_all("Classifier")
    modules = {path.name for path in Path(larder_client.__file__).parent.iterdir() if path.suffix in (".py", ".typed")}
    assert {f"larder_client/{each}" for each in modules} <= set(wheel.namelist())


def test_client_and_service_have_one_version():
    """Both are released together."""
    assert larder_client.__version__ == app.__version__
