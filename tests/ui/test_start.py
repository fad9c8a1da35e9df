"""`python -m app.ui`, which `make ui` calls: what it starts, and that no process is left."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

import httpx2
from larder_client import Larder

from app.ui.__main__ import PAGE, SERVICE, commands
from harness.emulator import free_port
from harness.server import ROOT
from tests.client.misbehaving import OK, Misbehaving
from tests.conftest import wait_until
from tests.reverse_proxy import PATIENCE, listens


def answers(page):
    with suppress(httpx2.TransportError):
        return httpx2.get(f"http://127.0.0.1:{page}/_stcore/health").is_success


def heed_ctrl_c():
    """Restore the handling of Ctrl-C, which background processes of a shell ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(folder, service, page):
    """Return the running command once the page answers; Ctrl-C ends it cleanly, and it has printed one address."""
    given = {"LARDER_PORT": service, "STREAMLIT_SERVER_PORT": page, "LARDER_DATA": folder, "HOME": folder}
    variables = os.environ | {name: str(value) for name, value in given.items()}
    command = [sys.executable, "-m", "app.ui"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    try:
        wait_until(lambda: answers(page) and listens(service), PATIENCE)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert [word for word in said.split() if word.startswith("http")] == [f"http://127.0.0.1:{page}"]


def test_service_and_page_begin_and_end_together(new_data):
    """A missing service is started; Ctrl-C ends both, and one address is printed."""
    service, page = free_port(), free_port()
    with started(new_data(), service, page), Larder(f"http://127.0.0.1:{service}") as larder:
        assert larder.health().model == "larder-small"
    assert not listens(service)
    assert not listens(page)


def test_a_service_that_answers_is_left_alone():
    """No second service is started if one answers or if LARDER_URL names one."""
    with Misbehaving(OK) as other:
        assert commands(None, int(other.url.rpartition(":")[2])) == [PAGE]
    assert commands("http://larder.example", free_port()) == [PAGE]
    assert commands(None, free_port()) == [SERVICE, PAGE]


def test_help_starts_nothing():
    """`--help` describes the command and its variables; an unknown argument is an error."""

    def told(word):
        return subprocess.run([sys.executable, "-m", "app.ui", word], cwd=ROOT, capture_output=True, text=True)

    helped = told("--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert all(name in helped.stdout for name in ("LARDER_URL", "LARDER_API_KEY", "LARDER_PORT"))
    assert told("--prot").returncode == 2
