"""`python -m app.ui`: start the web pages, and a service if none answers yet; Ctrl-C ends both.

`LARDER_URL` names a remote service, `LARDER_API_KEY` its key. The default is port `LARDER_PORT` (8000) of this machine.
`STREAMLIT_SERVER_PORT` (8501) is the port of the pages.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SERVICE = ["app", "serve"]
PAGE = ["streamlit", "run", str(Path(__file__).parent / "main.py")]
PATIENCE = 30  # seconds for each process to end


def main() -> int:
    """Run until Ctrl-C, SIGTERM, or the end of either process; returns the exit status."""
    argparse.ArgumentParser(prog="python -m app.ui", description=__doc__).parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = os.environ.get("LARDER_PORT", "")
    port = int(found) if found.isdecimal() else 8000  # in Kubernetes it may be tcp://HOST:PORT of a Service
    elsewhere = os.environ.get("LARDER_URL")
    variables = {"LARDER_LOG_LEVEL": "warning"} | os.environ | {"LARDER_URL": elsewhere or f"http://127.0.0.1:{port}"}
    with suppress(KeyboardInterrupt), ExitStack() as both:
        processes = [both.enter_context(started(command, variables)) for command in commands(elsewhere, port)]
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)
        return 1
    return 0


def commands(elsewhere: str | None, port: int) -> list[list[str]]:
    """Return the commands to start: no service if it is remote or something answers at the port already."""
    return [PAGE] if elsewhere or listens(port) else [SERVICE, PAGE]


@contextmanager
def started(command: list[str], variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that ends when we do, in a session of its own, so that the terminal's Ctrl-C reaches us alone."""
    process = subprocess.Popen([sys.executable, "-m", *command], env=variables, start_new_session=True)  # noqa: S603
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def listens(port: int) -> bool:
    """Return whether something listens at a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
