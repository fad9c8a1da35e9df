"""Which category of unwanted pictures does a photo belong to? One call, best category first.

    python examples/moderation.py photo.jpg --url http://127.0.0.1:8000

The phrases are in labels/moderation.txt; the scores are the service's own. Serve CLIP ViT-B/32 for this
(LARDER_MODEL=ViT-B-32-openai): larder-small was trained on groceries and knows nothing about these phrases, so its
answers are useless here. No model of this kind decides alone: have a person look at what it finds, and at samples of
the rest. Needs only Python.
"""

import argparse
import base64
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

PHRASES = Path(__file__).parent.parent / "labels/moderation.txt"


def read_phrases(path: Path) -> dict[str, str]:
    """Read the lines `phrase | category` of a file as a map; `#` lines and blank ones are skipped."""
    lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip() and line[0] != "#"]
    pairs = [line.rpartition("|") for line in lines]
    return {phrase.strip(): category.strip() for phrase, _, category in pairs}


def classify(url: str, key: str, picture: bytes, labels: dict[str, str], mode: str) -> dict[str, float]:
    """Return each category's probability; raises urllib.error.URLError."""
    body = {"image_data": base64.b64encode(picture).decode(), "labels": labels, "mode": mode}
    headers = {"Content-Type": "application/json"} | ({"X-API-Key": key} if key else {})
    request = urllib.request.Request(f"{url}/classify", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, dict[str, float]] = json.load(response)
    return answer["categories"]


def main() -> int:
    """Print the table; returns 1 if there is no answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="a picture file")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the service; its key is LARDER_API_KEY's")
    parser.add_argument("--phrases", type=Path, default=PHRASES, help="lines of the form: phrase | category")
    parser.add_argument(
        "--independent", action="store_true", help="each category by itself: a picture may belong to several, or none"
    )
    options = parser.parse_args()
    mode = "independent" if options.independent else "exclusive"
    key = os.environ.get("LARDER_API_KEY", "")
    try:
        labels = read_phrases(options.phrases)
        scores = classify(options.url, key, options.picture.read_bytes(), labels, mode)
    except urllib.error.HTTPError as error:
        print(f"{error.code}: {json.load(error)['detail']}", file=sys.stderr)
        return 1
    except OSError as error:  # no such file, or no answer
        print(error, file=sys.stderr)
        return 1
    for category, score in sorted(scores.items(), key=lambda pair: -pair[1]):
        print(f"{score:7.1%}  {category}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
