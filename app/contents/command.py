"""Commands of `python -m app contents` on a store: export, import, rename, delete, duplicates."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial

from tqdm import tqdm

from app.contents import MAX_ID, ContentStore, Where
from app.contents.duplicates import DISTANCES, find_duplicates
from app.contents.transfer import Embedding, export_entries, import_entries
from app.errors import InvalidRequest, NotFound

AT_ONCE = 1000  # entries per transaction when a collection is deleted or renamed


def run(store: ContentStore, embedding: Embedding, options: argparse.Namespace) -> int:
    """Run one command and report its result; return 1 if some lines could not be imported, 0 otherwise.

    Raises InvalidRequest, NotFound or StoreUnavailable.
    """
    with closing(store):
        facts = ACTIONS[options.action](store, embedding, options)
    if options.json:
        print(json.dumps({"action": options.action} | facts))
    else:
        print(", ".join(f"{name}: {fact}" for name, fact in facts.items()), file=sys.stderr)
    return int(facts.get("failed", 0) > 0)


def _export(store: ContentStore, embedding: Embedding, options: argparse.Namespace) -> dict[str, int]:
    if options.json and not options.file:
        raise InvalidRequest("--json needs a FILE: standard output cannot take the entries and the summary")
    which = {"vectors": options.vectors, "pictures": options.pictures}
    return {"exported": export_entries(store, options.file, embedding.model, options.collection, **which)}


def _import(store: ContentStore, embedding: Embedding, options: argparse.Namespace) -> dict[str, int]:
    done = import_entries(store, options.file, embedding)
    for line in sorted(done.bad, key=lambda line: line.number):
        print(f"{options.file}: line {line.number}: {line.problem}", file=sys.stderr)
    return {"imported": done.stored, "there before": done.there, "failed": len(done.bad)}


def _rename(store: ContentStore, _: Embedding, options: argparse.Namespace) -> dict[str, int]:
    if not 0 < len(options.to) <= MAX_ID or options.to == options.collection:
        raise InvalidRequest(f"NEW is another name, of 1 to {MAX_ID} characters")
    if not options.merge and store.count(options.to):
        raise InvalidRequest(f"the collection {options.to!r} has entries already: --merge puts both together")
    step = partial(store.rename_collection, options.collection, options.to, AT_ONCE)
    return {"renamed": _all(step, options.collection)}


def _delete(store: ContentStore, _: Embedding, options: argparse.Namespace) -> dict[str, int]:
    return {"deleted": _all(partial(store.delete_collection, options.collection, AT_ONCE), options.collection)}


def _all(step: Callable[[], int], collection: str) -> int:
    total = sum(iter(step, 0))
    if not total:
        raise NotFound(f"there is no collection {collection!r}")
    return total


def _duplicates(store: ContentStore, _: Embedding, options: argparse.Namespace) -> dict[str, int]:
    """Print the groups as JSON lines."""
    where = Where(collection=options.collection)
    with tqdm(total=100, unit="%", disable=not sys.stderr.isatty()) as bar:
        distance = DISTANCES[options.distance]
        groups = find_duplicates(store, where, distance, lambda share: bar.update(int(100 * share) - bar.n))
    for group in groups:
        members = [
            {"id": each.content.id, "score": round(each.score, 4)}
            | (each.content.file._asdict() if each.content.file else {})
            for each in group.members
        ]
        print(json.dumps({"keep": members[0]["id"], "why": group.why, "size": group.size, "entries": members}))
    return {"groups": len(groups)}


ACTIONS = {"export": _export, "import": _import, "rename": _rename, "delete": _delete, "duplicates": _duplicates}
