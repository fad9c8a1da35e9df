"""Run the app under uvicorn, with a graceful shutdown that refuses new requests before the port closes."""

import asyncio
import gc
import signal
import socket
from functools import partial
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI

from app.api.dependencies import Service
from app.connection import Connection, Limits
from app.settings import Settings

WARM_BATCHES = (8, 4, 2, 3, 5, 6, 7)  # sixteen clients make batches of up to 8; with 1, 2, 4 and 8 it keeps up
WARM_INTERVAL_S = 0.1  # delay between sizes, in which pictures are encoded
KEEP_ALIVE = 75  # seconds; load balancers close idle connections sooner, so none closes during a request of theirs


class DrainingServer(uvicorn.Server):
    """On SIGTERM, answer 503 `draining` for `drain` seconds, then finish pending requests and exit.

    A second signal exits at once. After listening starts, a batch of each common size is encoded.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain = drain
        self._warming: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then warm up."""
        await super().startup(sockets)
        if service := getattr(self._app.state, "service", None):
            self._warming = asyncio.create_task(_warm_up(service))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Handle SIGINT and SIGTERM; uvicorn's own handler raises the signal again, this one exits with 0."""
        service = getattr(self._app.state, "service", None)
        draining = service is None or service.draining
        if service:
            service.drain()
        if self.should_exit:
            self.force_exit = True
        elif sig == signal.SIGTERM and not draining:
            loop = asyncio.get_running_loop()
            loop.call_soon_threadsafe(loop.call_later, self._drain, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self.should_exit = True


async def _warm_up(service: Service) -> None:
    """Have common batch sizes encoded, once the labels are."""
    while service.starting:
        await asyncio.sleep(WARM_INTERVAL_S)
    await service.pipeline.warm_up(WARM_BATCHES, WARM_INTERVAL_S)


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve the app until a signal ends it."""
    gc.collect()
    gc.freeze()  # exclude start-up objects from garbage collection: scanning them delays requests
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        http=cast(type[asyncio.Protocol], partial(Connection, limits=Limits().within_descriptors())),
        ws="none",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=20,
    )
    DrainingServer(config, app, settings.drain).run()
