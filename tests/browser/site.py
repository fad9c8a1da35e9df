"""The whole site on one local port: the proxy, the page, and a service with larder-small."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Page, expect

from harness.emulator import free_port
from harness.server import ROOT, Server
from tests.conftest import wait_until
from tests.reverse_proxy import PATIENCE, ReverseProxy, listens


class Site:
    """Started at once; the service can be stopped and started again. Files are in `folder` and `data`."""

    def __init__(self, folder: Path, data: Path) -> None:
        self._data = data
        self._port, page = free_port(), free_port()
        self._proxy = ReverseProxy(folder, f"127.0.0.1:{self._port}", f"127.0.0.1:{page}")
        self.url = self._proxy.url
        variables = os.environ | {"LARDER_URL": f"http://127.0.0.1:{self._port}", "HOME": str(folder)}
        with ExitStack() as parts:
            self._page = subprocess.Popen(
                [sys.executable, "-m", "streamlit", "run", "app/ui/main.py", f"--server.port={page}"],
                cwd=ROOT,
                env=variables,
                stdout=subprocess.DEVNULL,
            )
            parts.callback(self._page.wait, PATIENCE)
            parts.callback(self._page.terminate)
            self.start()
            parts.callback(self.stop)
            parts.enter_context(self._proxy)
            wait_until(lambda: listens(page), PATIENCE)
            self._parts = parts.pop_all()

    def start(self) -> None:
        """Start the service; returns when it is ready."""
        self._service = Server(port=self._port, data=self._data, keep_pictures=True, drain=0, log_level="error")
        self._service.ready()

    def stop(self) -> None:
        """Stop the service."""
        self._service.process.kill()
        self._service.end()

    def close(self) -> None:
        """Stop everything."""
        self._parts.close()


def shows(page: Page, text: str | re.Pattern[str]) -> None:
    """Wait until the page shows a text; for a moment an element of the last run may be there too."""
    expect(page.get_by_text(text).first).to_be_visible()


def settled(page: Page) -> None:
    """Wait until the page's script has run: text that is typed while it runs may be lost when it draws again."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def close_list(page: Page) -> None:
    """Close the list of a multiselect, and wait until it is gone: the page below moves, and a click would miss."""
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)
