"""Write rows to a folder of shards, `part-00000.csv`, `.jsonl` or `.parquet`, each written atomically.

`run.json` beside them records how the rows were made, and a run that would make other rows is refused. The writing run
holds `.lock`. `Answers` makes the rows: the label of each picture.
"""

import csv
import fcntl
import importlib.util
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from app.atomic import atomic_write
from app.bulk import Embedded
from app.classify import THRESHOLD
from app.errors import InvalidRequest
from app.model.engines import Floats
from app.recognition.zero_shot import Recogniser
from app.text import csv_cell, from_csv_cell

Form = Literal["csv", "jsonl", "parquet"]
Row = Mapping[str, Any]
LOCK = ".lock"
csv.field_size_limit(2**31 - 1)  # a cell may contain a thousand labels


class ShardWriter:
    """The rows, each with an `id`, of one folder; one run at a time has it open."""

    def __init__(self, folder: Path, form: Form, made_with: Mapping[str, Any]) -> None:
        """Raises InvalidRequest if the folder has other files, is in use, or cannot be written."""
        if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
            raise InvalidRequest("parquet needs pyarrow: pip install -r requirements-bulk.txt, or take --format csv")
        self._folder = folder
        self._form = form
        self._lock = self._open()
        try:
            self._check({"format": form} | dict(made_with))
            for left_over in folder.glob("*.part"):  # of a killed run: we hold the lock
                left_over.unlink()
        except BaseException:
            self.close()
            raise
        self._next = len(self._paths())

    def ids(self) -> set[str]:
        """Return the ids of all rows; raises InvalidRequest for an unreadable shard."""
        return {id_ for path in self._paths() for id_ in self._ids(path)}

    def write(self, rows: Sequence[Row]) -> None:
        """Write one more shard; raises InvalidRequest if it cannot be written."""
        with atomic_write(self._folder / f"part-{self._next:05}.{self._form}") as path:
            {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}[self._form](path, rows)
        self._next += 1

    def close(self) -> None:
        """Release the folder's lock."""
        self._lock.close()

    def _open(self) -> IO[str]:
        """Create and lock the folder; the lock ends with the process."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            names = {path.name for path in self._folder.iterdir()}
            if "run.json" not in names and names - {LOCK}:
                raise InvalidRequest(f"{self._folder} contains other files; give a new or empty folder")
            lock = (self._folder / LOCK).open("w")
        except OSError as error:
            raise InvalidRequest(f"{self._folder} cannot be used: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            problem = "is being written by another run" if isinstance(error, BlockingIOError) else "cannot be locked"
            raise InvalidRequest(
                f"{self._folder} {problem} ({error.strerror}): wait until it has ended, or give another folder"
            ) from error
        return lock

    def _check(self, run: Mapping[str, Any]) -> None:
        """Compare with the run that made the folder, or record this one."""
        path = self._folder / "run.json"
        try:
            before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"{path} cannot be read: {error}") from error
        if before is None:
            with atomic_write(path) as part:
                part.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
        elif before != run:
            names = [name for name in run if before.get(name) != run[name]]
            changes = "; ".join(f"{name} was {before.get(name)}, now {run[name]}" for name in names)
            raise InvalidRequest(f"{self._folder} was made by another run: {changes}; give another folder")

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"part-*.{self._form}"))

    def _ids(self, path: Path) -> list[str]:
        """Read the ids of a shard; only a line feed ends a line of JSON, because texts may contain U+2028."""
        try:
            if self._form == "jsonl":
                lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
                return [json.loads(line)["id"] for line in lines]
            if self._form == "csv":
                with path.open(encoding="utf-8-sig", newline="") as file:
                    reader = csv.reader(file)
                    place = next(reader, []).index("id")
                    return [from_csv_cell(row[place]) for row in reader]
            import pyarrow.parquet as pq

            ids: list[str] = pq.read_table(path, columns=["id"])["id"].to_pylist()
            return ids
        except (OSError, ValueError, TypeError, LookupError, csv.Error) as error:  # includes pyarrow's errors
            raise InvalidRequest(f"{path} cannot be read ({error}): delete it, and its rows are made again") from error


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write a heading and one line per row; the byte order mark tells Excel that it is UTF-8."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0] if rows else [])
        for row in rows:
            writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> str:
    """Format a cell: text unchanged, other values as JSON.

    >>> [_cell(value) for value in ("a", None, True, 0.5, ["a", "ü"])]
    ['a', '', 'true', '0.5', '["a", "ü"]']
    """
    if value is None or isinstance(value, str):
        return csv_cell(value or "")
    return json.dumps(value, ensure_ascii=False)


def _write_jsonl(path: Path, rows: Sequence[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _write_parquet(path: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(list(rows)), path)


class Answers:
    """A sink that writes a row for each picture to a folder of shards."""

    def __init__(self, folder: Path, form: Form, recogniser: Recogniser, top_k: int, made_with: dict[str, str]) -> None:
        """`made_with` describes the source and the model; raises InvalidRequest if another run made the folder."""
        labels = recogniser.label_set.version
        self._shards = ShardWriter(folder, form, made_with | {"labels": labels, "top_k": top_k})
        self._recogniser = recogniser
        self._top_k = top_k

    def done(self, ids: Collection[str]) -> set[str]:
        """Return those of the ids that have a row."""
        return self._shards.ids().intersection(ids)

    def put(self, pictures: Sequence[Embedded]) -> dict[str, str]:
        """Write one shard of rows; raises InvalidRequest if it cannot be written."""
        self._shards.write([self._row(each, each.vector) for each in pictures if each.vector is not None])
        return {}

    def close(self) -> None:
        """Release the folder's lock."""
        self._shards.close()

    def labels_of(self, vector: Floats, threshold: float) -> list[str]:
        """Return the labels of an embedding (D,) with at least a probability; none if it is unknown."""
        answer = self._recogniser.recognise(vector, top_k=self._top_k, threshold=THRESHOLD)
        pairs = zip(answer.labels, answer.ranking.probabilities, strict=False)
        return [label.name for label, probability in pairs if probability >= threshold and answer.known is not False]

    def _row(self, picture: Embedded, vector: Floats) -> dict[str, object]:
        answer = self._recogniser.recognise(vector, top_k=self._top_k, threshold=THRESHOLD)
        ranking = answer.ranking
        return {
            "id": picture.id,
            "path": picture.path,
            "label": answer.labels[0].name,
            "probability": ranking.probabilities[0],
            "cosine": ranking.cosines[0],
            "confident": ranking.confident,
            "known": answer.known,
            "top_k_labels": [label.name for label in answer.labels],
            "top_k_probabilities": ranking.probabilities,
            "top_k_cosines": ranking.cosines,
        }
