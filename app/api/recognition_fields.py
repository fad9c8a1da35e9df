"""Response fields of `POST /process-image`: of the picture, its barcodes, and the change of the pantry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.schemas.pantry import BarcodeFound, ItemCount
from app.images.barcodes import Barcode
from app.pantry.barcodes import barcode_read
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import Recognition


@dataclass(frozen=True)
class Evidence:
    """The label determined by barcodes, None if there is none; and a description of any disagreement."""

    label: Label | None = None
    disagreement: str | None = None
    unknown_code: str | None = None
    """The code that a correction of the answer may tie to the right item; None if that is ambiguous.

    It is the only article number of the picture or, without one, the only QR code, and none has an item already:
    packages have all kinds of QR codes beside their article number.
    """


PICTURE_ALONE = Evidence()


def weigh(codes: Sequence[Barcode], tied: Mapping[str, str], recognition: Recognition, label_set: LabelSet) -> Evidence:
    """Combine the barcodes of a picture, some of which have items, with its recognition.

    A single item decides, whatever the picture shows; a picture that is sure of another label disagrees. Several items
    decide nothing.
    """
    if not tied:
        return Evidence(unknown_code=_only_code(codes))
    labels = {label.name: label for label in (label_set.find(item) or Label(item, item=item) for item in tied.values())}
    if len(labels) > 1:
        names = " and ".join(repr(name) for name in labels)
        return Evidence(disagreement=f"the barcodes stand for different items: {names}")
    (label,) = labels.values()
    shown = recognition.ranking.confident and recognition.known is not False
    if shown and recognition.item != label.name:
        return Evidence(label, f"the barcode stands for {label.name!r}, and the image shows {recognition.item!r}")
    return Evidence(label)


def _only_code(codes: Sequence[Barcode]) -> str | None:
    numbers = {barcode_read(code.text) for code in codes if code.format != "qr_code"}
    some = numbers or {barcode_read(code.text) for code in codes}
    return some.pop() if len(some) == 1 else None


def doubt(recognition: Recognition, evidence: Evidence) -> str:
    """Return why the answer must not be acted on; empty if it may."""
    return evidence.disagreement or ("" if evidence.label or recognition.sure else recognition.unsure)


def evidence_fields(evidence: Evidence, codes: Sequence[Barcode], tied: Mapping[str, str]) -> dict[str, Any]:
    """Map barcodes and their evidence to response fields."""
    forms = [barcode_read(code.text) for code in codes]
    return {
        "barcodes": [
            BarcodeFound(code=form, format=code.format, box=code.box, item=tied.get(form))
            for code, form in zip(codes, forms, strict=True)
        ],
        "evidence": "barcode" if evidence.label else "picture",
        "disagreement": evidence.disagreement,
    }


@dataclass(frozen=True)
class ItemUpdate:
    """An item and its count after the update; or why it was refused."""

    after: ItemCount | None = None
    refused: str | None = None


def response_fields(recognition: Recognition) -> dict[str, Any]:
    """Map a recognition to the response fields shared by a picture and its regions."""
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
    """Map a label determined by a barcode to the response fields that replace the picture's label."""
    if decided is None or decided.name == recognition.item:
        return {}
    categories = dict.fromkeys(("category", "category_probability", "confident_category"))
    return {"item": decided.name, "pantry_item": item_name_beside(decided), **categories}


def item_name_beside(label: Label) -> str | None:
    """Return the pantry's name of a label's item if it differs from the label's, otherwise None."""
    return label.item if label.item != label.name else None


def pantry_fields(update: ItemUpdate | None) -> dict[str, Any]:
    """Map an update to response fields, None without an update."""
    return {"pantry": update and update.after, "pantry_refused": update and update.refused}
