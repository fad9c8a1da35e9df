"""A bulk run on a Ray cluster: one actor for as many cores as a worker uses, each with its own model.

Only names are sent to the actors and only embeddings come back. Every node reads the source itself and needs the same
checkout and requirements, as in the container image.
"""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from app.bulk import Embedded
from app.bulk.sources import Unit
from app.bulk.stages import Worker
from app.components import open_model
from app.contents import FileFacts
from app.errors import InvalidRequest
from app.settings import Settings

_FILES = 64  # picture files given to an actor at once; of parquet one row group


def embed(
    address: str, settings: Settings, source: str, units: Sequence[Unit], done: set[str], entries: bool
) -> Iterator[Embedded]:
    """Yield what `Worker.embed` does, in any order; raises InvalidRequest if Ray or the cluster is missing."""
    if importlib.util.find_spec("ray") is None:
        raise InvalidRequest("--ray needs Ray: pip install -r requirements-ray.txt")
    import ray

    try:
        ray.init(address=address, logging_level="warning", log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise InvalidRequest(f"there is no Ray cluster at {address}: {error}") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False  # the command has its own progress bar
    most = max(1, int(ray.cluster_resources()["CPU"]) // settings.threads)
    rows = ray.data.from_items([{"units": text} for text in _groups(units)]).map_batches(
        _Actor,
        fn_constructor_args=(settings, source, done, entries),
        batch_size=1,
        num_cpus=settings.threads,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
    )
    for row in rows.iter_rows():
        vector = np.array(row["vector"], np.float32) if len(row["vector"]) else None
        file = FileFacts(*json.loads(row["file"])) if row["file"] else None
        kept = {"data": row["data"], "file": file, "thumbnail": row["thumbnail"] or None}
        yield Embedded(row["id"], row["path"], vector, row["reason"], unread=row["unread"], **kept)


class _Actor:
    """A Worker in its own process."""

    def __init__(self, settings: Settings, source: str, done: set[str], entries: bool) -> None:
        self._worker = Worker(settings, open_model(settings), source, done, entries)

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        units = [Unit(**unit) for unit in json.loads(batch["units"][0])]
        for each in self._worker.embed(units):
            vector = np.empty(0, np.float32) if each.vector is None else each.vector
            facts = {name: [getattr(each, name)] for name in ("id", "path", "reason", "data", "unread")}
            kept = {"file": [json.dumps(each.file) if each.file else ""], "thumbnail": [each.thumbnail or b""]}
            yield facts | kept | {"vector": [vector.tolist()]}


def _groups(units: Sequence[Unit]) -> Iterator[str]:
    """Group picture files, and row groups one by one, as JSON."""
    files = [unit for unit in units if unit.group is None]
    groups: list[Sequence[Unit]] = [files[start : start + _FILES] for start in range(0, len(files), _FILES)]
    groups += [[unit] for unit in units if unit.group is not None]
    return (json.dumps([asdict(unit) for unit in group]) for group in groups)
