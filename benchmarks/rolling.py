"""Replace services behind nginx one after the other under load: `make rolling`.

    python -m benchmarks.rolling [--model larder-small] [--requests 10000]

Clients send requests to nginx without a pause. One of the two services behind it gets SIGTERM, drains and ends, and
another is started in its place; then the other one's turn, until all requests are answered. nginx retries on the other
service if one answers 503 or has closed its port. The exit status is 1 if a request failed.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2 as httpx

from harness.emulator import free_port
from harness.load import Answer, closed_loop, recognise, summary
from harness.server import PATIENCE, ROOT, Server

# max_fails=0: a service is retried at once, because its successor takes over the port
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  log_format tries "$upstream_status";
  access_log {folder}/access.log tries;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 1m;
  upstream larder {{
    server 127.0.0.1:{first} max_fails=0;
    server 127.0.0.1:{second} max_fails=0;
    keepalive 16;
    keepalive_timeout 4s;
  }}
  server {{
    listen 127.0.0.1:{port};
    keepalive_requests 1000000;
    location / {{
      proxy_pass http://larder;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_next_upstream error timeout http_503 non_idempotent;
    }}
  }}
}}
"""


class Nginx:
    """nginx in front of two ports of 127.0.0.1, on its own port."""

    def __init__(self, folder: Path, first: int, second: int) -> None:
        program = shutil.which("nginx")
        if not program:
            raise SystemExit("nginx is not there: install it to measure a rolling replacement")
        self.port, self._log = free_port(), folder / "access.log"
        text = CONFIGURATION.format(folder=folder, first=first, second=second, port=self.port)
        (folder / "nginx.conf").write_text(text)
        self._process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf"])
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx does not answer: {(folder / 'error.log').read_text()}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/").status_code == 200
        return False

    def tried_again(self) -> int:
        """Return how many requests were retried on the other service."""
        return sum("," in line for line in self._log.read_text().splitlines())

    def __enter__(self) -> "Nginx":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def service(running: ExitStack, folder: Path, model: str, **port: int) -> Server:
    """Start a service on the given port or a free one."""
    data = tempfile.mkdtemp(dir=folder)
    settings = {"model": model, "data": data, "threads": 1, "drain": 2, "log_level": "error"} | port
    server = running.enter_context(Server(**settings))  # type: ignore[arg-type]
    server.ready()
    return server


def replace(running: ExitStack, folder: Path, model: str, old: Server) -> Server:
    """Start its successor on the same port once it has drained."""
    old.process.send_signal(signal.SIGTERM)
    output = old.end()
    if old.process.returncode:
        raise SystemExit(f"the service ended with {old.process.returncode}: {output}")
    return service(running, folder, model, port=old.port)


def main() -> None:
    """Print the outcome of the requests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="larder-small", help="the bundle")
    parser.add_argument("--requests", type=int, default=10_000, help="how many are asked")
    parser.add_argument("--clients", type=int, default=8, help="how many ask at once")
    options = parser.parse_args()
    answers, replaced = list[Answer](), 0
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        services = [service(running, folder, options.model) for _ in range(2)]
        nginx = running.enter_context(Nginx(folder, *(each.port for each in services)))
        asked = (nginx.port, [recognise((ROOT / "samples/banana.jpg").read_bytes())], options.clients, options.requests)
        asking = threading.Thread(target=lambda: answers.extend(closed_loop(*asked)))
        asking.start()
        while asking.is_alive():
            services.append(replace(running, folder, options.model, services.pop(0)))
            replaced += 1
        asking.join()
        again = nginx.tried_again()
    counts, times = Counter(each.status for each in answers), summary(answers)
    failed = len(answers) - counts[200]
    print(f"{len(answers)} requests of {options.clients} clients, {times.rate:.0f} a second, {replaced} replacements")
    print(f"failed: {failed}; sent to the other service as well: {again}")
    print(f"p50 {1000 * times.p50:.0f} ms, p99 {1000 * times.p99:.0f} ms; statuses {dict(counts)}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
