"""The command line's arguments: `python -m app --help`."""

import argparse
from pathlib import Path

from app import __version__

SERVE_SETTINGS = """\
the settings that most need:
  LARDER_MODEL     the model: a bundle under models/ or a folder (larder-small)
  LARDER_LABELS    the label file (labels/pantry.txt)
  LARDER_HOST      the address to listen on (127.0.0.1); 0.0.0.0 for other machines
  LARDER_PORT      the port (8000)
  LARDER_API_KEYS  keys, with commas between them (none: open to all)
  LARDER_DATA      the folder of the pantry and of what is stored (data)"""


def parser() -> argparse.ArgumentParser:
    """Build the command-line parser."""
    top = argparse.ArgumentParser(prog="python -m app", description="Larder recognises what is in a picture.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "serve",
        help="start the service",
        description="Start the service. Its settings are environment variables; docs/settings.md lists all of them.",
        epilog=SERVE_SETTINGS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    classify = commands.add_parser("classify", help="classify pictures without a server")
    classify.add_argument("pictures", nargs="+", metavar="PICTURE", help="picture files")
    classify.add_argument(
        "--labels", metavar="A,B,C", help="the labels; by default those of the label file and the pantry"
    )
    classify.add_argument("--top-k", type=int, default=5, metavar="K", help="the number of labels in an answer (5)")
    classify.add_argument("--json", action="store_true", help="print one JSON object per line")
    add_bulk(commands)
    add_pantry(commands)
    add_contents(commands)
    add_feedback(commands)
    add_models(commands)
    return top


def add_bulk(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `bulk` and its subcommands."""
    bulk = commands.add_parser(
        "bulk", help="classify or index many pictures; run again, an interrupted command continues"
    )
    actions = bulk.add_subparsers(dest="action", required=True, metavar="ACTION")
    classify = actions.add_parser("classify", help="write each picture's labels to files in a folder")
    classify.add_argument("--out", type=Path, required=True, metavar="DIR", help="the output folder")
    classify.add_argument(
        "--format", choices=["csv", "jsonl", "parquet"], default="csv", help="the output format (csv)"
    )
    classify.add_argument(
        "--labels", metavar="A,B,C", help="the labels; by default those of the label file and the pantry"
    )
    classify.add_argument("--top-k", type=int, default=5, metavar="K", help="the number of labels in an answer (5)")
    classify.add_argument(
        "--sidecar", choices=["xmp"], help="also write labels as keywords to XMP files beside the pictures"
    )
    classify.add_argument(
        "--threshold", type=float, default=0.8, metavar="P", help="the least probability of such a label (0.8)"
    )
    index = actions.add_parser("index", help="add the pictures to the contents, to be searched")
    index.add_argument(
        "--collection", default="default", metavar="NAME", help="the collection to add them to (default)"
    )
    for action in (classify, index):
        action.add_argument("source", metavar="SOURCE", help="a folder, a parquet file or s3://BUCKET/PREFIX")
        action.add_argument(
            "--part",
            type=int,
            default=1000,
            metavar="N",
            help="pictures per stored chunk, which an interruption loses at most (1000)",
        )
        action.add_argument(
            "--report", type=Path, metavar="FILE", help="list unreadable pictures in this file, as JSON lines"
        )
        action.add_argument("--ray", metavar="ADDRESS", help="run on a Ray cluster; auto: the one on this machine")
        action.add_argument("--json", action="store_true", help="print a summary as a JSON object at the end")


def add_pantry(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `pantry` and its subcommands."""
    pantry = commands.add_parser("pantry", help="import or export the items of the pantry")
    actions = pantry.add_subparsers(dest="action", required=True, metavar="ACTION")
    imports = actions.add_parser("import", help="set the counts of the items in a file; other items are kept")
    imports.add_argument("file", type=Path, metavar="FILE", help="CSV with the header item,count, or JSON lines")
    exports = actions.add_parser("export", help="write all items to a file")
    exports.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="the output file (default: standard output)"
    )
    for action in (imports, exports):
        action.add_argument(
            "--format", choices=["csv", "jsonl"], help="the file's format; by default from its extension"
        )
        action.add_argument("--json", action="store_true", help="print a summary as a JSON object at the end")


def add_contents(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `contents` and its subcommands."""
    contents = commands.add_parser("contents", help="manage the stored texts and pictures")
    actions = contents.add_subparsers(dest="action", required=True, metavar="ACTION")
    again = actions.add_parser("reindex", help="embed all entries again after LARDER_MODEL was changed")
    again.add_argument("--drop", action="store_true", help="delete pictures whose originals were not kept")
    exports = actions.add_parser("export", help="write entries to a file, as JSON lines")
    exports.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the output file (standard output)")
    exports.add_argument("--collection", metavar="NAME", help="only of this collection")
    exports.add_argument("--vectors", action="store_true", help="their embeddings too, so that an import makes none")
    exports.add_argument("--pictures", action="store_true", help="thumbnails too, and originals where they are kept")
    imports = actions.add_parser("import", help="store the entries of a file; an interrupted import resumes")
    imports.add_argument("file", type=Path, metavar="FILE", help="JSON lines, as `export` writes them")
    rename = actions.add_parser("rename", help="rename a collection")
    rename.add_argument("collection", metavar="OLD")
    rename.add_argument("to", metavar="NEW")
    rename.add_argument("--merge", action="store_true", help="also where NEW has entries already")
    delete = actions.add_parser("delete", help="delete a collection with all of its entries")
    delete.add_argument("collection", metavar="NAME")
    duplicates = actions.add_parser("duplicates", help="print groups of near-duplicates, as JSON lines")
    duplicates.add_argument("--collection", metavar="NAME", help="only of this collection")
    duplicates.add_argument(
        "--distance",
        choices=["copy", "scene", "alike"],
        default="copy",
        help="the same picture saved again, the same scene, or things of one kind (copy)",
    )
    for action in (again, exports, imports, rename, delete, duplicates):
        action.add_argument("--json", action="store_true", help="print a summary as a JSON object at the end")


def add_feedback(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `feedback` and its subcommand."""
    feedback = commands.add_parser("feedback", help="export the feedback on answers")
    actions = feedback.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = actions.add_parser("export", help="write the pictures as training data, a folder for each item")
    export.add_argument(
        "folder", type=Path, metavar="FOLDER", help="the output folder, which `python -m app.training train` reads"
    )
    export.add_argument("--json", action="store_true", help="print a summary as a JSON object at the end")


def add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `models` and its subcommands."""
    models = commands.add_parser("models", help="list, export and check model bundles")
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list the bundles")
    export = actions.add_parser("export", help="export an open_clip model to a bundle")
    export.add_argument(
        "model",
        metavar="MODEL",
        help="an open_clip model name, such as ViT-B-32; hf-hub:OWNER/NAME or local-dir:FOLDER; or "
        "hf:OWNER/NAME, a CLIP ViT of the Hugging Face hub, without PyTorch",
    )
    export.add_argument(
        "pretrained",
        nargs="?",
        default="",
        metavar="PRETRAINED",
        help="one of its pretrained tags, `none` for random weights, or the path of a checkpoint",
    )
    export.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the random weights (0)")
    check = actions.add_parser("check", help="compare a bundle with open_clip on pictures, prompts and tokens")
    check.add_argument("bundle", metavar="BUNDLE", help="the name or folder of a bundle")
    check.add_argument(
        "--weights", metavar="PATH", help="the checkpoint that the bundle was exported from, if it was one"
    )
    for action in (listing, export, check):
        action.add_argument(
            "--models", type=Path, default=Path("models"), metavar="DIR", help="the folder of the bundles"
        )
        action.add_argument("--json", action="store_true", help="print one JSON object per line")
