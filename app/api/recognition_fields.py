"""Recognitions and updates of the pantry as fields of the responses of `POST /process-image`."""

from dataclasses import dataclass
from typing import Any

from app.api.schemas.pantry import ItemCount
from app.recognition.labels import Label
from app.recognition.zero_shot import Recognition


@dataclass(frozen=True)
class ItemUpdate:
    """An item and its count after the update; or why it was not updated."""

    after: ItemCount | None = None
    refused: str | None = None


def response_fields(recognition: Recognition) -> dict[str, Any]:
    """Map a recognition to the response fields that one picture and each region have in common."""
    ranking = recognition.ranking
    return {
        "item": recognition.item,
        "pantry_item": item_name_beside(recognition.label),
        "message": 1 if ranking.confident else 0,
        "similarity_score": ranking.probabilities[0],
        "calibrated_probability": ranking.calibrated_probability,
        "top_k_items": [label.name for label in recognition.labels],
        "top_k_scores": ranking.scores,
        "confident": ranking.confident,
        "category": recognition.category and recognition.category[0],
        "category_probability": recognition.category and recognition.category[1],
        "confident_category": recognition.confident_category,
        "known": recognition.known,
        "top_k_probabilities": ranking.probabilities,
        "top_k_cosines": ranking.cosines,
    }


def decided_fields(decided: Label | None, recognition: Recognition) -> dict[str, Any]:
    """Map a label that a barcode decided on to the response fields that say so in place of the picture's label."""
    if decided is None or decided.name == recognition.item:
        return {}
    categories = dict.fromkeys(("category", "category_probability", "confident_category"))
    return {"item": decided.name, "pantry_item": item_name_beside(decided), **categories}


def item_name_beside(label: Label) -> str | None:
    """Return the pantry's name of a label's item where it differs from the label's, None where it does not."""
    return label.item if label.item != label.name else None


def pantry_fields(update: ItemUpdate | None) -> dict[str, Any]:
    """Map an update to response fields, None where there was no update."""
    return {"pantry": update and update.after, "pantry_refused": update and update.refused}
