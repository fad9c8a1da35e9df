"""The ASGI app: routes and middlewares over the components that the settings name."""

from collections.abc import Callable, MutableMapping
from typing import Any

from fastapi import FastAPI
from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware
from fastapi.telemetry import TelemetryConfig
from fastapi_offline import FastAPIOffline

from app import __version__
from app.api import (
    barcodes,
    classify,
    contents,
    duplicates,
    events,
    failures,
    pantry,
    process_image,
    review,
    status,
    teaching,
    teaching_report,
)
from app.api.bodies import AdmissionMiddleware, BodyMiddleware
from app.api.foreign import hugging_face, mv_retrieval, openai
from app.api.media_types import max_elements
from app.api.middleware import OPEN_PATHS, AccessMiddleware, EncodedSlashMiddleware, RequestMiddleware
from app.components import Model, open_components, open_followers
from app.errors import LarderError
from app.lifespan import lifespan_of
from app.log import configure
from app.metrics import Metrics
from app.native import bound_memory
from app.pantry import PantryStore
from app.serving.keys import Keys
from app.settings import Settings, allowed_hosts, read_settings, traced
from app.tracing import open_tracing

TELEMETRY = TelemetryConfig(metrics=False, logs=False, operation_spans=False)  # FastAPI makes only the traces
CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT", "DELETE"],
    "allow_headers": ["*"],  # client libraries add headers of their own; there are no cookies to protect
    "expose_headers": ["Retry-After", "X-Request-ID"],
}
DESCRIPTION = "Larder recognises what is in a picture, says how sure it is, and keeps the pantry's counts."


KEY_SCHEMES = {  # either is enough, see `check_key`
    "HTTPBearer": {"type": "http", "scheme": "bearer"},
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def _with_keys(openapi: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Describe the API key, which AccessMiddleware checks; FastAPI's own `Security` would run in each request."""

    def described() -> dict[str, Any]:
        document = openapi()
        document["components"]["securitySchemes"] = KEY_SCHEMES
        for path, operations in document["paths"].items():
            if path not in OPEN_PATHS:
                for operation in operations.values():
                    operation["security"] = [{name: []} for name in KEY_SCHEMES]
        return document

    return described


def _not_traced(scope: MutableMapping[str, Any]) -> bool:
    return scope["type"] == "http" and scope["path"] in OPEN_PATHS


def middlewares(settings: Settings, keys: Keys, metrics: Metrics) -> list[Middleware]:
    """Return the middlewares in the order in which they see a request."""
    outermost = [Middleware(CORSMiddleware, allow_origins=settings.cors, **CORS)] if settings.cors else []
    return [
        *outermost,
        Middleware(RequestMiddleware, metrics=metrics),
        Middleware(AccessMiddleware, keys=keys, origins=settings.cors, hosts=allowed_hosts(settings), metrics=metrics),
        Middleware(AdmissionMiddleware, most=settings.max_queue, most_bytes=settings.max_queue_bytes),
        Middleware(BodyMiddleware, max_bytes=settings.max_body, max_elements=max_elements(settings.max_labels)),
        Middleware(EncodedSlashMiddleware),
    ]


def create_app(
    settings: Settings | None = None, model: Model | None = None, store: PantryStore | None = None
) -> FastAPI:
    """Build the app and open its model; settings default to the environment.

    Raises SystemExit with one line if a setting, the bundle, the labels or the pantry cannot be used.
    """
    try:
        settings = settings or read_settings()
        configure(settings.log_level)
        bound_memory()
        keys = Keys([key.get_secret_value() for key in settings.api_keys], settings.api_keys_file)
        tracing = open_tracing(__version__) if traced() else None
        components = open_components(settings, model, store)
        metrics = Metrics()
        followers = open_followers(settings, components.pantry, metrics)
    except LarderError as error:
        raise SystemExit(f"larder cannot start: {error}") from error
    metrics.model(components.model.name, __version__)
    app = FastAPIOffline(  # /docs and /redoc without a content delivery network
        title="Larder",
        version=__version__,
        description=DESCRIPTION,
        responses=failures.ANYWHERE,
        redirect_slashes=False,  # a redirect would lack a prefix that a proxy has stripped
        lifespan=lifespan_of(settings, components, metrics, keys, followers),
        middleware=middlewares(settings, keys, metrics),
        telemetry=TELEMETRY | {"tracing": bool(tracing), "exclude": _not_traced},
    )
    recognition = (process_image, classify, openai, hugging_face)  # first: routes are matched one after another
    kept = (pantry, barcodes, teaching, teaching_report, review)
    for routes in (*recognition, status, *kept, duplicates, contents, mv_retrieval, events):
        app.include_router(routes.router)
    app.include_router(pantry.journal_router)
    failures.add_handlers(app)
    app.openapi = _with_keys(app.openapi)  # type: ignore[method-assign]
    return app
