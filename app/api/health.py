"""How the service is: `GET /` for the load balancer, `GET /livez` for whoever restarts it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from app import __version__
from app.api import failures
from app.api.dependencies import Phase, Service, ServiceDep
from app.api.schemas import Health, PantryHealth
from app.errors import Starting
from app.log import get_logger

router = APIRouter(tags=["health"])

_MESSAGES: dict[Phase, str] = {
    "ready": "OK",
    "starting": "the labels are still being encoded",
    "draining": "the service is shutting down",
    "failing": "the encoder does not answer",
}


async def _phase(service: ServiceDep) -> Phase:
    """Ready is proved: the encoder has answered within the last seconds, or answers now."""
    if service.draining:
        return "draining"
    try:
        _ = service.recogniser.label_set
        await service.pipeline.prove(service.blank)
    except Starting:
        return "starting"
    except Exception:  # whatever keeps the encoder from answering, the load balancer must hear of it
        get_logger().exception("the encoder does not answer")
        return "failing"
    return "ready"


@router.head("/", include_in_schema=False)
@router.get("/", responses={503: {"model": Health, "description": "starting, draining, or the encoder fails"}})
async def health(request: Request, service: ServiceDep, phase: Annotated[Phase, Depends(_phase)]) -> Health:
    """Whether the service answers: it proves that the encoder does, not only that the process lives."""
    answer = _health(service, phase)
    if phase == "ready":
        return answer
    error = failures.body(phase, answer.message, request.state.request_id)
    return JSONResponse(answer.model_dump() | error, 503, {"Retry-After": "1"})  # type: ignore[return-value]


def _health(service: Service, phase: Phase) -> Health:
    pantry = service.pantry.status()
    return Health(
        message=_MESSAGES[phase],
        status=phase,
        model=service.model,
        labels=0 if phase == "starting" else len(service.recogniser.label_set.labels),
        pantry=PantryHealth(status=pantry.status, age_s=round(pantry.age_s, 1)),
        version=__version__,
    )


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def alive() -> dict[str, str]:
    """That the process lives and its event loop turns."""
    return {"message": "OK"}
