"""Files that are whole or not there: a process that is killed while it writes leaves the former one."""

import os
from pathlib import Path
from typing import Any

import torch


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write tensors and numbers beside `path`, then put them in its place."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote, onto the processor; no code in it is run."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state
