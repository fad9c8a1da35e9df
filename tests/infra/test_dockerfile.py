"""What can be said of the Dockerfiles without building them."""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HADOLINT = Path(sys.executable).with_name("hadolint")
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["Dockerfile", "infra/lambda/Dockerfile"])
def test_the_linter_is_content(name):
    """Nothing is found, be it an error or a matter of style."""
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
