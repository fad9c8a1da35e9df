"""Print what an image consists of, in MB; run by a Python in the image, with the standard library alone.

    docker run --rm --interactive --user 0 larder:0.2.0 python - < infra/contents.py

Each package that pip installed has a line; the last lines are sums, and files without a package are from the base
image.
"""

import os
import stat
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path


def files(root: Path) -> Iterator[Path]:
    """Yield every file of a file system."""
    device = root.stat().st_dev
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if os.lstat(f"{folder}/{name}").st_dev == device]
        yield from (path for name in names if stat.S_ISREG((path := Path(folder, name)).lstat().st_mode))


def size(paths: Iterator[Path]) -> float:
    """Format bytes as MB."""
    return sum(path.stat().st_size for path in paths) / 1e6


def packages() -> dict[str, float]:
    """Return MB by package, the largest first."""
    found = {
        package.name: size(path for file in package.files or () if (path := Path(str(file.locate()))).is_file())
        for package in distributions()
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def main() -> None:
    """Print the table."""
    by_package = packages()
    installed, service, bundle = sum(by_package.values()), size(files(Path.cwd())), size(files(Path.cwd() / "models"))
    whole = size(files(Path("/")))
    sums = {
        "packages": installed,
        "the service": service - bundle,
        "the base image": whole - installed - service,
        "in all, without the bundle": whole - bundle,
        "the bundle": bundle,
    }
    for name, megabytes in (by_package | sums).items():
        print(f"{megabytes:8.1f}  {name}")


if __name__ == "__main__":
    main()
