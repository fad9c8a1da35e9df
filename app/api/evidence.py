"""What barcodes say of a picture, beside what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.schemas.barcodes import BarcodeFound
from app.images.barcodes import Barcode
from app.pantry.barcodes import barcode_read
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import Recognition


@dataclass(frozen=True)
class Evidence:
    """The label that barcodes decide on, None where they decide on none; and what disagrees, in words."""

    label: Label | None = None
    disagreement: str | None = None
    unknown_code: str | None = None
    """The code that a correction of the answer may tie to the right item; None where that is not clear.

    It is the only article number of the picture, or where there is none the only QR code, and none is tied already:
    packages have QR codes of all kinds beside their article number.
    """


PICTURE_ALONE = Evidence()


def weigh(codes: Sequence[Barcode], tied: Mapping[str, str], recognition: Recognition, label_set: LabelSet) -> Evidence:
    """Weigh the barcodes of a picture, of which some are tied to items, against what it shows.

    One item decides, whatever the picture shows; a picture that is sure of another label disagrees. Several items
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
    """Return why the answer may not be acted upon, in words; empty where it may."""
    return evidence.disagreement or ("" if evidence.label or recognition.sure else recognition.unsure)


def evidence_fields(evidence: Evidence, codes: Sequence[Barcode], tied: Mapping[str, str]) -> dict[str, Any]:
    """Map barcodes and what they say to response fields."""
    forms = [barcode_read(code.text) for code in codes]
    return {
        "barcodes": [
            BarcodeFound(code=form, format=code.format, box=code.box, item=tied.get(form))
            for code, form in zip(codes, forms, strict=True)
        ],
        "evidence": "barcode" if evidence.label else "picture",
        "disagreement": evidence.disagreement,
    }
