"""Measure `known` by words alone: python -m benchmarks.words_alone DATA [--model larder-small].

The bundle's own calibration and background are not used. Groceries are those of test_sample; other things and other
food are the second half of `things`: the share of nouns was chosen on the first half and on val.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from app.evaluation.confidence import auroc
from app.evaluation.model import Measured, open_measured
from app.model.engines import Floats
from app.recognition.labels import parse_labels
from app.recognition.vocabulary import background_of_words, label_set, read_prompts
from app.recognition.zero_shot import Recogniser, log_sum_exp
from app.training.words.kinds import FOODS
from app.training.words.wordnet import read_wordnet

LABELS = Path("labels")
FRUIT = "n13134947"  # WordNet's fruit of a plant, which is not food there


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="larder-small")
    options = parser.parse_args()
    model, wordnet = open_measured(options.model, Path("data")), read_wordnet()
    rows = pq.read_table(options.data / "things/pictures.parquet").to_pylist()[1::2]
    food = np.array([bool(wordnet.above(row["synset"]).keys() & {*FOODS, FRUIT}) for row in rows])
    things, groceries = (
        _pictures(model, rows),
        _pictures(model, pq.read_table(options.data / "grocery/test_sample.parquet").to_pylist()),
    )
    background = background_of_words(
        model.encoder, read_prompts(LABELS / "background.txt"), read_prompts(LABELS / "nouns.txt")
    )
    parsed = parse_labels((LABELS / "pantry.txt").read_text(), 200)
    labels = label_set(parsed, read_prompts(LABELS / "templates.txt"), model.encoder, background)
    scale, rivals = model.config.logit_scale, background.beside(labels.prototypes)
    recogniser = Recogniser(labels, scale, None)

    def lead(pictures: Floats) -> Floats:
        """Return the log-odds (N,) of the labels against the background."""
        sides = [log_sum_exp(scale * (pictures @ vectors.T)) for vectors in (labels.prototypes, rivals)]
        return np.asarray(sides[0] - sides[1])

    print(f"{len(parsed)} labels, {len(background.embeddings)} prompts and nouns, {len(rivals)} beside the labels")
    for name, pictures in {"groceries": groceries, "other things": things[~food], "other food": things[food]}.items():
        answers = [recogniser.recognise(picture, top_k=5, threshold=0.8) for picture in pictures]
        known, counted = np.mean([each.known for each in answers]), np.mean([each.sure for each in answers])
        area = auroc(lead(groceries), lead(pictures))
        print(f"{name:<14}{len(pictures):>5} pictures  known {known:6.1%}  counted {counted:6.1%}  AUROC {area:.4f}")


def _pictures(model: Measured, rows: list[dict[str, dict[str, bytes]]]) -> Floats:
    return model.vectors([row["image"]["bytes"] for row in rows], "pictures")


if __name__ == "__main__":
    main()
