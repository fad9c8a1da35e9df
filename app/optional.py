"""Optional dependencies, with an install hint when one is missing."""

import importlib.util

from app.errors import StartError


def need(what: str, modules: tuple[str, ...], requirements: str) -> None:
    """Raise StartError if one of the modules is not installed.

    >>> need("magic", ("math", "wand"), "requirements-magic.txt")
    Traceback (most recent call last):
    app.errors.StartError: magic needs wand: pip install -r requirements-magic.txt
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise StartError(f"{what} needs {', '.join(missing)}: pip install -r {requirements}")
