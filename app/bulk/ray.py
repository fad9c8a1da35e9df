"""The work of a bulk run on a Ray cluster: an actor for as many processors as a worker uses, each with the model.

Only names go to the actors and only vectors come back: every node reads the source itself, and needs the same checkout
and requirements, which the container image has.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from app.bulk import Embedded
from app.bulk.sources import Unit
from app.bulk.work import Worker
from app.errors import InvalidRequest
from app.main import open_model
from app.settings import Settings

_FILES = 64  # picture files that an actor is given at once; of parquet it is given a row group


def embed(address: str, settings: Settings, source: str, units: Sequence[Unit], done: set[str]) -> Iterator[Embedded]:
    """What `Worker.embed` gives, in any order; raises InvalidRequest when there is no Ray or no cluster."""
    if importlib.util.find_spec("ray") is None:
        raise InvalidRequest("--ray needs Ray: pip install -r requirements-ray.txt")
    import ray

    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise InvalidRequest(f"there is no Ray cluster at {address}: {error}") from error
    processors = int(ray.cluster_resources()["CPU"])
    data = ray.data.from_items([{"units": list(group)} for group in _groups(units)])
    rows = data.map_batches(
        _Actor,
        fn_constructor_args=(settings, source, ray.put(done)),
        batch_size=1,
        num_cpus=settings.threads,
        concurrency=(1, max(1, processors // settings.threads)),
    ).iter_rows()
    for row in rows:
        vector = row["vector"]
        yield Embedded(row["id"], row["path"], np.array(vector, np.float32) if len(vector) else None, row["reason"])


class _Actor:
    """A Worker in a process of its own."""

    def __init__(self, settings: Settings, source: str, done: Any) -> None:
        import ray

        self._worker = Worker(settings, open_model(settings), source, ray.get(done))

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        none = np.empty(0, np.float32)
        for each in self._worker.embed(batch["units"][0]):
            vector = none if each.vector is None else each.vector
            yield {"id": [each.id], "path": [each.path], "vector": [vector], "reason": [each.reason]}


def _groups(units: Sequence[Unit]) -> Iterator[Sequence[Unit]]:
    """Picture files in groups, row groups by themselves."""
    files = [unit for unit in units if unit.group is None]
    for start in range(0, len(files), _FILES):
        yield files[start : start + _FILES]
    yield from ([unit] for unit in units if unit.group is not None)
