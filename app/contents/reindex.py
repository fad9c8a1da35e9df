"""Re-encode stored entries after a change of the model."""

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from app.contents import Content, VectorModel
from app.contents.database import Database, stored
from app.errors import InvalidImage, InvalidRequest, LarderError, NotFound
from app.model.encoder import Encoder
from app.model.engines import Floats

BATCH = 64  # entries per transaction
Encoded = Floats | Exception  # a vector (D,), or the error


@dataclass
class Outcome:
    """The outcome of a run: the number of encoded entries, and those that failed, by number and id, with the reason."""

    encoded: int = 0
    failed: dict[tuple[int, str], Exception] = field(default_factory=dict)


def reindex(
    path: Path,
    model: VectorModel,
    encoder: Encoder,
    pixels: Callable[[bytes], Floats],
    *,
    threads: int,
    drop: bool,
    as_json: bool,
) -> int:
    """Encode the entries whose vectors are from another model, one batch per transaction; return an exit status.

    Resumes a killed run. An entry that cannot be encoded is reported with its id and stays as it was; the status is 1
    then. With `drop`, the pictures that this model cannot read are removed instead. Raises InvalidRequest, before
    anything is changed, if originals were not kept and are not to be dropped.
    """
    if not path.exists():
        raise NotFound(f"there is nothing to re-encode: {path} does not exist")
    database = Database(path, model)
    try:
        lost = database.lost()
        if lost and not drop:
            raise InvalidRequest(
                f"{len(lost)} pictures cannot be re-encoded: their originals were not kept (LARDER_KEEP_PICTURES). "
                "Nothing was changed; --drop removes them and encodes the others, and then they can be put again"
            )
        database.drop(lost)
        outcome = _encode_all(database, encoder, pixels, threads)
        unreadable = [entry for entry, error in outcome.failed.items() if isinstance(error, LarderError)]
        dropped = unreadable if drop else []
        database.drop(dropped)
    finally:
        database.close()
    _report(outcome, len(lost) + len(dropped), model, as_json)
    return int(len(outcome.failed) > len(dropped))


def _report(outcome: Outcome, dropped: int, model: VectorModel, as_json: bool) -> None:
    reasons = {id: str(error) or type(error).__name__ for (_, id), error in outcome.failed.items()}
    if as_json:
        failed = [{"id": id, "reason": reason} for id, reason in reasons.items()]
        print(json.dumps({"encoded": outcome.encoded, "dropped": dropped, "failed": failed, "model": model.name}))
        return
    for id, reason in reasons.items():
        print(f"{id}: {reason}", file=sys.stderr)
    print(f"{outcome.encoded} entries encoded by {model.name}, {dropped} dropped", file=sys.stderr)
    if len(reasons) > dropped:
        print("--drop removes pictures that cannot be read", file=sys.stderr)


def _encode_all(database: Database, encoder: Encoder, pixels: Callable[[bytes], Floats], threads: int) -> Outcome:
    outcome, after = Outcome(), 0
    with (
        ThreadPoolExecutor(threads) as pool,
        tqdm(total=database.outdated_count(), unit="entry", disable=None) as progress,
    ):
        while batch := database.outdated(after, BATCH):
            results = encode_entries([entry for _, entry in batch], encoder, pixels, pool)
            vectors = []
            for (number, entry), result in zip(batch, results, strict=True):
                if isinstance(result, Exception):
                    outcome.failed[number, entry.id] = result
                else:
                    vectors.append((number, stored(result)))
            database.replace_vectors(vectors)
            outcome.encoded += len(vectors)
            after = batch[-1][0]
            progress.update(len(batch))
    return outcome


def encode_entries(
    entries: Sequence[Content], encoder: Encoder, pixels: Callable[[bytes], Floats], pool: ThreadPoolExecutor
) -> list[Encoded]:
    """Return a vector (D,) or an error for each entry, in order."""

    def prepared(entry: Content) -> Encoded:
        try:
            if entry.picture is None:
                raise InvalidImage("the original was not kept")
            return pixels(entry.picture)
        except Exception as error:  # any decoder error fails only this entry
            return error

    inputs = list(pool.map(prepared, [entry for entry in entries if entry.text is None]))
    good = [each for each in inputs if not isinstance(each, Exception)]
    texts = [entry.text for entry in entries if entry.text is not None]
    of_texts = iter(encoder.texts(texts) if texts else ())
    of_good = iter(encoder.pictures(good) if good else ())
    of_pictures = (each if isinstance(each, Exception) else next(of_good) for each in inputs)
    return [next(of_texts) if entry.text is not None else next(of_pictures) for entry in entries]
