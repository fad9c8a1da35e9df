"""What routes are given: the parts of the running service, each under an alias."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from app.engines import Floats
from app.metrics import Metrics
from app.pantry import PantryStore
from app.pipeline import Pipeline
from app.recognition import Recogniser


@dataclass
class Service:
    """The running service: what lives as long as the app."""

    model: str
    pipeline: Pipeline
    recogniser: Recogniser
    pantry: PantryStore
    blank: Floats
    metrics: Metrics
    draining: bool = False


class State(TypedDict):
    """The app's lifespan state."""

    service: Service


def _service(request: Request) -> Service:
    service: Service = request.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]

# For the OpenAPI document alone: the check itself is KeyMiddleware's, which no route can forget
KEYS = [Security(HTTPBearer(auto_error=False)), Security(APIKeyHeader(name="X-API-Key", auto_error=False))]

Phase = Literal["ready", "starting", "draining", "failing"]
