"""Exceptions to answers: one table, one error shape."""

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
    errors.Unauthorized: (401, "unauthorized"),
    errors.Forbidden: (403, "forbidden"),
    errors.RequestTimeout: (408, "request_timeout"),
    errors.Overloaded: (503, "overloaded"),
    errors.Starting: (503, "starting"),
    errors.Draining: (503, "draining"),
    errors.StoreUnavailable: (503, "store_unavailable"),
}
INTERNAL = (500, "internal_error")
UNREADABLE = "the body cannot be read as JSON: UTF-8 is needed, some hundred levels and numbers of 4,300 digits at most"

# What any call may answer, for the OpenAPI document
ANYWHERE: dict[int | str, dict[str, Any]] = {
    status: {"model": Error, "description": why}
    for status, why in {
        401: "a wrong or missing key, where keys are set",
        403: "a web page of another origin, or a host name that is not allowed, where no keys are set",
        408: "the body did not arrive in time; nothing was carried out",
        413: "too many bytes",
        422: "a malformed request",
        500: "an error of ours; the log has it under the request's id",
        503: "try again after Retry-After seconds",
    }.items()
}
# and what a call with a picture in it may answer beside that
PICTURE: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "not base64, not a picture, or a truncated one"},
    415: {"model": Error, "description": "a format that is not accepted"},
}


class Failure(JSONResponse):
    """An answer in the one error shape; leaves its code in the request's state, for the metrics."""

    def __init__(
        self, code: str, message: str, request_id: str, status: int, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(body(code, message, request_id), status, headers)
        self._code = code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["code"] = self._code
        await super().__call__(scope, receive, send)


def answer(error: Exception, request_id: str) -> Failure:
    """The answer to a request that failed with `error`; what is not ours says nothing of its inside."""
    status, code = TABLE.get(type(error), INTERNAL) if isinstance(error, errors.LarderError) else INTERNAL
    message = "something went wrong here; the log has it under this request_id" if status == 500 else str(error)
    headers = {}
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Draining | errors.RequestTimeout):
        headers["Connection"] = "close"  # the next request finds another service; the rest of a late body is not read
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return Failure(code, message, request_id, status, headers)


def body(code: str, message: str, request_id: str) -> dict[str, object]:
    """The one error shape; `detail` repeats the message for clients that know FastAPI's own."""
    message = message.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair must not break the answer
    return {"error": {"code": code, "message": message, "request_id": request_id}, "detail": message}


def add_handlers(app: FastAPI) -> None:
    """Have the app answer our exceptions, and the framework's, in the one shape."""

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
            message = f"{request.url.path} does not take {request.method}"
            # the framework names the methods of the first route alone, the document those of all
            methods = request.app.openapi()["paths"].get(
                getattr(request.scope.get("route"), "path_format", ""), {"get": None}
            )
            allow = {"Allow": ", ".join(method.upper() for method in methods)}
            return Failure("invalid_request", message, request.state.request_id, 405, allow)
        return answer(errors.InvalidRequest(UNREADABLE), request.state.request_id)


def describe(error: RequestValidationError) -> str:
    """What is wrong with a request, in one line: the first three fields and how many more."""
    if error.body and isinstance(error.body, bytes):  # the framework reads as JSON what says that it is
        return "the body is not taken for JSON: send Content-Type: application/json"
    problems = [_problem(problem) for problem in error.errors()]
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return "; ".join(problems[:3]) + more


def _problem(problem: dict[str, Any]) -> str:
    if problem["type"] == "json_invalid":
        return f"the body is not JSON: {problem.get('ctx', {}).get('error', problem['msg'])}"
    place = ".".join(str(part) for part in problem["loc"] if part != "body")
    return f"{place[:100] or 'the body'}: {problem['msg'].removeprefix('Value error, ')}"
