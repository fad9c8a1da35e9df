"""The state of the service: readiness, liveness, the merged labels, metrics."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from app import __version__
from app.api import failures
from app.api.dependencies import Phase, Service, ServiceDep
from app.log import get_logger
from app.metrics import CONTENT_TYPE
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet

router = APIRouter()

_MESSAGES: dict[Phase, str] = {
    "ready": "OK",
    "starting": "the labels are still being encoded",
    "draining": "the service is shutting down",
    "failing": "the encoder does not answer",
}


class PantryHealth(BaseModel):
    """The state of the pantry: `ok`, `stale` or `none`; `age_s` is the age of the data that is served."""

    status: str
    age_s: float


class Health(BaseModel):
    """The state of the service."""

    message: str
    status: Literal["ready", "starting", "draining", "failing"]
    model: str
    labels: int
    pantry: PantryHealth
    version: str
    scope: str | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="what the model knows and what it does not, where its bundle says so",
    )


class LabelEntry(BaseModel):
    """A label, its other names, and where it comes from."""

    label: str
    synonyms: list[str]
    sources: list[str]
    categories: list[str] = Field(
        [], exclude_if=lambda value: not value, description="its categories, the narrowest first; only where it has any"
    )
    item: str | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="the pantry's name of the label's item, where it differs",
    )


class Labels(BaseModel):
    """The merged label set; `version` changes with it."""

    version: str
    count: int
    labels: list[LabelEntry]


async def _state(service: ServiceDep) -> tuple[Phase, str]:
    """Return the phase and a message; `ready` only if the encoder answered seconds ago, or answers now."""
    phase = await _phase(service)
    lost = service.pipeline.lost_decoders
    if phase == "ready" and lost:
        return "failing", f"{lost} decoders have not come back from an image; restart the service to free them"
    return phase, _MESSAGES[phase]


async def _phase(service: Service) -> Phase:
    if service.draining:
        return "draining"
    if service.starting:
        return "starting"
    try:
        await service.pipeline.prove()
    except Exception:  # any failure makes the service unhealthy
        get_logger().exception("the encoder does not answer")
        return "failing"
    return "ready"


@router.head("/", include_in_schema=False)
@router.get("/", tags=["health"], responses={503: {"model": Health, "description": "starting, draining, or failing"}})
async def health(request: Request, service: ServiceDep, state: Annotated[tuple[Phase, str], Depends(_state)]) -> Health:
    """Readiness probe: proves that the encoder answers and that no decoder is lost."""
    phase, message = state
    answer = _health(service, phase, message)
    if phase == "ready":
        return answer
    error = failures.body(phase, message, request.state.request_id)
    return JSONResponse(answer.model_dump() | error, 503, {"Retry-After": "1"})  # type: ignore[return-value]


def _health(service: Service, phase: Phase, message: str) -> Health:
    pantry = service.pantry.store.status()
    return Health(
        message=message,
        status=phase,
        model=service.model.name,
        labels=0 if phase == "starting" else len(service.recogniser.label_set.labels),
        pantry=PantryHealth(status=pantry.status, age_s=round(pantry.age_s, 1)),
        version=__version__,
        scope=service.scope,
    )


@router.head("/livez", include_in_schema=False)
@router.get("/livez", tags=["health"])
async def alive() -> dict[str, str]:
    """Liveness probe."""
    return {"message": "OK"}


@router.get("/labels", tags=["labels"], response_model=Labels)
async def labels(service: ServiceDep) -> Response:
    """List the labels that images are recognised among: the label file's in their order, then the pantry's by name."""
    body = await run_in_threadpool(_serialised, service.recogniser.label_set)  # 20,000 labels take 50 ms
    return Response(body, media_type="application/json")


def _serialised(label_set: LabelSet) -> str:
    """Serialise the schema `Labels` label by label: tens of thousands of objects would trigger a collection."""
    entries = ",".join(_entry(label).model_dump_json() for label in label_set.labels)
    return f'{{"version":"{label_set.version}","count":{len(label_set.labels)},"labels":[{entries}]}}'


def _entry(label: Label) -> LabelEntry:
    own = label.item if label.item != label.name else None
    return LabelEntry(
        label=label.name,
        synonyms=list(label.synonyms),
        sources=list(label.sources),
        categories=list(label.categories),
        item=own,
    )


@router.get(
    "/metrics",
    tags=["health"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(service: ServiceDep) -> Response:
    """Get the metrics in Prometheus' text form: requests, stage times, batches, queue, refusals, labels, pantry age."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)
