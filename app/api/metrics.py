"""The service's numbers, for Prometheus."""

from fastapi import APIRouter
from fastapi.responses import Response

from app.api.dependencies import KEYS, ServiceDep
from app.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"], dependencies=KEYS)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(service: ServiceDep) -> Response:
    """Requests, times by stage, batches, queue, refusals, labels and the pantry's age, in Prometheus' text form."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)
