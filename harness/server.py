"""A service in its own process, on a port of 127.0.0.1, by default a free one."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import httpx2 as httpx

ROOT = Path(__file__).parent.parent
PATIENCE = 240  # seconds for a service to become ready or to end; only ends a hang


class Server:
    """Started on construction; `ready` waits for it. `command` follows `python -m`, with PORT for the port.

    The settings are LARDER_ variables without the prefix. `end` returns its output, both streams.
    """

    def __init__(self, command: Sequence[str] = ("app", "serve"), **settings: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = settings.setdefault("port", free.getsockname()[1])  # type: ignore[assignment]
        variables = {f"LARDER_{name.upper()}": str(value) for name, value in settings.items()}
        # a file, since a pipe that nobody reads fills up, and then the service waits for ever
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - `end` closes it
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *(part.replace("PORT", str(self.port)) for part in command)],
            cwd=ROOT,
            env=os.environ | variables,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)

    def ready(self, patience: float = PATIENCE) -> float:
        """Wait until `GET /` answers 200; returns the seconds since the process was started."""
        while (seconds := time.perf_counter() - self.started) < patience:
            with contextlib.suppress(httpx.TransportError):
                if self.client.get("/").status_code == 200:
                    return seconds
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended: {self.end()}")
            time.sleep(0.01)
        raise RuntimeError(f"not ready within {patience} s")

    def end(self) -> str:
        """Wait until the process has ended; returns its output."""
        self.process.wait(PATIENCE)
        self.client.close()
        with self._output as output:
            output.seek(0)
            return output.read()

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._output.closed:
            self.process.kill()
            self.end()


def memory(server: Server, name: str) -> float:
    """Read a line of the process's status in MiB: VmRSS is the current memory, VmHWM the peak."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1024


def reset_peak(server: Server) -> None:
    """Let VmHWM be the peak from now on: proc(5), clear_refs."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
