"""Readiness, `GET /`, for the load balancer; liveness, `GET /livez`, for whatever restarts the service."""

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


async def _state(service: ServiceDep) -> tuple[Phase, str]:
    """The phase and a message. Ready is proved: the encoder answered within the last seconds, or answers now."""
    phase = await _phase(service)
    lost = service.pipeline.lost_decoders
    if phase == "ready" and lost:
        return "failing", f"{lost} decoders have not come back from a picture; restart the service to get them back"
    return phase, _MESSAGES[phase]


async def _phase(service: Service) -> Phase:
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
@router.get("/", responses={503: {"model": Health, "description": "starting, draining, or failing"}})
async def health(request: Request, service: ServiceDep, state: Annotated[tuple[Phase, str], Depends(_state)]) -> Health:
    """Readiness probe: proves that the encoder answers and that no decoder is lost."""
    phase, message = state
    answer = _health(service, phase, message)
    if phase == "ready":
        return answer
    error = failures.body(phase, message, request.state.request_id)
    return JSONResponse(answer.model_dump() | error, 503, {"Retry-After": "1"})  # type: ignore[return-value]


def _health(service: Service, phase: Phase, message: str) -> Health:
    pantry = service.pantry.status()
    return Health(
        message=message,
        status=phase,
        model=service.model,
        labels=0 if phase == "starting" else len(service.recogniser.label_set.labels),
        pantry=PantryHealth(status=pantry.status, age_s=round(pantry.age_s, 1)),
        version=__version__,
    )


@router.head("/livez", include_in_schema=False)
@router.get("/livez")
async def alive() -> dict[str, str]:
    """Liveness probe."""
    return {"message": "OK"}
