"""Rows in a folder of finished parts: `part-00000.parquet` or `.jsonl`, each there whole or not at all.

`run.json` beside them says what the rows were made with, and another run that would make other rows is refused.
"""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from app.atomic import whole
from app.errors import InvalidRequest

Form = Literal["parquet", "jsonl"]
Row = Mapping[str, Any]


class Parts:
    """The rows, each with an `id`, that runs have written to one folder."""

    def __init__(self, folder: Path, form: Form, made_with: Mapping[str, Any]) -> None:
        """Raises InvalidRequest for a folder that holds something else, or cannot be written."""
        if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
            raise InvalidRequest("parquet needs pyarrow: pip install -r requirements-bulk.txt, or take --format jsonl")
        self._folder = folder
        self._form = form
        self._begin({"format": form} | dict(made_with))
        self._next = len(self._paths())

    def ids(self) -> set[str]:
        """The ids of all rows that are there."""
        return {id_ for path in self._paths() for id_ in self._ids(path)}

    def write(self, rows: Sequence[Row]) -> None:
        """One part more; raises InvalidRequest when it cannot be written."""
        with whole(self._folder / f"part-{self._next:05}.{self._form}") as path:
            if self._form == "parquet":
                _write_parquet(path, rows)
            else:
                path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        self._next += 1

    def _begin(self, run: Mapping[str, Any]) -> None:
        path = self._folder / "run.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
            if before is None and any(self._folder.iterdir()):
                raise InvalidRequest(f"{self._folder} holds something else; give a folder that is new or empty")
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"{self._folder} cannot be used: {error}") from error
        if before is None:
            with whole(path) as part:
                part.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
        elif before != run:
            names = [name for name in run if before.get(name) != run[name]]
            changes = "; ".join(f"{name} was {before.get(name)}, now {run[name]}" for name in names)
            raise InvalidRequest(f"{self._folder} was made by another run: {changes}; give another folder")

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"part-*.{self._form}"))

    def _ids(self, path: Path) -> list[str]:
        if self._form == "jsonl":
            return [json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()]
        import pyarrow.parquet as pq

        ids: list[str] = pq.read_table(path, columns=["id"])["id"].to_pylist()
        return ids


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path)
