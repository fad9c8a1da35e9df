"""A pantry robot's loop: recognise frames from a folder or a camera, several together, and count an item once sure.

    pip install ./client
    python examples/robot.py frames/                        # every picture of a folder, by name
    python examples/robot.py --camera 0                     # a camera, with `pip install opencv-python`
    python examples/robot.py frames/ --aside unsure/        # keep a frame of what was unsure or unknown, to teach it
    python examples/robot.py oats/ --teach "oat drink"      # a new product, by up to 32 pictures of it
    python examples/robot.py --undo                         # take back the latest count

A thing stays in front of a robot for many frames, so the last `--agree` frames are recognised together. An item that
they agree on is counted once, and again only after they disagreed or showed something else.
"""

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from larder_client import Larder, LarderError, Recognition, Refused
from larder_client.pictures import as_file

MOST = 32  # frames that teach
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".heic", ".avif"}


def frames_of_folder(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the pictures of a folder by name."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in ENDINGS:
            yield path.name, path


def frames_of_camera(number: int) -> Iterator[tuple[str, Any]]:
    """Yield a camera's frames as RGB arrays (H, W, 3), until it is unplugged."""
    try:
        import cv2  # type: ignore[import-not-found]  # for those who have a camera
    except ImportError as error:
        raise OSError("--camera needs OpenCV: pip install opencv-python") from error
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise OSError(f"camera {number} cannot be opened")
    count = 0
    while True:
        there, frame = camera.read()
        if not there:
            return
        count += 1
        yield f"frame {count}", frame[..., ::-1].copy()  # OpenCV's are BGR


def sure(found: Recognition) -> str | None:
    """Return the item if the answer may be acted on."""
    return found.stored_as if found.confident and found.known is not False else None


def watch(larder: Larder, frames: Iterator[tuple[str, Any]], agree: int, aside: Path | None) -> dict[str, int]:
    """Count what the frames show, and save the first of those that are unsure; returns what was added."""
    added: dict[str, int] = {}
    last: deque[Any] = deque(maxlen=agree)
    counted: str | None = ""
    for name, frame in frames:
        last.append(frame)
        if len(last) < agree:
            continue
        try:
            found = larder.recognise_frames(list(last))
        except Refused as error:  # one broken frame does not end the loop
            print(f"{name}: {error}", file=sys.stderr)
            last.clear()
            continue
        item = sure(found)
        print(f"{name}: {found.item} {int(found.top_k_scores[0] * 100)}%{'' if item else ', not sure'}")
        if item and item != counted:
            after = larder.add(item)
            added[item] = added.get(item, 0) + 1
            print(f"  counted: {after.count} {item} in the pantry")
        elif aside and item != counted:  # no item: unsure or unknown, and the previous answer was not
            path = aside / (Path(name).name if isinstance(frame, Path) else f"{name}.jpg")
            path.write_bytes(as_file(frame, shrink=False))
            print(f"  set aside: {path}")
        counted = item
    return added


def teach(larder: Larder, item: str, frames: Iterator[tuple[str, Any]]) -> None:
    """Teach an item by the first frames, and print the warnings."""
    named = list(islice(frames, MOST))
    for (name, _), example in zip(named, larder.teach(item, [frame for _, frame in named]), strict=True):
        remarks = ["much like another one"] if example.near_duplicate_of else []
        remarks += [f"looks like {example.contradicts}"] if example.contradicts else []
        print(f"{name}: taught as {item}" + "".join(f"; {remark}" for remark in remarks))


def undo(larder: Larder) -> None:
    """Undo the latest addition that was not undone."""
    added = (each for each in larder.journal() if each.action == "add" and not each.undone_by)
    if change := next(added, None):
        print(f"undone: {change.item}, added at {change.at}: {larder.undo(change.id).after or 0} in the pantry")
    else:
        print("nothing to undo")


def main() -> int:
    """Run the loop."""
    parser = argparse.ArgumentParser(description="Watch frames and count what they show.")
    parser.add_argument("folder", type=Path, nargs="?", help="a folder of pictures")
    parser.add_argument("--camera", type=int, metavar="N", help="a camera's number instead")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the service")
    parser.add_argument("--key", help="its key")
    parser.add_argument("--agree", type=int, default=2, metavar="N", help="frames that are answered together (2)")
    parser.add_argument("--teach", metavar="ITEM", help="teach this item by the frames, instead of watching")
    parser.add_argument("--aside", type=Path, metavar="DIR", help="keep frames of what is unsure or unknown here")
    parser.add_argument("--undo", action="store_true", help="take back the latest count, instead of watching")
    options = parser.parse_args()
    if not options.undo and (options.folder is None) == (options.camera is None):
        parser.error("name a folder or a camera")
    frames = frames_of_folder(options.folder) if options.folder else frames_of_camera(options.camera)
    try:
        with Larder(options.url, options.key) as larder:
            if options.undo:
                undo(larder)
            elif options.teach:
                teach(larder, options.teach, frames)
            else:
                if options.aside:
                    options.aside.mkdir(parents=True, exist_ok=True)
                watch(larder, frames, options.agree, options.aside)
    except (LarderError, OSError) as error:
        print(f"robot: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
