"""Health checks of the images, of compose and of ECS, as commands."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROXIES = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
LINK = "tcp://10.96.14.7:80"


class Service(HTTPServer):
    """A service that answers every path with one status."""

    def __init__(self, status):
        self.paths = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler):  # noqa: N805
                self.paths.append(handler.path)
                handler.send_response(status)
                handler.end_headers()

            def log_message(handler, *_):  # noqa: N805
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


def of_dockerfile(name):
    """The command of a HEALTHCHECK, whose lines Docker joins."""
    text = (ROOT / name).read_text().replace("\\\n", "")
    return json.loads(re.search(r"^HEALTHCHECK .*?CMD (\[.*\])$", text, re.MULTILINE)[1])[2]


def of_ecs():
    (container,) = json.loads((ROOT / "infra/ecs-task.json").read_text())["containerDefinitions"]
    return container["healthCheck"]["command"][-1]


CASES = {
    "image": (lambda: of_dockerfile("Dockerfile"), {"LARDER_PORT": "PORT", "LARDER_IMAGE_PORT": "1"}, "/"),
    "linked": (lambda: of_dockerfile("Dockerfile"), {"LARDER_PORT": LINK, "LARDER_IMAGE_PORT": "PORT"}, "/"),
    "page": (lambda: of_dockerfile("infra/ui/Dockerfile"), {"STREAMLIT_SERVER_PORT": "PORT"}, "/_stcore/health"),
    "ECS": (of_ecs, {}, "/livez"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("status", [200, 503])
def test_a_health_check_asks_its_own_container(name, status):
    """It succeeds with 200 alone, and goes past the proxies of the environment."""
    command, variables, path = CASES[name]
    with Service(status) as service:
        port = str(service.server_port)
        given = {key: value.replace("PORT", port) for key, value in variables.items()}
        code = command().replace("8080", port)
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | PROXIES | given, capture_output=True)
        assert (done.returncode == 0) == (status == 200), done.stderr
        assert service.paths == [path]


def test_compose_asks_past_proxies_too():
    """BusyBox's wget bypasses a proxy by its option, and the page's client by the variable."""
    text = (ROOT / "docker-compose.yml").read_text()
    assert 'wget, -Y, "off"' in text
    assert "no_proxy: api" in text
