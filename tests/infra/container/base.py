"""Make a base image without a registry: Debian's own Python, under the name of the official image.

    python -m tests.infra.container.base [--name docker.io/library/python:3.11-slim] [--mirror http://deb.debian.org/debian]

debootstrap makes it, which needs root; podman stores it. Like a slim image it has neither manuals nor translations.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

NAME = "docker.io/library/python:3.11-slim"
PACKAGES = "ca-certificates,python3,python3-pip"
NOT_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt")


def make(root: Path, mirror: str) -> None:
    """Build Debian 12 in a folder, with `python` and `pip` as that image has them."""
    words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), mirror]
    subprocess.run(words, check=True)
    for folder in NOT_SLIM:
        shutil.rmtree(root / folder)
    (root / "usr/bin/python").symlink_to("python3")
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink()


def keep(root: Path, name: str) -> None:
    """Add a folder to podman's images."""
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packing:
        subprocess.run(["podman", "import", "--change=CMD python3", "-", name], stdin=packing.stdout, check=True)


def main() -> None:
    """Build the base and store it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default=NAME, help="what the Dockerfile asks for")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="of Debian's packages")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "root", options.mirror)
        keep(Path(folder) / "root", options.name)


if __name__ == "__main__":
    main()
