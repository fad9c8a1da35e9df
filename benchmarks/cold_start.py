"""Measure a cold start on Lambda: from the start of the process to the first picture recognised.

python -m benchmarks.cold_start [--model ViT-B-32-none] [--engine onnxruntime] [--count 5]

The data folder is empty, as on Lambda; `prepared` has the prompt embeddings beside the service, as the image does. Not
included: Lambda fetching the image, which only Lambda can show.
"""

import argparse
import base64
import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.photo import photo
from harness.runtime_api import ROOT, Environment, http_event

FILES = {"labels": "pantry", "templates": "templates", "background": "background"}
PHOTO = json.dumps({"image_data": base64.b64encode(photo()).decode()})


def start(folder: Path, data: Path, model: str, engine: str) -> Environment:
    """Start an environment as the image does, in a working folder with its own data folder."""
    files = {name: ROOT / f"labels/{file}.txt" for name, file in FILES.items()}
    bundle = ROOT / "models" / model
    return Environment(folder, **files, model=bundle, engine=engine, data=data, pantry="none", log_level="warning")


def cold_start(folder: Path, model: str, engine: str) -> tuple[float, float]:
    """Return the seconds until the process asks for an event, and until it has recognised a picture."""
    with tempfile.TemporaryDirectory() as data, start(folder, Path(data) / "larder", model, engine) as environment:
        ready = environment.ready()
        reply = environment.invoke(http_event("POST", "/process-image", PHOTO))
        return ready, environment.age if reply["statusCode"] == 200 else float("nan")


def prepare(folder: Path, model: str, engine: str) -> None:
    """Write to `folder` what building the image writes: the data folder of a start."""
    with start(folder, folder / "baked", model, engine) as environment:
        while environment.invoke(http_event("GET", "/"))["statusCode"] != 200:
            pass


def main() -> None:
    """Print both sides for one model and engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle")
    parser.add_argument("--engine", default="onnxruntime", help="the engine; the image has onnxruntime")
    parser.add_argument("--count", type=int, default=5, help="starts on each side, of which the median is printed")
    options = parser.parse_args()
    print(f"{options.model}, {options.engine}: seconds from the start of the process, median of {options.count}")
    with tempfile.TemporaryDirectory() as bare, tempfile.TemporaryDirectory() as prepared:
        prepare(Path(prepared), options.model, options.engine)
        for name, folder in (("nothing prepared", bare), ("prepared", prepared)):
            starts = [cold_start(Path(folder), options.model, options.engine) for _ in range(options.count)]
            ready, first = (statistics.median(column) for column in zip(*starts, strict=True))
            print(f"{name:18} ready {ready:6.2f}   first answer {first:6.2f}", flush=True)


if __name__ == "__main__":
    main()
