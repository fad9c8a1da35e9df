"""Encoding stored contents anew, after the model was changed."""

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from app.contents import Content, VectorModel
from app.contents.database import Database, stored
from app.errors import InvalidRequest, NotFound
from app.model.encoder import Encoder
from app.model.engines import Floats

AT_A_TIME = 64


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
    """Encode what has another model's vectors, a few contents in each transaction: begun again, it goes on.

    Raises InvalidRequest, before anything is changed, where pictures were not kept and are not to be dropped.
    """
    if not path.exists():
        raise NotFound(f"there is nothing to encode anew: {path} does not exist")
    database = Database(path, model)
    try:
        lost = database.outdated_count(lost=True)
        if lost and not drop:
            raise InvalidRequest(
                f"{lost} pictures cannot be encoded anew: their originals were not kept (LARDER_KEEP_PICTURES). "
                "Nothing was changed; --drop removes them and encodes the others, and then they can be put again"
            )
        database.drop_lost()
        count = _encode_all(database, encoder, pixels, threads)
    finally:
        database.close()
    if as_json:
        print(json.dumps({"encoded": count, "dropped": lost, "model": model.name}))
    else:
        print(f"{count} contents encoded by {model.name}, {lost} dropped", file=sys.stderr)
    return 0


def _encode_all(database: Database, encoder: Encoder, pixels: Callable[[bytes], Floats], threads: int) -> int:
    count = database.outdated_count()
    with ThreadPoolExecutor(threads) as pool, tqdm(total=count, unit="content", disable=None) as progress:
        while part := database.outdated(AT_A_TIME):
            vectors = _encode([content for _, content in part], encoder, pixels, pool)
            database.replace_vectors([(number, stored(v)) for (number, _), v in zip(part, vectors, strict=True)])
            progress.update(len(part))
    return count


def _encode(
    contents: Sequence[Content], encoder: Encoder, pixels: Callable[[bytes], Floats], pool: ThreadPoolExecutor
) -> list[Floats]:
    """The vectors (D,) of contents, in their order."""
    texts = [content.text for content in contents if content.text is not None]
    pictures = [content.picture for content in contents if content.picture is not None]
    of_texts = iter(encoder.texts(texts) if texts else ())
    of_pictures = iter(encoder.pictures(list(pool.map(pixels, pictures))) if pictures else ())
    return [next(of_pictures if content.text is None else of_texts) for content in contents]
