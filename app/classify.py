"""The command `classify`: recognise picture files without a server."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from app.components import (
    Model,
    open_background,
    open_model,
    open_pantry,
    open_preparer,
    open_recogniser,
    open_vocabulary,
)
from app.errors import InvalidLabels, InvalidRequest, LarderError
from app.recognition.labels import parse_labels
from app.recognition.vocabulary import label_set, read_templates
from app.recognition.zero_shot import Recogniser, Recognition
from app.settings import Settings

THRESHOLD = 0.8


def classify(settings: Settings, pictures: Sequence[str], labels: str | None, top_k: int, as_json: bool) -> int:
    """Print an answer for each picture as it is ready; return 1 if some could not be read, else 0."""
    if top_k < 1:
        raise InvalidRequest(f"--top-k: {top_k} was found; it must be at least 1")
    model = open_model(settings)
    recogniser = recogniser_for(settings, model, labels)
    preparer = open_preparer(settings, model)
    failed = False
    for name in tqdm(pictures, unit="picture", disable=len(pictures) < 10 or not sys.stderr.isatty()):
        try:
            pixels = preparer.pixels(Path(name).read_bytes())  # (3, S, S)
            vector = model.encoder.pictures([pixels])[0]  # (D,)
            answer = recogniser.recognise(vector, top_k=top_k, threshold=THRESHOLD)
        except (LarderError, OSError) as error:
            failed = True
            reason = error.strerror if isinstance(error, OSError) else str(error)
            print(f"{name}: {reason}", file=sys.stderr)
        else:
            print(json.dumps({"picture": name} | _fields(answer)) if as_json else _text(name, answer), flush=True)
    return int(failed)


def recogniser_for(settings: Settings, model: Model, labels: str | None) -> Recogniser:
    """Return a recogniser for the comma-separated labels; without them, for those of the service."""
    if labels is None:
        vocabulary = open_vocabulary(settings, model, open_pantry(settings), open_background(settings, model))
        vocabulary.refresh()
        return open_recogniser(settings, model, vocabulary)
    parsed = parse_labels(labels.replace(",", "\n"), settings.max_label_length)
    if not parsed:
        raise InvalidLabels("--labels: no label was found; give them as a,b,c")
    background = open_background(settings, model) if model.tells_known else None
    fixed = label_set(parsed, read_templates(settings.templates), model.encoder, background)
    return open_recogniser(settings, model, fixed)


def _fields(answer: Recognition) -> dict[str, object]:
    """Return the answer with the field names of `POST /process-image`."""
    ranking = answer.ranking
    return {
        "item": answer.labels[0].name,
        **_categories(answer),
        "confident": ranking.confident,
        "known": answer.known,
        "similarity_score": ranking.probabilities[0],
        "calibrated_probability": ranking.calibrated_probability,
        "top_k_items": [label.name for label in answer.labels],
        "top_k_scores": ranking.scores,
        "top_k_probabilities": ranking.probabilities,
        "top_k_cosines": ranking.cosines,
        "label_count": answer.label_count,
    }


def _categories(answer: Recognition) -> dict[str, object]:
    """Return the category of the best label as in `POST /process-image`, if it has one."""
    if answer.category is None:
        return {}
    category, probability = answer.category
    found = {"category": category, "category_probability": probability}
    sure = answer.confident_category
    return found | ({"confident_category": sure} if sure else {})


def _text(name: str, answer: Recognition) -> str:
    sure = "confident" if answer.ranking.confident else "not confident"
    unknown = "; perhaps none of these" if answer.known is False else ""
    category = f"; category {answer.confident_category}" if answer.confident_category else ""
    lines = [f"{name}: {answer.labels[0].name} ({sure}{category}{unknown})"]
    rows = zip(answer.labels, answer.ranking.probabilities, answer.ranking.cosines, strict=True)
    lines += [f"  {probability:7.2%}  cosine {cosine:.3f}  {label.name}" for label, probability, cosine in rows]
    return "\n".join(lines)
