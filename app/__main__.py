"""The commands: `python -m app serve` and `python -m app classify`."""

import argparse
import sys
from collections.abc import Sequence

from app import __version__
from app.errors import LarderError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m app", description="Larder recognises what is in a picture.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="start the service; its settings are LARDER_ variables, listed in the README")
    classify = commands.add_parser("classify", help="classify pictures without a server")
    classify.add_argument("pictures", nargs="+", metavar="PICTURE", help="picture files")
    classify.add_argument("--labels", metavar="A,B,C", help="the labels; without it, those of the label file")
    classify.add_argument("--top-k", type=int, default=5, metavar="K", help="how many labels to name (5)")
    classify.add_argument("--json", action="store_true", help="one JSON object a line")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        return classify(options) if options.command == "classify" else serve()
    except LarderError as error:
        print(f"larder: {error}", file=sys.stderr)
        return 2


def serve() -> int:
    """Start the service."""
    from app.main import create_app
    from app.serve import serve
    from app.settings import read_settings

    settings = read_settings()
    serve(create_app(settings), settings)
    return 0


def classify(options: argparse.Namespace) -> int:
    """Classify pictures without a server."""
    from app.classify import classify
    from app.settings import read_settings

    return classify(read_settings(), options.pictures, options.labels, options.top_k, options.json)


if __name__ == "__main__":
    sys.exit(main())
