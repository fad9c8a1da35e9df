"""The connection to a service: addresses, keys, and proxies and certificates from the environment."""

import subprocess
import sys

import pytest
from larder_client import AsyncLarder, Failed, Larder, Unauthorized, Unreachable
from larder_client.command import main

from tests.client.misbehaving import OK, Misbehaving
from tests.client.test_client import CLIENT

BOTH = pytest.mark.parametrize("client", [Larder, AsyncLarder], ids=["sync", "async"])
ELSEWHERE = "http://larder.example"
NAMES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The environment without the proxies of the test machine."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "url", ["http://[::", "127.0.0.1:8000", "larder.example", "ftp://larder.example", "http://", ""]
)
@BOTH
def test_what_is_no_address_is_said_at_once(client, url):
    """A wrong URL raises one of our errors that names it, before any request."""
    with pytest.raises(Unreachable, match="is not a URL") as raised:
        client(url)
    assert str(raised.value).startswith(url)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "socks://127.0.0.1:1/", "http://127.0.0.1:1", "http://[::"])
@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "http_proxy"])
def test_no_proxy_is_taken_to_this_machine(environment, name, proxy):
    """Addresses of this machine are never reached through a proxy from the environment."""
    environment.setenv(name, proxy)
    with Misbehaving(OK) as server:
        for host in ("127.0.0.1", "localhost"):
            with Larder(server.url.replace("127.0.0.1", host)) as larder:
                assert larder.item("banana").count == 4


def test_a_host_of_no_proxy_is_asked_directly(environment):
    """An unusable proxy is not an error for a host that NO_PROXY excludes."""
    environment.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    environment.setenv("NO_PROXY", "larder.example")
    with Larder(ELSEWHERE) as larder:
        assert larder.url == ELSEWHERE


def test_a_proxy_is_used(environment):
    """A request to another machine uses the proxy from the environment, with or without a scheme."""
    with Misbehaving(OK) as proxy:
        for value in (proxy.url, proxy.url.removeprefix("http://")):
            environment.setenv("http_proxy", value)
            with Larder(ELSEWHERE) as larder:
                assert larder.item("banana").count == 4
    assert [request["headers"]["Host"] for request in proxy.requests] == ["larder.example"] * 2


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("socks5://user:hunter2@127.0.0.1:1", "SOCKS needs the package socksio"),
        ("socks://user:hunter2@127.0.0.1:1/", "a proxy is http://HOST:PORT"),
        ("ftp://user:hunter2@127.0.0.1:1", "a proxy is http://HOST:PORT"),
        ("http://user:hunter2@[::", "a proxy is http://HOST:PORT"),
    ],
)
@BOTH
def test_a_proxy_that_cannot_be_used_is_named(environment, client, proxy, reason):
    """The error names the proxy variable at fault, without its password."""
    environment.setenv("ALL_PROXY", proxy)
    with pytest.raises(Unreachable, match="through the proxy") as raised:
        client(ELSEWHERE)
    assert reason in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_proxy_that_is_away_is_named(environment):
    """The error names the proxy, not the service alone, and never its password."""
    with Misbehaving(OK) as server:
        pass
    environment.setenv("http_proxy", server.url.replace("//", "//user:hunter2@"))
    with Larder(ELSEWHERE, retries=0) as larder, pytest.raises(Unreachable) as raised:
        larder.health()
    assert f"{ELSEWHERE} through the proxy {server.url} of the environment cannot be reached" in str(raised.value)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE"])
@pytest.mark.parametrize("content", [None, "no certificate"])
@BOTH
def test_certificates_that_cannot_be_read_are_named(environment, tmp_path, client, name, content):
    """A missing or empty certificate file is reported with its variable; http:// needs none."""
    path = tmp_path / "certificates.pem"
    if content:
        path.write_text(content)
    environment.setenv(name, str(path))
    with pytest.raises(Unreachable, match=f"{name}={path}"):
        client("https://larder.example")
    assert client(ELSEWHERE).url == ELSEWHERE


def test_the_command_tells_it_in_a_line(environment, capsys):
    """`larder` shows no traceback for a proxy that cannot be used."""
    environment.setenv("ALL_PROXY", "socks://127.0.0.1:1/")
    assert main(["--url", ELSEWHERE, "status"]) == 2
    assert capsys.readouterr().err.startswith("larder: http://larder.example through the proxy socks://127.0.0.1:1/")


def test_a_key_travels_as_bearer():
    """`key` is sent with every call; if the address has a user and a password it uses a separate header."""
    with Misbehaving(OK) as server:
        for url in (server.url, server.url.replace("//", "//user:hunter2@")):
            with Larder(url, "secret") as larder:
                larder.item("banana")
    bearer, basic = (request["headers"] for request in server.requests)
    assert bearer["Authorization"] == "Bearer secret"
    assert (basic["Authorization"], basic["X-API-Key"]) == ("Basic dXNlcjpodW50ZXIy", "secret")


@pytest.mark.parametrize("key", ["schlüssel", "two words", "line\n", "\ufeffkey", "nul\0"])
@BOTH
def test_what_is_no_key_is_said_at_once(client, key):
    """A key that is invalid in a header is Unauthorized, and the error does not repeat it."""
    with pytest.raises(Unauthorized, match="other than ASCII") as raised:
        client(key=key)
    assert key not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@{}", "http://user:p@hunter2@{}", "http://user:hunter2/x@{}", "user:hunter2@{}"]
)
def test_a_password_is_in_no_message(url):
    """Every error names the URL without user and password."""
    with Misbehaving(OK) as server:
        pass
    with (
        pytest.raises(Unreachable) as raised,
        Larder(url.format(server.url.removeprefix("http://")), retries=0) as larder,
    ):
        assert "hunter2" not in larder.url
        larder.health()
    assert "hunter2" not in str(raised.value)


def test_a_password_is_not_in_what_another_program_answered():
    """An error about a foreign answer also names it without user and password."""
    with (
        Misbehaving(OK) as server,
        Larder(server.url.replace("//", "//user:hunter2@")) as larder,
        pytest.raises(Failed, match="not in Larder's form") as raised,
    ):
        larder.labels()
    assert "hunter2" not in str(raised.value)


FORKED = """
import os, sys
from larder_client import Larder
larder = Larder(sys.argv[1])
larder.item("parent")  # a connection that is kept
child = os.fork()
for _ in range(20):
    larder.item("parent" if child else "child")
larder.close()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_has_connections_of_its_own():
    """Parent and child never share a socket, so that no answer reaches the wrong process."""
    with Misbehaving(OK) as server:
        done = subprocess.run([sys.executable, "-c", FORKED, server.url], cwd=CLIENT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    ports = {
        name: {each["port"] for each in server.requests if each["path"].endswith(name)} for name in ("parent", "child")
    }
    assert len(server.requests) == 41
    assert not ports["parent"] & ports["child"]
