"""Near-duplicates: planted copies among 10,000 real pictures, and time and memory for a million entries.

    python -m benchmarks.duplicates --data ../shared/data [--count 1000000]

Each of 1,000 photographs (things and groceries) has one copy: saved again, resized, cropped by 5 %, mirrored or
brightened, 200 of each kind. Precision counts the pairs in groups; photographs of a shelf taken twice in the same
second count as wrong.
"""

import argparse
import io
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from app.components import Model, open_model
from app.contents import Content, FileFacts, Scanned, Where
from app.contents.database import Database, stored
from app.contents.duplicates import DISTANCES, Distance, find_duplicates
from app.contents.group_commit import Put
from app.contents.local import LocalContents
from app.images.prepare import fingerprint, preprocessor
from app.model.engines import Floats
from app.settings import Settings
from benchmarks import rows
from benchmarks.embeddings import kept_vectors, many, of_crops, of_pictures, pictures_in

ENTRIES, COPIES = 10_000, 1_000
FILES = ("things/pictures", "grocery/train", "grocery/val", "grocery/test_sample", "cifar10/test")
PHOTOGRAPHS = 3_140  # the first two files: the originals of the copies
WITHIN_S, WITHIN_MIB = 600, 1024


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """Encode the picture as a JPEG of this quality."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cropped(picture: Image.Image) -> Image.Image:
    """Crop 2.5 % at each side."""
    width, height = picture.size
    return picture.crop((round(0.025 * width), round(0.025 * height), round(0.975 * width), round(0.975 * height)))


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "saved again": lambda picture: jpeg(picture, 70),
    "resized": lambda picture: jpeg(picture.resize((picture.width * 2 // 3, picture.height * 2 // 3)), 90),
    "cropped by 5 %": lambda picture: jpeg(cropped(picture), 90),
    "mirrored": lambda picture: jpeg(ImageOps.mirror(picture), 90),
    "brightened": lambda picture: jpeg(ImageEnhance.Brightness(picture).enhance(1.25), 90),
}


def planted(model: Model, data: Path, folder: Path) -> tuple[Floats, list[str], list[tuple[int, int, str]]]:
    """Return vectors (N, D) and fingerprints of pictures followed by copies; and (copy, original, kind) of these."""
    vectors = np.concatenate([kept_vectors(model, folder, name, pictures_in(data, name)) for name in FILES])[:ENTRIES]
    preprocess, hashes, pairs = preprocessor(model.config.image_form), list[str](), list[tuple[int, int, str]]()
    copies: list[Floats] = []
    originals = set(np.random.default_rng(0).permutation(PHOTOGRAPHS)[:COPIES].tolist())
    row = 0
    for name in FILES:
        for picture in pictures_in(data, name):
            if row == ENTRIES:
                break
            hashes.append(fingerprint(preprocess(picture)))
            if row in originals:
                kind = list(KINDS)[len(copies) % len(KINDS)]
                pairs.append((ENTRIES + len(copies), row, kind))
                copies.append(preprocess(KINDS[kind](picture)))
            row += 1
    hashes += [fingerprint(pixels) for pixels in copies]
    chunks = [model.encoder.pictures(copies[start : start + 64]) for start in range(0, len(copies), 64)]
    return np.concatenate([vectors, *chunks]), hashes, pairs


def find_planted(model: Model, data: Path, folder: Path) -> list[rows.Row]:
    """Print precision and recall of the groups at each distance."""
    vectors, hashes, pairs = planted(model, data, folder)
    wanted = {(original, copy): kind for copy, original, kind in pairs}
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "contents.sqlite"
        with closing(Database(path, model.vectors)) as database:
            for start in range(0, len(vectors), 1000):
                some = range(start, min(start + 1000, len(vectors)))
                contents = [Content(str(row), "image", file=FileFacts(1, 1, 1, row, hashes[row])) for row in some]
                database.write([Put(each, stored(vectors[int(each.id)])) for each in contents])
        with closing(LocalContents(path, model.vectors, threads=1, searched=False)) as store:
            return [_judged(store, name, distance, wanted) for name, distance in DISTANCES.items()]


def _judged(store: LocalContents, name: str, distance: Distance, wanted: dict[tuple[int, int], str]) -> rows.Row:
    groups = find_duplicates(store, Where(), distance, lambda _: None)
    members = [sorted(int(member.content.id) for member in group.members) for group in groups]
    claimed = {pair for group in members for pair in combinations(group, 2)}
    precision = len(claimed & set(wanted)) / max(1, len(claimed))
    kinds = {kind: [pair for pair in wanted if wanted[pair] == kind] for kind in KINDS}
    recalls = {kind: len(claimed & set(each)) / len(each) for kind, each in kinds.items()}
    found = ", ".join(f"{kind} {recall:.3f}" for kind, recall in recalls.items())
    print(f"{name}: {len(groups)} groups, precision {precision:.3f}; recall: {found}", flush=True)
    good = precision >= 0.99 and min(recalls["saved again"], recalls["resized"]) >= 0.95
    target = "precision >= 0.99, recall >= 0.95 saved again and resized" if name == "copy" else ""
    return rows.Row(f"duplicates: {name}", target, f"precision {precision:.3f}", found, good if target else None)


class Million:
    """Stands in for a store that is only scanned, so that only the search's memory is measured."""

    def __init__(self, pictures: Floats, crops: Floats, count: int) -> None:
        self._pictures, self._crops, self._count = pictures, crops, count

    def count(self, collection: str | None = None) -> int:  # noqa: ARG002 - of the protocol
        """Return the number of entries."""
        return self._count

    def scan(self, where: Where) -> Iterator[Scanned]:  # noqa: ARG002 - of the protocol
        """Yield all entries, without fingerprints."""
        first = 0
        for vectors in many(self._pictures, self._crops, self._count):
            yield Scanned([str(first + row) for row in range(len(vectors))], vectors, [""] * len(vectors))
            first += len(vectors)

    def get(self, id: str) -> Content:
        """Return an entry."""
        return Content(id, "image")

    def vectors(self, ids: list[str]) -> Floats:
        """Return arbitrary vectors: only groups are counted."""
        return self._pictures[: len(ids)]


