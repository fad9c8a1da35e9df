"""Build the container image with the first available of docker, podman and buildah: `make image`.

    python -m infra.image [--with podman] [--build-arg BUNDLE=larder-small] [any other argument of the builder]

Its names are `larder`, `larder:VERSION` and `larder:REVISION`, with git's revision.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app import __version__

ROOT = Path(__file__).parents[1]
# each with a command that shows that it works here, and the build command: health checks need Docker's format
BUILDERS = {
    "docker": (["docker", "version"], ["docker", "build"]),
    "podman": (["podman", "version"], ["podman", "build", "--format", "docker"]),
    "buildah": (["buildah", "version"], ["buildah", "build", "--format", "docker", "--layers"]),
}


def find_builder(names: Sequence[str]) -> list[str]:
    """Return the build command of the first builder that works; docker without its engine does not."""
    for name in names:
        probe, build = BUILDERS[name]
        if shutil.which(name) and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return build
    raise SystemExit(f"the image cannot be built: no {' or '.join(names)} works here")


def revision() -> str:
    """Return git's name of the checkout, with `-dirty` if files were changed; `unknown` outside git."""
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def command(builder: Sequence[str], revision: str, more: Sequence[str]) -> list[str]:
    """Return the command that builds the checkout of a revision."""
    facts = [f"--build-arg=VERSION={__version__}", f"--build-arg=REVISION={revision}"]
    names = [f"--tag=larder:{tag}" for tag in ("latest", __version__, revision)]
    return [*builder, *facts, *names, *more, str(ROOT)]


def main() -> int:
    """Build; returns the builder's exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--with", dest="builder", choices=BUILDERS, help="the builder; without it, the first that works"
    )
    options, more = parser.parse_known_args()
    builder = find_builder([options.builder] if options.builder else list(BUILDERS))
    return subprocess.run(command(builder, revision(), more), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
