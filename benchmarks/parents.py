"""How often the category is right although the kind is wrong: python -m benchmarks.parents DATA [--split test_sample].

Photographs of groceries among all labels of labels/pantry.txt; a category is right if it is one of the picture's class.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from app.evaluation.model import open_measured
from app.recognition.labels import parse_labels
from app.recognition.vocabulary import label_set, read_prompts
from app.recognition.zero_shot import Recogniser

LABELS = Path("labels")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test_sample")
    parser.add_argument("--model", default="larder-small")
    options = parser.parse_args()
    model = open_measured(options.model, Path("data"))
    rows = pq.read_table(options.data / f"grocery/{options.split}.parquet").to_pylist()
    parsed = parse_labels((LABELS / "pantry.txt").read_text(), 200)
    labels = label_set(parsed, read_prompts(LABELS / "templates.txt"), model.encoder)
    recogniser = Recogniser(labels, model.config.logit_scale, None)
    vectors = model.vectors([row["image"]["bytes"] for row in rows], options.split)
    answers = [recogniser.recognise(vector, top_k=5, threshold=0.8) for vector in vectors]
    truths = [parsed[row["label"]] for row in rows]
    right = np.array([answer.label.name == truth.name for answer, truth in zip(answers, truths, strict=True)])
    sure = np.array([answer.ranking.confident for answer in answers])
    parents = [answer.confident_category for answer in answers]
    said = np.array([parent is not None for parent in parents])
    own = np.array([parent in truth.categories for parent, truth in zip(parents, truths, strict=True)])
    for name, part in {
        "all": np.ones_like(right), "kind right and sure": right & sure, "kind wrong": ~right,
        "kind wrong and sure": ~right & sure, "kind not sure": ~sure, "kind wrong and not sure": ~right & ~sure,
    }.items():  # fmt: skip
        count = int(part.sum())
        shares = (said[part].mean(), own[part & said].mean()) if count and (part & said).any() else (0.0, 0.0)
        print(
            f"{name:<26}{count:>5} pictures  a category is sure {shares[0]:6.1%}  and right {shares[1]:6.1%} of those"
        )


if __name__ == "__main__":
    main()
