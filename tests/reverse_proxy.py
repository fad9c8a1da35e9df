"""The reverse proxy of docker-compose.yml, for tests: nginx with infra/nginx, on a free local port."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from harness.emulator import free_port

TEMPLATE = Path(__file__).parent.parent / "infra/nginx/nginx.conf.template"
MISSING = "nginx is not there: install it, with `apt-get install nginx-light` for instance"
PATIENCE = 240  # seconds for nginx to listen; only ends a hang


def find_nginx() -> str | None:
    """Return the program; Debian keeps it where only root's PATH looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def filled(**values: object) -> str:
    """Return the template as `envsubst` fills it in: only the given names are replaced."""
    text = TEMPLATE.read_text()
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", str(value))
    return text


class ReverseProxy:
    """nginx between a browser and HOST:PORT of the service and of the page; its files are in `folder`."""

    def __init__(self, folder: Path, api: str, ui: str, max_body: int = 10 * 1024 * 1024) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        names = {"API": api, "UI": ui, "RESOLVER": "127.0.0.1", "MAX_BODY": max_body, "RUN": folder, "PAGE_AUTH": "off"}
        (folder / "nginx.conf").write_text(filled(LISTEN=f"127.0.0.1:{self.port}", **names))
        self.command = [str(find_nginx()), "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", directives()]

    def __enter__(self) -> "ReverseProxy":
        self._process = subprocess.Popen(self.command)
        deadline = time.monotonic() + PATIENCE
        while not listens(self.port):
            assert self._process.poll() is None, "nginx has ended"
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


def listens(port: int) -> bool:
    """Return whether something listens at a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def directives() -> str:
    """The argument of `-g`: root's workers stay root, so that they can read a folder of root's."""
    return "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
