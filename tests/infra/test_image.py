"""`make image` finds a builder, and says what it builds."""

import pytest

from app import __version__
from infra.image import BUILDERS, command, find_builder, revision


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Make programs the only ones available, each with its exit status."""

    def programs(**statuses: int) -> None:
        for name, status in statuses.items():
            (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return programs


def test_docker_needs_its_engine(programs):
    """A docker without a reachable engine is skipped."""
    programs(docker=1, podman=0, buildah=0)
    assert find_builder(list(BUILDERS))[:2] == ["podman", "build"]


def test_any_builder_will_do(programs):
    """The first working builder is used, even if others are missing."""
    programs(buildah=0)
    assert find_builder(list(BUILDERS))[:2] == ["buildah", "build"]


def test_no_builder_is_one_line(programs):
    """The error names the builders that were tried."""
    programs(docker=1)
    with pytest.raises(SystemExit, match="no docker or podman or buildah works here"):
        find_builder(list(BUILDERS))


def test_the_image_says_what_it_is_of():
    """Version and revision are its names and reach the Dockerfile; words for the builder are passed on."""
    words = command(["docker", "build"], "abc1234", ["--pull-never"])
    assert [word for word in words if word.startswith("--tag")] == [
        f"--tag=larder:{name}" for name in ("latest", __version__, "abc1234")
    ]
    assert {f"--build-arg=VERSION={__version__}", "--build-arg=REVISION=abc1234", "--pull-never"} <= set(words)


def test_the_revision_is_a_tag():
    """The revision from git has only characters that are valid in an image tag."""
    assert revision().replace("-dirty", "").isalnum()
