"""The merged label set."""

from fastapi import APIRouter

from app.api.dependencies import KEYS, ServiceDep
from app.api.schemas import LabelEntry, Labels

router = APIRouter(tags=["labels"], dependencies=KEYS)


@router.get("/labels")
async def labels(service: ServiceDep) -> Labels:
    """The labels that pictures are recognised among: the label file's in their order, then the pantry's by name."""
    label_set = service.recogniser.label_set
    entries = [
        LabelEntry(label=label.name, synonyms=list(label.synonyms), sources=list(label.sources))
        for label in label_set.labels
    ]
    return Labels(version=label_set.version, count=len(entries), labels=entries)
