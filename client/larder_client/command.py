"""The command line `larder`."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from larder_client.answers import Hit
from larder_client.client import Larder
from larder_client.errors import LarderError, Unauthorized
from larder_client.lines import changed, happening, judgement, match, sentence, unsure

T = TypeVar("T")


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    top = argparse.ArgumentParser(prog="larder", description="Ask a Larder service.")
    top.add_argument(
        "--url",
        default=os.environ.get("LARDER_URL", "http://127.0.0.1:8000"),
        help="the service (LARDER_URL, or http://127.0.0.1:8000)",
    )
    top.add_argument("--key", default=os.environ.get("LARDER_API_KEY"), help="its key (LARDER_API_KEY)")
    top.add_argument("--json", action="store_true", help="one JSON object a line")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    recognise = commands.add_parser("recognise", help="recognise pictures")
    recognise.add_argument("pictures", nargs="+", metavar="PICTURE")
    recognise.add_argument("--barcodes", action="store_true", help="read barcodes too: a known one decides")
    change = recognise.add_mutually_exclusive_group()
    change.add_argument("--add", type=int, metavar="N", help="add N to the pantry when the answer is confident")
    change.add_argument("--remove", type=int, metavar="N", help="remove N from the pantry likewise")
    search = commands.add_parser("search", help="search stored entries by a text or a picture")
    search.add_argument("text", nargs="?", metavar="TEXT", help="a text, or the path of a picture")
    search.add_argument("--picture", metavar="PICTURE", help="instead of a text")
    search.add_argument("-k", type=int, default=10, metavar="N", help="how many (10)")
    search.add_argument("--min-score", type=float, metavar="COSINE", help="least similarity of the hits")
    search.add_argument("--collection", metavar="NAME", help="only in this collection")
    commands.add_parser("pantry", help="list the pantry")
    for name, what in (("add", "add to an item's count"), ("remove", "take from an item's count")):
        command = commands.add_parser(name, help=what)
        command.add_argument("item")
        command.add_argument("quantity", type=int, nargs="?", default=1)
    journal = commands.add_parser("journal", help="list the changes of the pantry, newest first")
    journal.add_argument("item", nargs="?", help="only changes of this item")
    journal.add_argument("-n", type=int, default=20, metavar="N", help="how many (20)")
    undo = commands.add_parser("undo", help="undo a change of the journal")
    undo.add_argument("id", help="the change, as `larder journal` lists it")
    events = commands.add_parser("events", help="print events, until interrupted")
    events.add_argument("kinds", nargs="*", metavar="KIND", help="only these kinds: change, recognition")
    review = commands.add_parser("review", help="list pictures without a confident answer, or label one")
    review.add_argument("id", nargs="?", metavar="ID", help="an entry of the list")
    review.add_argument("item", nargs="?", metavar="ITEM", help="the item to label it as, which teaches the item")
    review.add_argument("--dismiss", action="store_true", help="do not ask for this entry again")
    review.add_argument("-n", type=int, default=20, metavar="N", help="how many to list (20)")
    commands.add_parser("report", help="print the leave-one-out report on the taught examples")
    commands.add_parser("status", help="say how the service is")
    mcp = commands.add_parser("mcp", help="serve the Model Context Protocol, for assistants")
    mcp.add_argument(
        "--pictures",
        metavar="DIR",
        type=Path,
        help="the only folder whose files are read (the current one; none with --http)",
    )
    mcp.add_argument("--http", action="store_true", help="over HTTP at /mcp, instead of standard input and output")
    mcp.add_argument("--host", default="127.0.0.1", help="with --http: the address to listen on (127.0.0.1)")
    mcp.add_argument("--port", type=int, default=8080, help="with --http: the port (8080)")
    mcp.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="with --http: a name by which clients reach this machine; others are refused, against DNS rebinding",
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status, 1 if a picture could not be recognised."""
    options = parser().parse_args(arguments)
    try:
        with Larder(options.url, options.key) as larder:
            return run(larder, options)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe; the rest of the buffer is discarded
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # 128 + SIGPIPE, as shells report it
    except (LarderError, OSError) as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def run(larder: Larder, options: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if command := {"recognise": recognise, "events": follow}.get(options.command):
        return command(larder, options)
    if options.command == "search":
        hits = search(larder, options)
        show_all(hits, match, options.json, "no entry was found")
    elif options.command == "pantry":
        show_all(larder.items(), lambda each: f"{each.count:6}  {each.item}", options.json, "the pantry has no items")
    elif options.command == "journal":
        nothing = f"the journal has no change of {options.item}" if options.item else "the journal has no change yet"
        show_all(larder.journal(options.item, limit=options.n), changed, options.json, nothing)
    elif options.command == "undo":
        show_all([larder.undo(options.id)], changed, options.json)
    elif options.command == "review":
        return review(larder, options)
    elif options.command == "report":
        found = larder.examples_report()
        show(found, judgement(found), options.json)
    elif options.command == "status":
        health = larder.health()
        show(health, f"{health.status}: {health.model}, {health.labels} labels", options.json)
        return 0 if health.status == "ready" else 1
    elif options.command == "mcp":
        serve_mcp(larder, options)
    else:
        item = getattr(larder, options.command)(options.item, options.quantity)
        show(item, f"{item.count:6}  {item.item}", options.json)
    return 0


def serve_mcp(larder: Larder, options: argparse.Namespace) -> None:
    """Serve the Model Context Protocol until standard input ends, or over HTTP."""
    try:
        from larder_client.mcp_server import build, run_http
    except ModuleNotFoundError as error:
        raise OSError("mcp needs the package mcp: pip install 'larder-client[mcp]'") from error
    folder = options.pictures or (None if options.http else Path())
    if folder and not folder.is_dir():
        raise OSError(f"--pictures {folder} is not a folder")
    server = build(larder, folder)
    if options.http:
        print(f"larder: http://{options.host}:{options.port}/mcp asks {larder.url}", file=sys.stderr)
        run_http(server, options.host, options.port, options.allowed_host)
    else:
        server.run("stdio")


def search(larder: Larder, options: argparse.Namespace) -> list[Hit]:
    """Find entries; a text that is the path of a file searches by that picture."""
    text, picture = options.text, options.picture
    if text and not picture and os.path.isfile(text):  # noqa: PTH113  Path refuses texts that are too long for a path
        text, picture = None, text
    return larder.search(text, picture=picture, k=options.k, min_score=options.min_score, collection=options.collection)


def review(larder: Larder, options: argparse.Namespace) -> int:
    """List the review queue, label an entry or dismiss it; returns the exit status."""
    if options.dismiss and options.id and not options.item:
        larder.dismiss(options.id)
    elif options.dismiss or (options.id and not options.item):
        print("larder: review takes an ID and an ITEM, or an ID and --dismiss", file=sys.stderr)
        return 2
    elif options.id:
        made = larder.label(options.id, options.item)
        show(made, f"{made.item} was taught", options.json)
    else:
        show_all(larder.review(options.n), unsure, options.json, "nothing is to be reviewed")
    return 0


def recognise(larder: Larder, options: argparse.Namespace) -> int:
    """Print one line per picture; an error with one does not stop the others, unless the key is wrong."""
    failed = 0
    change: dict[str, Any] = {"update": "add", "quantity": options.add} if options.add is not None else {}
    change = {"update": "remove", "quantity": options.remove} if options.remove is not None else change
    for path in options.pictures:
        try:
            found = larder.recognise(path, barcodes=options.barcodes, **change)
        except Unauthorized:
            raise
        except (LarderError, OSError) as error:
            failed = 1
            print(f"larder: {path}: {error}", file=sys.stderr)
        else:
            show(found, f"{path}: {sentence(found, asked=bool(change))}", options.json, picture=path)
    return failed


def follow(larder: Larder, options: argparse.Namespace) -> int:
    """Print one line per event, until the service is away for too long."""
    for event in larder.events(options.kinds):
        show(event, happening(event), options.json)
    return 0


def show_all(answers: Sequence[T], line: Callable[[T], str], as_json: bool, nothing: str = "") -> None:
    """Print each answer; if there are none, say so on standard error."""
    for answer in answers:
        show(answer, line(answer), as_json)
    if not answers:
        print(f"larder: {nothing}", file=sys.stderr)


def show(answer: Any, line: str, as_json: bool, **more: str) -> None:
    """Print an answer as a line for people or as JSON, at once."""
    print(json.dumps(more | dataclasses.asdict(answer), ensure_ascii=False) if as_json else line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
