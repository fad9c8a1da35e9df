"""One bulk run: new pictures pass through the stages into the sink, failed ones into a report.

What the sink has is done; failed pictures are tried again. So the same command resumes a killed run, the output has
every good picture once, and the report of the run that ends names every failed one.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from app.atomic import atomic_write
from app.bulk import Embedded, Sink
from app.bulk.files import open_files
from app.bulk.index import Index
from app.bulk.shard_writer import Answers
from app.bulk.sidecar import Sidecars
from app.bulk.sources import Unit, find_units
from app.bulk.stages import Worker
from app.classify import recogniser_for
from app.components import Model, open_contents, open_model
from app.contents import MAX_ID
from app.errors import InvalidRequest, NotFound, SourceError
from app.s3 import SCHEME
from app.settings import Settings

PART_BYTES = 64 * 1024 * 1024  # of originals stored at once
MAX_UNREAD = 20  # consecutive pictures that the source fails to deliver before the source itself counts as failed


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Run `bulk classify` or `bulk index`; returns 1 if some pictures failed, 0 otherwise.

    Raises InvalidRequest, InvalidLabels, SourceError, StartError or StoreUnavailable.
    """
    if options.part < 1 or (options.action == "classify" and options.top_k < 1):
        raise InvalidRequest("--part and --top-k are at least 1")
    if options.action == "classify" and options.sidecar and options.source.startswith(SCHEME):
        raise InvalidRequest("--sidecar writes files beside the pictures: the source has to be a folder or a file")
    if options.action == "index" and not 0 < len(options.collection) <= MAX_ID:
        raise InvalidRequest(f"--collection: {len(options.collection)} characters were found; it has 1 to {MAX_ID}")
    begun = time.monotonic()
    units, others = find_units(open_files(options.source))
    model = open_model(settings)
    sink, report = {"classify": _answers, "index": _index}[options.action](settings, model, options)
    ids = [id_ for unit in units for id_ in unit.ids()]
    with closing(sink), atomic_write(report) as path, path.open("w", encoding="utf-8") as file:
        done = sink.done(ids)
        embedded = _embed(settings, model, options, units, done)
        bar = tqdm(embedded, total=len(ids) - len(done), unit="picture", disable=not sys.stderr.isatty())
        good, bad = drain(bar, sink, file, options.part)
    facts = {
        "good": good,
        "bad": bad,
        "others": others,
        "done_before": len(done),
        "seconds": round(time.monotonic() - begun, 1),
    }
    _tell(facts, report, options)
    return int(bad > 0)


def drain(embedded: Iterable[Embedded], sink: Sink, report: TextIO, part: int) -> tuple[int, int]:
    """Store pictures with embeddings and list the others in the report; return the numbers of both.

    Raises SourceError, with everything before it stored, if MAX_UNREAD consecutive pictures could not be read.
    """
    good = bad = 0
    for group in _groups(embedded, part):
        pictures = [each for each in group if each.vector is not None]
        reasons = {each.id: each.reason for each in group if each.vector is None}
        if pictures:
            reasons |= sink.put(pictures)
        lines = [json.dumps({"id": id_, "reason": reason}, ensure_ascii=False) for id_, reason in reasons.items()]
        report.writelines(line + "\n" for line in lines)
        good, bad = good + len(group) - len(reasons), bad + len(reasons)
    return good, bad


def _groups(embedded: Iterable[Embedded], part: int) -> Iterator[list[Embedded]]:
    """Group pictures to be stored at once: at most `part`, and PART_BYTES if originals are kept."""
    group: list[Embedded] = []
    size = unread = 0
    for each in embedded:
        group.append(each)
        size, unread = size + len(each.data), unread + 1 if each.unread else 0
        if len(group) == part or size >= PART_BYTES or unread == MAX_UNREAD:
            yield group
            group, size = [], 0
        if unread == MAX_UNREAD:
            raise SourceError(f"{unread} pictures in a row could not be read, lastly {each.path}: {each.reason}")
    if group:
        yield group


def _embed(
    settings: Settings, model: Model, options: argparse.Namespace, units: list[Unit], done: set[str]
) -> Iterator[Embedded]:
    """Embed on this machine or on a cluster."""
    entries = options.action == "index"
    if options.ray is None:
        return Worker(settings, model, options.source, done, entries).embed(units)
    from app.bulk import ray

    return ray.embed(options.ray, settings, options.source, units, done, entries)


def _answers(settings: Settings, model: Model, options: argparse.Namespace) -> tuple[Sink, Path]:
    """Open a folder of answers; returns it and the path of the report."""
    recogniser = recogniser_for(settings, model, options.labels)
    made_with = {"source": options.source.rstrip("/"), "model": model.name, "checksum": model.checksum}
    if options.sidecar:
        made_with |= {"sidecar": options.sidecar, "threshold": options.threshold}
    answers = Answers(options.out, options.format, recogniser, options.top_k, made_with)
    sink = Sidecars(answers, Path(options.source), options.threshold) if options.sidecar else answers
    return sink, options.report or options.out / "bad.jsonl"


def _index(settings: Settings, model: Model, options: argparse.Namespace) -> tuple[Sink, Path]:
    """Open the configured content store; returns it and the path of the report."""
    if settings.contents == "none":
        raise NotFound("no content store to index into: LARDER_CONTENTS is none")
    settings.data.mkdir(parents=True, exist_ok=True)
    sink = Index(open_contents(settings, model, searched=False), options.collection, options.source)
    return sink, options.report or settings.data / "bulk-bad.jsonl"


def _tell(facts: dict[str, float], report: Path, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(facts | {"report": str(report)}))
        return
    rate = facts["good"] / max(facts["seconds"], 0.1)
    before = f"; {facts['done_before']} were there before" if facts["done_before"] else ""
    print(f"{facts['good']} pictures in {facts['seconds']} s, {rate:.0f} a second{before}")
    if facts["others"]:
        print(f"{facts['others']} other files were passed over: no pictures by their names")
    if facts["bad"]:
        print(f"{facts['bad']} bad pictures are listed in {report}")
