"""Request context of /process-image, and how its results become response fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import Service
from app.api.recognition_schemas import ProcessImage, ProcessImageAnswer
from app.api.schemas import ItemCount
from app.model.engines import Floats
from app.recognition.labels import Label
from app.recognition.recogniser import Recognition


@dataclass(frozen=True)
class Counted:
    """An item and its count after the update; without one, why the pantry cannot have the label as an item."""

    after: ItemCount | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Task:
    """A request, and what it is worked on with; `key` is its `Idempotency-Key`."""

    service: Service
    body: ProcessImage
    key: str | None
    request_id: str

    def recognise(self, vector: Floats) -> Recognition:
        """What the picture of a vector (D,) shows."""
        with self.service.ranking():
            return self.service.recogniser.recognise(vector, top_k=self.body.top_k, threshold=self.body.threshold)

    async def recognise_all(self, vectors: Sequence[Floats]) -> list[Recognition]:
        """The same of several vectors, off the event loop: among thousands of labels each takes milliseconds."""
        return await run_in_threadpool(lambda: [self.recognise(vector) for vector in vectors])

    def answer(self, found: Recognition, counted: Mapping[str, Counted], **more: Any) -> ProcessImageAnswer:
        """The answer, with the item's count after the update."""
        facts: dict[str, Any] = {"label_count": found.label_count, "model": self.service.model}
        return ProcessImageAnswer(**seen(found), **facts, **pantry_fields(counted.get(found.item)), **more)


def seen(found: Recognition) -> dict[str, Any]:
    """A recognition in the words of the wire."""
    ranking = found.ranking
    return {
        "item": found.item,
        "pantry_item": own_name(found.label),
        "message": 1 if ranking.confident else 0,
        "similarity_score": ranking.probabilities[0],
        "calibrated_probability": ranking.calibrated_probability,
        "top_k_items": [label.name for label in found.labels],
        "top_k_scores": ranking.scores,
        "confident": ranking.confident,
        "known": found.known,
        "top_k_probabilities": ranking.probabilities,
        "top_k_cosines": ranking.cosines,
    }


def own_name(label: Label) -> str | None:
    """The pantry's name of a label's item, where it is another name than the label's."""
    return label.item if label.item != label.name else None


def pantry_fields(counted: Counted | None) -> dict[str, Any]:
    """What became of the update; None where there was none."""
    return {"pantry": counted and counted.after, "pantry_refused": counted and counted.refused}
