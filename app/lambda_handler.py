"""AWS Lambda handler: one start and one event loop for the lifetime of an execution environment.

Importing has no side effects: awslambdaric reads the attribute `handler` once, while the environment starts, and that
starts the service. Between invocations Lambda freezes the process, including tasks and threads.
"""

import asyncio
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from mangum import Mangum

from app.api import failures
from app.api.dependencies import Service, State
from app.errors import Overloaded, SettingsError, Starting
from app.main import CORS, create_app
from app.settings import read_settings

BAKED = Path("baked")  # in the image: the data folder of a start at build time
LABELS_WAIT_S = 8.0  # how long a start, or a request after it, waits for the labels: Lambda allows a start 10 s
MARGIN_S = 1.0  # before Lambda's deadline: enough to answer with a timeout


class Handler:
    """Answer events of HTTP and REST APIs, load balancers and function URLs. Raises RuntimeError for other events."""

    def __init__(self, app: FastAPI, origins: Sequence[str] = ()) -> None:
        """Take the app, and the origins of LARDER_CORS for responses that the app does not make."""
        self._app = app
        self._origins = origins
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)  # Mangum uses the current one
        self._lifespan = app.router.lifespan_context(app)
        self._state = cast(State, self._loop.run_until_complete(self._lifespan.__aenter__()))
        self._loop.run_until_complete(_ready(self._state["service"]))
        self._adapter = Mangum(self._answer, lifespan="off")  # Mangum's would start and end with each request

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        return self._adapter(event, context)

    def close(self) -> None:
        """Shut the app down. Lambda never calls this: an environment ends without notice."""
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()
        asyncio.set_event_loop(None)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request before Lambda's deadline; its id is the invocation's unless the client sent one."""
        context = scope["aws.context"]
        scope["state"] = dict(self._state)
        scope["path"] = _without_stage(scope["path"], scope["aws.event"])
        scope["headers"] = [*scope["headers"], (b"x-request-id", context.aws_request_id.encode())]
        try:
            async with asyncio.timeout(context.get_remaining_time_in_millis() / 1000 - MARGIN_S):
                await _ready(self._state["service"])
                await self._app(scope, receive, send)
        except TimeoutError:
            error = Overloaded("the answer would take longer than Lambda's timeout")
            answer = failures.answer(error, context.aws_request_id)
            await CORSMiddleware(answer, allow_origins=self._origins, **CORS)(scope, receive, send)


async def _ready(service: Service) -> None:
    """Wait until the labels are encoded, at most LABELS_WAIT_S; afterwards the app answers 503 `starting`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LABELS_WAIT_S):
            while not _encoded(service):
                await asyncio.sleep(0.005)


def _encoded(service: Service) -> bool:
    try:
        return bool(service.recogniser.label_set)
    except Starting:
        return False


def _without_stage(path: str, event: dict[str, Any]) -> str:
    """Strip the stage that HTTP APIs prepend to the path, unless it is the default stage.

    >>> _without_stage("/prod/labels", {"version": "2.0", "requestContext": {"stage": "prod"}})
    '/labels'
    """
    stage = event["requestContext"].get("stage")
    if event.get("version") == "2.0" and f"{path}/".startswith(f"/{stage}/"):
        return path[len(stage) + 1 :] or "/"
    return path


def start() -> Handler:
    """Start the service with the environment's settings. Raises SystemExit with one line if it cannot start."""
    try:
        for variable in ("LARDER_API_KEYS", "LARDER_GOOGLE_CREDENTIALS"):
            if secret := os.environ.get(f"{variable}_SECRET"):
                os.environ[variable] = read_secret(variable, secret)
        settings = read_settings()
    except SettingsError as error:
        raise SystemExit(f"larder cannot start: {error}") from error
    if BAKED.is_dir():
        shutil.copytree(BAKED, settings.data, dirs_exist_ok=True)
    return Handler(create_app(settings), settings.cors)


def read_secret(variable: str, name: str) -> str:
    """Read the current version of a variable's secret in Secrets Manager. Raises SettingsError if there is nothing."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found: str = boto3.client("secretsmanager").get_secret_value(SecretId=name).get("SecretString", "")
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(f"{variable}_SECRET: the secret {name} cannot be read: {error}") from error
    if not found.strip(", \n"):
        raise SettingsError(f"{variable}_SECRET: the secret {name} is empty")
    return found


def __getattr__(name: str) -> Handler:
    """Start the service when `handler` is first read."""
    if name == "handler":
        return start()
    raise AttributeError(f"there is no {name} in {__name__}")
