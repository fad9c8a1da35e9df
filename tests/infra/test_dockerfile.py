"""What can be said of the Dockerfiles without building them."""

import re
import subprocess
import sys
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
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source for sources in re.findall(r"^COPY ([^-].*) \S+$", DOCKERFILE, re.MULTILINE) for source in sources.split()
    }
    assert copied == let_through
    assert all((ROOT / source).exists() for source in copied)


def test_torch_stays_behind():
    """The last stage installs what serving needs, and nothing for training."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "requirements.txt" in last
    assert "requirements-model.txt" not in last