def find_among_many(pictures: Floats, crops: Floats, count: int) -> rows.Row:
    """Measure time and memory of a search for the same scene among `count` entries."""
    before, begun, wall = _peak(), time.process_time(), time.monotonic()
    groups = find_duplicates(Million(pictures, crops, count), Where(), DISTANCES["scene"], lambda _: None)  # type: ignore[arg-type]
    took, more = time.process_time() - begun, _peak() - before
    ours = f"{took:.0f} s of one processor, +{more:.0f} MiB"
    print(
        f"{count:,} entries: {ours}, {time.monotonic() - wall:.0f} s on this clock, {len(groups):,} groups", flush=True
    )
    kept_ = took <= WITHIN_S and more <= WITHIN_MIB
    return rows.Row(f"duplicates among {count:,}", "<= 600 s, +1 GiB", ours, "", kept_)


def _peak() -> float:
    """Return the peak memory of this process, MiB; includes the temporary file's pages while they are read."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="cifar10/, grocery/ and things/")
    parser.add_argument("--model", default="larder-small", help="the bundle that makes the embeddings")
    parser.add_argument("--kept", type=Path, default=Path("data/benchmarks"), help="where embeddings are kept")
    parser.add_argument("--count", type=int, default=0, help="how many entries to measure time and memory with")
    rows.add_option(parser)
    options = parser.parse_args()
    model = open_model(Settings(model=options.model))
    found = find_planted(model, options.data, options.kept)
    if options.count:
        pictures, crops = (each(model, options.data, options.kept) for each in (of_pictures, of_crops))
        found.append(find_among_many(pictures, crops, options.count))
    rows.hand_in(options.rows, found)


if __name__ == "__main__":
    main()
