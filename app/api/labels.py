"""`GET /labels`: the merged label set."""

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from app.api.dependencies import KEYS, ServiceDep
from app.api.schemas import LabelEntry, Labels
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet

router = APIRouter(tags=["labels"], dependencies=KEYS)


@router.get("/labels", response_model=Labels)
async def labels(service: ServiceDep) -> Response:
    """The labels that pictures are recognised among: the label file's in their order, then the pantry's by name."""
    body = await run_in_threadpool(_serialised, service.recogniser.label_set)  # 20,000 labels take 50 ms
    return Response(body, media_type="application/json")


def _serialised(label_set: LabelSet) -> str:
    """The form `Labels`, one label after the other: tens of thousands of objects at a time would wake the collector."""
    entries = ",".join(_entry(label).model_dump_json() for label in label_set.labels)
    return f'{{"version":"{label_set.version}","count":{len(label_set.labels)},"labels":[{entries}]}}'


def _entry(label: Label) -> LabelEntry:
    own = label.item if label.item != label.name else None
    return LabelEntry(label=label.name, synonyms=list(label.synonyms), sources=list(label.sources), item=own)
