"""Containers of the image named by IMAGE, with minimal privileges; skipped loudly if there is none."""

import json
import os
import shutil
import subprocess
import uuid
from contextlib import ExitStack, suppress
from subprocess import DEVNULL

import httpx2 as httpx
import pytest

from harness.emulator import free_port
from tests.conftest import wait_until
from tests.untested import untested

WHAT = "the container image"
PATIENCE = 60  # seconds for a container to become ready or to end
# by itself podman grants more than some hosts have
LIMITS = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]
# a root that is not written to, no capability and no way to more
CONFINED = [
    *LIMITS,
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs=/larder/data:rw,size=64m",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--memory=1g",
    "--sysctl=net.ipv4.ip_unprivileged_port_start=0",  # Docker does so by itself
    "--publish=127.0.0.1::80",
]


def podman(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Return podman's output; a failure includes its error."""
    done = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="session")
def image() -> str:
    """The image's name."""
    if not os.environ.get("IMAGE"):
        untested(WHAT, "`make image-check` builds it and tries it in containers; it needs podman")
    if not shutil.which("podman"):
        untested(WHAT, "podman is not there: install it to run containers")
    return os.environ["IMAGE"]


def answers(url: str) -> bool:
    """Return whether it answers 200."""
    with suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


class Container:
    """A running service; `client` asks it through its published port."""

    def __init__(self, image: str) -> None:
        self.name = f"larder-{uuid.uuid4().hex[:12]}"
        podman("run", "--detach", "--pull=never", f"--name={self.name}", *CONFINED, image)
        port = podman("port", self.name, "80").stdout.rpartition(":")[2].strip()
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def ready(self) -> bool:
        return answers(f"{self.url}/")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Return the output of a command inside."""
        return podman("exec", self.name, *words, check=False)

    def healthy(self) -> bool:
        """Return whether the image's own health check passes."""
        return podman("healthcheck", "run", self.name, check=False).returncode == 0

    def log(self) -> str:
        return podman("logs", self.name).stderr

    def remove(self) -> None:
        self.client.close()
        podman("rm", "--force", "--time=0", "--volumes", self.name)


@pytest.fixture(scope="module")
def launch(image):
    """Start a container and wait for it; it is removed with the module."""
    with ExitStack() as running:

        def launch() -> Container:
            container = Container(image)
            running.callback(container.remove)
            wait_until(container.ready, PATIENCE)
            return container

        yield launch


@pytest.fixture(scope="module")
def container(launch) -> Container:
    """A container shared by all tests."""
    return launch()


@pytest.fixture
def registry(tmp_path_factory):
    """HOST:PORT of an empty registry."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if not program:
        untested("push and pull of the image", "docker-registry is not there, which Debian's package of that name has")
    folder = tmp_path_factory.mktemp("registry")
    host = f"127.0.0.1:{free_port()}"
    storage = {"filesystem": {"rootdirectory": str(folder)}}
    (folder / "config.json").write_text(json.dumps({"version": "0.1", "storage": storage, "http": {"addr": host}}))
    process = subprocess.Popen([program, "serve", folder / "config.json"], stdout=DEVNULL, stderr=DEVNULL)
    wait_until(lambda: answers(f"http://{host}/v2/"), PATIENCE)
    yield host
    process.kill()
    process.wait()
