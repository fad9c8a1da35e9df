"""Uvicorn with our shutdown: SIGTERM turns every new request away first, so that load balancers look elsewhere."""

import asyncio
import gc
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.errors import SettingsError
from app.settings import Settings

KEEP_ALIVE = 75  # seconds; longer than load balancers keep a connection: they must not find it closing under a request


class DrainingServer(uvicorn.Server):
    """On SIGTERM, says `draining` for `drain` seconds, then finishes what is in hand and ends; a second one hurries."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Called for SIGINT and SIGTERM; uvicorn's own would die of the signal in the end, this one exits with 0."""
        service = getattr(self._app.state, "service", None)
        if self.should_exit:
            self.force_exit = True
        elif sig == signal.SIGTERM and service and not service.draining:
            service.draining = True
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self.should_exit = True


def check_address(host: str, port: int) -> None:
    """Raises SettingsError for an address that cannot be listened on, before anything is loaded."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address, family=family).close()
    except OSError as error:
        raise SettingsError(
            f"LARDER_HOST, LARDER_PORT: {host}:{port} was found, which cannot be listened on: {error.strerror}"
        ) from error


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve the app until a signal ends it."""
    gc.collect()
    gc.freeze()  # what the start has made stays: looking through it again and again would hold up requests
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=20,
    )
    DrainingServer(config, app, settings.drain).run()
