"""Adds to the contents from four threads until it is killed; imports little, because each process imports it again."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.contents import Content, VectorModel
from app.contents.local import LocalContents
from app.model.encoder import unit


def add_without_end(report: Callable[[str], None], path: Path, model: VectorModel, turn: int) -> None:
    """Report the id of each entry that was stored."""
    store = LocalContents(path, model, threads=1)

    def add(thread: int) -> None:
        rng = np.random.default_rng(thread)
        for number in range(10**9):
            id = f"{turn} {thread} {number}"
            store.put(Content(id, "text", id, metadata={"id": id}), unit(rng.normal(size=4).astype(np.float32)))
            report(id)

    threads = [threading.Thread(target=add, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    threads[0].join()
