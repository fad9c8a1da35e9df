"""Map exceptions to error responses: one table, one shape."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from app import errors
from app.api.schemas.base import Error

TABLE: dict[type[errors.LarderError], tuple[int, str]] = {
    errors.InvalidRequest: (422, "invalid_request"),
    errors.InvalidLabels: (422, "invalid_labels"),
    errors.InvalidImage: (400, "invalid_image"),
    errors.UnsupportedImage: (415, "unsupported_image"),
    errors.ImageTooLarge: (413, "image_too_large"),
    errors.NotFound: (404, "not_found"),
    errors.Conflict: (409, "conflict"),
    errors.Unauthorized: (401, "unauthorized"),
    errors.Forbidden: (403, "forbidden"),
    errors.RequestTimeout: (408, "request_timeout"),
    errors.Overloaded: (503, "overloaded"),
    errors.Starting: (503, "starting"),
    errors.Draining: (503, "draining"),
    errors.StoreUnavailable: (503, "store_unavailable"),
}
INTERNAL = (500, "internal_error")
UNREADABLE = "invalid JSON: expected UTF-8, at most a few hundred nesting levels and 4,300-digit numbers"

# Error responses of any call, for the OpenAPI document
ANYWHERE: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": why}
    for status, why in {
        401: "wrong or missing API key, where keys are set",
        403: "a change by a web page of another origin, or a host name that is not allowed, where no keys are set",
        408: "the body did not arrive in time; nothing was carried out",
        413: "the body has too many bytes, or the image too many pixels",
        422: "invalid request",
        500: "internal error; see the log entry for this request id",
        503: "try again after Retry-After seconds",
    }.items()
}
# and further ones of calls that take an image
PICTURE: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "not base64, not an image, or a truncated image"},
    415: {"model": Error, "description": "image format not accepted"},
}


class Failure(JSONResponse):
    """An error response; it leaves its code in the request's state, for the metrics."""

    def __init__(
        self, code: str, message: str, request_id: str, status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(body(code, message, request_id), status, headers)
        self._code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["code"] = self._code
        await super().__call__(scope, receive, send)


def answer(error: Exception, request_id: str) -> Failure:
    """Return the response to a request that failed with `error`; internal errors do not disclose their message."""
    status, code = TABLE.get(type(error), INTERNAL) if isinstance(error, errors.LarderError) else INTERNAL
    message = "internal error; see the log entry for this request_id" if status == 500 else str(error)
    headers = {}
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Draining | errors.RequestTimeout):
        headers["Connection"] = "close"  # the next request reaches another service; the rest of a late body is not read
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return Failure(code, message, request_id, status, headers)


def body(code: str, message: str, request_id: str) -> dict[str, object]:
    """Return the body of an error; `detail` repeats the message for clients that expect FastAPI's own shape."""
    message = message.encode("utf-8", "backslashreplace").decode()  # a lone surrogate must not break the answer
    return {"error": {"code": code, "message": message, "request_id": request_id}, "detail": message}


def add_handlers(app: FastAPI) -> None:
    """Make the app answer our exceptions and the framework's in the same shape."""

    @app.exception_handler(errors.LarderError)
    async def ours(request: Request, error: errors.LarderError) -> JSONResponse:
        if type(error) not in TABLE:
            raise error  # an internal error: logged and answered by the outermost layer
        return answer(error, request.state.request_id)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(errors.InvalidRequest(describe(error)), request.state.request_id)

    @app.exception_handler(HTTPException)
    async def frameworks(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.NOT_FOUND:
            return answer(errors.NotFound(f"there is no {request.url.path}"), request.state.request_id)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            message = f"{request.url.path} does not allow the method {request.method}"
            # the framework names only the methods of the first matching route, the document those of all
            methods = request.app.openapi()["paths"].get(
                getattr(request.scope.get("route"), "path_format", ""), {"get": None}
            )
            allow = {"Allow": ", ".join(method.upper() for method in methods)}
            return Failure("invalid_request", message, request.state.request_id, 405, allow)
        return answer(errors.InvalidRequest(UNREADABLE), request.state.request_id)


def describe(error: RequestValidationError) -> str:
    """Describe in one line what is wrong with a request: the first three problems, and the number of further ones."""
    if error.body and isinstance(error.body, bytes):  # the framework parses only what is declared as JSON
        return "the body was not parsed as JSON: send Content-Type: application/json"
    problems = [_problem(problem) for problem in error.errors()]
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more


def _problem(problem: dict[str, Any]) -> str:
    if problem["type"] == "json_invalid":
        return f"invalid JSON: {problem.get('ctx', {}).get('error', problem['msg'])}"
    place = ".".join(str(part) for part in problem["loc"] if part != "body")
    return f"{place[:100] or 'the body'}: {problem['msg'].removeprefix('Value error, ')}"
