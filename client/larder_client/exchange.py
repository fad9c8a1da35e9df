"""Build requests, parse answers and decide on retries, for both clients."""

import base64
import functools
import inspect
import json
import random
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import httpx2

from larder_client.calls import Call
from larder_client.connection import Connection, public
from larder_client.errors import (
    Busy,
    Failed,
    InvalidRequest,
    LarderError,
    NotFound,
    TimedOut,
    Unreachable,
    error_of,
)

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
LONGEST_WAIT = 30.0  # seconds: a longer Retry-After is raised to the caller
LONGEST_QUERY = 4000  # characters; servers and proxies bound a request line at 8,000
MOST_FILES = 50  # of a form; the service accepts 64 parts
_FIRST_WAIT = 0.2


def named(method: F, make: Callable[..., Call[Any]]) -> F:
    """Give a client's method the name, signature and docstring of its call."""
    functools.update_wrapper(method, make)
    own, (answered,) = inspect.signature(make), get_args(make.__annotations__["return"])
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = own.replace(parameters=[itself, *own.parameters.values()], return_annotation=answered)
    method.__signature__ = signature  # type: ignore[attr-defined]  # what inspect and help() look at
    return method


def request(call: Call[T], raw: bool = True) -> dict[str, Any]:
    """Return the arguments of an HTTP client's `request`; raises InvalidRequest for values that JSON cannot hold.

    One picture is sent as the raw body with the other fields as query parameters, several as files of a form. Without
    `raw`, and if pictures are nested in other fields, everything is JSON, the only form of older services.
    """
    headers = {"Idempotency-Key": call.key} if call.key else {}
    about: dict[str, Any] = {"method": call.method, "url": call.path, "headers": headers}
    if call.body is None:
        return about
    name, pictures = _pictures(call.body)
    try:
        if raw and pictures:
            others = {key: _as_text(value) for key, value in call.body.items() if key != name and value is not None}
            if name == "image_data" and sum(map(len, others.values())) <= LONGEST_QUERY:
                headers["Content-Type"] = "application/octet-stream"
                return about | {"content": pictures[0], "params": others}
            return about | {"files": [("images", picture) for picture in pictures], "data": others}
        content = json.dumps(call.body, ensure_ascii=False, allow_nan=False, default=_as_base64).encode()
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{call.method} {call.path} cannot be sent as JSON: {error}") from error
    headers["Content-Type"] = "application/json"
    return about | {"content": content}


def _pictures(body: Mapping[str, Any]) -> tuple[str, list[bytes]]:
    """Return the field that is a picture or a list of 2 to MOST_FILES, and its pictures; empty if there is none."""
    for name, value in body.items():
        if isinstance(value, bytes):
            return name, [value]
        if isinstance(value, list) and 2 <= len(value) <= MOST_FILES and isinstance(value[0], bytes):
            return name, value
    return "", []


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def _as_base64(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is not JSON-serialisable")


def wants_json(error: LarderError) -> bool:
    """Return whether an older service accepts pictures only within JSON."""
    return isinstance(error, InvalidRequest) and "was not parsed as JSON" in str(error)


def answer(call: Call[T], response: httpx2.Response, again: bool = False) -> T:
    """Parse the answer to a call, which may be a retry; raises the LarderError that the answer stands for."""
    body = _json(response)
    if isinstance(body, dict):  # the id of the answer is in a header
        body = {"request_id": response.headers.get("x-request-id", "")} | body
    if not response.is_success and not (response.status_code in call.also and _is_own(body)):
        error = error_of(response.status_code, body, response.headers)
        if again and call.gone and isinstance(error, NotFound):
            return call.gone()
        raise error
    try:
        return call.read(_object(response, body) if call.media == "application/json" else _bytes(response, call.media))
    except (KeyError, TypeError, ValueError) as error:
        where = f"{call.method} {public(str(response.request.url))}"
        raise Failed(f"{where} answered {response.status_code}, but not in Larder's form: is it Larder?") from error


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json() if response.content else None
    except ValueError:
        return None


def _object(response: httpx2.Response, body: Any) -> dict[str, Any]:
    """Return the answer's JSON object, empty for 204; raises TypeError for anything else."""
    if response.status_code == 204:
        return {}
    if not isinstance(body, dict):
        raise TypeError(f"the answer is {type(body).__name__}, not a JSON object")
    return body


def _bytes(response: httpx2.Response, media: str) -> bytes:
    """Return the answer's bytes; raises ValueError for those of another media type."""
    found = response.headers.get("content-type", "")
    if not found.startswith(media):
        raise ValueError(f"the answer is of type {found!r}, not {media}")
    return response.content


def _is_own(body: Any) -> bool:
    """Return whether a failed `GET /` has the service's own form rather than an error's."""
    return isinstance(body, Mapping) and "status" in body


def failure(error: httpx2.RequestError, connection: Connection) -> LarderError:
    """Map a transport error to a LarderError."""
    if isinstance(error, httpx2.TimeoutException):
        return TimedOut(f"{connection.way} did not answer in time")
    if isinstance(error, httpx2.TransportError):
        return Unreachable(f"{connection.way} cannot be reached: {error or type(error).__name__}")
    return Failed(f"{connection.way} gave an answer that cannot be read: {error or type(error).__name__}")


class RetryPolicy:
    """Computes the wait after each failure; raises the error if a retry would not help or none is left.

    Exponential backoff from 0.2 s with jitter, so that many clients do not retry at once; `Retry-After` is the least
    wait if the service sends one.
    """

    def __init__(self, retries: int) -> None:
        self.again = False
        """Whether the call was sent before."""
        self._left = retries
        self._wait = _FIRST_WAIT

    def wait_after(self, error: LarderError) -> float:
        """Return the seconds to wait before the next attempt; raises `error` if there is no next one."""
        asked = (error.retry_after or 0.0) if isinstance(error, Busy) else 0.0
        if not isinstance(error, (Busy, TimedOut, Unreachable)) or self._left == 0 or asked > LONGEST_WAIT:
            raise error
        self._left -= 1
        self.again = True
        wait = self._wait * random.uniform(0.5, 1.0)  # noqa: S311 - nothing secret
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        return asked + wait
