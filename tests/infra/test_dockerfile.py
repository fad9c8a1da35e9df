"""Static checks of the Dockerfiles."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HADOLINT = Path(sys.executable).with_name("hadolint")
DOCKERFILE = (ROOT / "Dockerfile").read_text()


IMAGES = ["Dockerfile", "infra/lambda/Dockerfile", "infra/ui/Dockerfile"]
INSTALLED = [
    "requirements.txt",
    *(f"requirements-{more}.txt" for more in ("aws", "milvus", "mqtt", "otel", "ui")),
    "infra/lambda/requirements.txt",
]


def pinned(name):
    """The packages of a requirements file, with their versions, and how many hashes each has."""
    found = re.finditer(
        r"^([\w.-]+)==(\S+)((?:.*\\\n +--hash=sha256:[0-9a-f]{64})*)", (ROOT / name).read_text(), re.MULTILINE
    )
    return {(re.sub(r"[._]", "-", each[1]).lower(), each[2]): each[3].count("--hash=") for each in found}


def test_what_the_images_install_has_hashes():
    """`make hashes` was called after the last change: all of the images' packages, and no others."""
    hashes = pinned("requirements-hashes.txt")
    assert set(hashes) == {package for name in INSTALLED for package in pinned(name)}
    assert min(hashes.values()) >= 1
    assert pinned("requirements-pip.txt")["pip", "26.3"] == 2


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_installs_by_hash_from_a_base_that_may_be_pinned(name):
    """The packages of the last stage are checked against their hashes; BASE may be an image with its digest."""
    last = (ROOT / name).read_text().rpartition("\nFROM ")[2]
    assert last.partition("\n")[0].endswith("${BASE}")
    assert last.count("pip install") == last.count("pip install --no-cache-dir --require-hashes") == 2


@pytest.mark.parametrize("name", IMAGES)
def test_the_linter_is_content(name):
    """The linter reports neither errors nor style issues."""
    found = subprocess.run([HADOLINT, ROOT / name], capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("", 0)


def test_the_image_is_made_of_what_is_there():
    """Every path that the Dockerfile copies exists, and is let through by the list of what is ignored."""
    let_through = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    lines = re.findall(r"^COPY ([^-].*) \S+$", DOCKERFILE.replace("${MORE}", "requirements-aws.txt"), re.MULTILINE)
    sources = {source for line in lines for source in line.split()}
    assert sources > {"app", "labels", "models", "requirements-aws.txt"}
    for source in sources:
        assert (ROOT / source).exists()
        assert any(fnmatch(source, pattern) for pattern in let_through), source


def test_torch_stays_behind():
    """The last stage installs what serving needs, and nothing for training."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "requirements.txt" in last
    assert "requirements-model.txt" not in last
