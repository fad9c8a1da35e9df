"""The same app behind API Gateway: one start and one event loop for the whole life of an execution environment.

Nothing happens on import: awslambdaric asks this module for `handler` once, while the environment starts, and gets a
service that is ready. Between invocations everything stands still, tasks and threads alike.
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

BAKED = Path("baked")  # in the image: the data folder of a start that went before
PATIENCE = 8.0  # seconds for which a start, or a request after it, waits for the labels: Lambda gives a start 10
MARGIN = 1.0  # seconds before Lambda's deadline: enough to say that it comes


class Handler:
    """Answers events of HTTP and REST APIs, load balancers and function URLs; other events raise RuntimeError."""

    def __init__(self, app: FastAPI, origins: Sequence[str] = ()) -> None:
        """Take the app, and the origins of LARDER_CORS for the answers that the app does not make."""
        self._app = app
        self._origins = origins
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)  # the one that Mangum takes
        self._lifespan = app.router.lifespan_context(app)
        self._state = cast(State, self._loop.run_until_complete(self._lifespan.__aenter__()))
        self._loop.run_until_complete(_ready(self._state["service"]))
        self._adapter = Mangum(self._answer, lifespan="off")  # Mangum's own would begin and end with each request

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        return self._adapter(event, context)

    def close(self) -> None:
        """End the app; on Lambda nothing calls this, an environment ends without notice."""
        self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()
        asyncio.set_event_loop(None)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, in the time that Lambda leaves; the id of the invocation is its own unless it came with one."""
        context = scope["aws.context"]
        scope["state"] = dict(self._state)
        scope["path"] = _without_stage(scope["path"], scope["aws.event"])
        scope["headers"] = [*scope["headers"], (b"x-request-id", context.aws_request_id.encode())]
        try:
            async with asyncio.timeout(context.get_remaining_time_in_millis() / 1000 - MARGIN):
                await _ready(self._state["service"])
                await self._app(scope, receive, send)
        except TimeoutError:
            error = Overloaded("the answer would take longer than Lambda waits for it")
            answer = failures.answer(error, context.aws_request_id)
            await CORSMiddleware(answer, allow_origins=self._origins, **CORS)(scope, receive, send)


async def _ready(service: Service) -> None:
    """Wait until the labels are encoded; returns all the same after PATIENCE, and the app says that it is starting."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not _encoded(service):
                await asyncio.sleep(0.005)


def _encoded(service: Service) -> bool:
    try:
        return bool(service.recogniser.label_set)
    except Starting:
        return False


def _without_stage(path: str, event: dict[str, Any]) -> str:
    """The app's own path: HTTP APIs put the stage before it, unless it is the default one.

    >>> _without_stage("/prod/labels", {"version": "2.0", "requestContext": {"stage": "prod"}})
    '/labels'
    """
    stage = event["requestContext"].get("stage")
    if event.get("version") == "2.0" and f"{path}/".startswith(f"/{stage}/"):
        return path[len(stage) + 1 :] or "/"
    return path


def start() -> Handler:
    """The handler, from the environment's settings; raises SystemExit with one line when the service cannot start."""
    try:
        if secret := os.environ.get("LARDER_API_KEYS_SECRET"):
            os.environ["LARDER_API_KEYS"] = read_secret(secret)
        settings = read_settings()
    except SettingsError as error:
        raise SystemExit(f"larder cannot start: {error}") from error
    if BAKED.is_dir():
        shutil.copytree(BAKED, settings.data, dirs_exist_ok=True)
    return Handler(create_app(settings), settings.cors)


def read_secret(name: str) -> str:
    """The current version of a secret in Secrets Manager; raises SettingsError when there is none or it is empty."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found: str = boto3.client("secretsmanager").get_secret_value(SecretId=name).get("SecretString", "")
    except (BotoCoreError, ClientError) as error:
        raise SettingsError(f"LARDER_API_KEYS_SECRET: the secret {name} cannot be read: {error}") from error
    if not found.strip(", \n"):
        raise SettingsError(
            f"LARDER_API_KEYS_SECRET: the secret {name} holds no keys; comma-separated ones are allowed"
        )
    return found


def __getattr__(name: str) -> Handler:
    """`handler`, made when it is asked for."""
    if name == "handler":
        return start()
    raise AttributeError(f"there is no {name} in {__name__}")
