"""Command line: `python -m app serve`, `classify`, `bulk`, `pantry`, `contents`, `feedback` and `models`."""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from app.arguments import parser
from app.errors import InvalidRequest, LarderError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "bulk":
            return bulk(options)
        if options.command == "pantry":
            return pantry(options)
        if options.command == "contents":
            return reindex(options) if options.action == "reindex" else contents(options)
        if options.command == "feedback":
            return feedback(options)
        if options.command == "models":
            return models(options)
        return classify(options) if options.command == "classify" else serve()
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2


def serve() -> int:
    """Start the service: the web framework is imported while the engine compiles the model."""
    from app.components import open_model
    from app.log import configure
    from app.native import bound_memory
    from app.settings import check_address, read_settings

    settings = read_settings()
    check_address(settings.host, settings.port)
    configure(settings.log_level)
    bound_memory()
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(import_module, "app.main")
        model = open_model(settings)
        importing.result()
    from app.main import create_app
    from app.serve import serve

    serve(create_app(settings, model), settings)
    return 0


def classify(options: argparse.Namespace) -> int:
    """Classify pictures without a server."""
    from app.classify import classify
    from app.log import configure
    from app.settings import read_settings

    configure("warning")
    return classify(read_settings(), options.pictures, options.labels, options.top_k, options.json)


def bulk(options: argparse.Namespace) -> int:
    """Classify or index many pictures; return 1 if some could not be read, else 0."""
    from app.bulk.command import run
    from app.log import configure
    from app.settings import read_settings

    configure("warning")
    return run(read_settings(), options)


def pantry(options: argparse.Namespace) -> int:
    """Import or export items; return 1 if some lines could not be imported, else 0."""
    from app.components import open_pantry
    from app.log import configure
    from app.pantry.transfer import transfer
    from app.settings import read_settings

    configure("warning")
    settings = read_settings().model_copy(update={"pantry_strict": True})
    return transfer(lambda: open_pantry(settings), options.action, options.file, options.format, options.json)


def reindex(options: argparse.Namespace) -> int:
    """Re-encode the stored entries."""
    from app.components import open_model, open_preparer
    from app.contents.reindex import reindex
    from app.log import configure
    from app.settings import read_settings

    configure("warning")
    settings = read_settings()
    if settings.contents != "faiss":
        raise InvalidRequest("only contents in the data folder can be reindexed: LARDER_CONTENTS must be faiss")
    model = open_model(settings)
    return reindex(
        settings.data / "contents.sqlite",
        model.vectors,
        model.encoder,
        open_preparer(settings, model).pixels,
        threads=settings.threads,
        drop=options.drop,
        as_json=options.json,
    )


def contents(options: argparse.Namespace) -> int:
    """Export, import, rename or delete entries; return 1 if some lines could not be imported, else 0."""
    from app.components import open_contents, open_model, open_preparer
    from app.contents.command import run
    from app.contents.transfer import Embedding
    from app.log import configure
    from app.settings import read_settings

    configure("warning")
    settings = read_settings()
    model = open_model(settings)
    embedding = Embedding(model.vectors, model.encoder, open_preparer(settings, model).pixels, settings.threads)
    return run(open_contents(settings, model, searched=False), embedding, options)


def feedback(options: argparse.Namespace) -> int:
    """Write the pictures of the feedback as training data; return 1 if some could not be written, else 0."""
    from app.components import FEEDBACK, image_limits
    from app.log import configure
    from app.serving.feedback import Feedback, export
    from app.settings import read_settings

    configure("warning")
    settings = read_settings()
    done = export(Feedback(settings.data / FEEDBACK), options.folder, image_limits(settings))
    for line in done.failures:
        print(line, file=sys.stderr)
    if options.json:
        counts = {"pictures": done.pictures, "without_picture": done.without_picture, "failed": len(done.failures)}
        print(json.dumps({"folder": str(options.folder)} | counts))
    else:
        failed = f", {len(done.failures)} failed" if done.failures else ""
        print(f"{done.pictures} pictures exported, {done.without_picture} entries have none{failed}", file=sys.stderr)
    return int(bool(done.failures))


def models(options: argparse.Namespace) -> int:
    """List, export or check bundles; return 1 if a check fails, else 0."""
    from app.exporter.command import run
    from app.log import configure

    configure("warning")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
