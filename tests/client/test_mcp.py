"""`larder mcp` over both transports, by the SDK's own client, against a real service."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from larder_client import Larder
from mcp import Client, StdioServerParameters

from harness.server import ROOT, Server
from tests.bundles import write_bundle
from tests.client.test_client import CLIENT
from tests.conftest import wait_until
from tests.fakes import as_bytes, picture
from tests.serving.test_image_fetcher import Site


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of pictures, with files next to it and linked into it that must not be read."""
    above = tmp_path_factory.mktemp("home")
    (above / "secret.png").write_bytes(as_bytes(picture("blue")))
    pictures = above / "pictures"
    (pictures / "more").mkdir(parents=True)
    (pictures / "red.png").write_bytes(as_bytes(picture("red", (16, 16))))
    (pictures / "more" / "blue.png").write_bytes(as_bytes(picture("blue")))
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "link.png").symlink_to(above / "secret.png")
    (pictures / "loop.png").symlink_to("loop.png")
    (pictures / "inside.png").symlink_to("red.png")
    os.mkfifo(pictures / "pipe.png")
    return pictures


@pytest.fixture(scope="module")
def larder(tmp_path_factory):
    """A service over a bundle that sees colours; it may fetch pictures from loopback."""
    folder = tmp_path_factory.mktemp("service")
    write_bundle(folder / "tiny")
    (folder / "labels.txt").write_text("red\nblue\nazure blue | sky blue\n")
    settings = {"model": folder / "tiny", "labels": folder / "labels.txt", "data": folder / "data", "drain": 0}
    with Server(**settings, image_urls="127.0.0.1") as server:
        server.ready()
        with Larder(f"http://127.0.0.1:{server.port}") as larder:
            yield larder


def command(larder: Larder, *options: object) -> list[str]:
    return ["-m", "larder_client.command", "--url", larder.url, "mcp", *map(str, options)]


@contextmanager
def over_http(larder: Larder, *options: object):
    """A separate server over HTTP; returns the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, *command(larder, "--http", "--port", port, *options)], cwd=CLIENT)
    try:
        wait_until(lambda: answers(port) or process.poll() is not None)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait(60)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module", params=["stdio", "http"])
def server(request, larder, folder):
    """Return the stream that the SDK's client connects to."""
    if request.param == "stdio":
        yield StdioServerParameters(
            command=sys.executable, args=command(larder), cwd=folder, env={"PYTHONPATH": str(CLIENT)}
        )
        return
    with over_http(larder, "--pictures", folder) as url:
        yield url


def ask(server, *calls, mode="auto"):
    """The results of some calls over one connection."""

    async def asked():
        async with Client(server, mode=mode, read_timeout_seconds=60) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(asked())


def told(server, name, **arguments):
    """Return a tool's result as structured output."""
    (result,) = ask(server, (name, arguments))
    assert not result.is_error, result.content
    return result.structured_content


def refused(server, name, **arguments) -> str:
    """Return a tool's error message."""
    (result,) = ask(server, (name, arguments))
    assert result.is_error
    return result.content[0].text


def forget(larder: Larder, item: str) -> None:
    """Delete an item once it is a label, and wait until it is not: an item just added becomes a label later."""
    wait_until(lambda: item in [each.label for each in larder.labels()])
    larder.delete(item)
    wait_until(lambda: item not in [each.label for each in larder.labels()])


def test_the_tools_say_what_they_change(server):
    """Reading tools are marked so; removing is destructive, adding is not; all have a title and an output schema."""

    async def listed():
        async with Client(server) as client:
            return client.instructions, (await client.list_tools()).tools

    instructions, tools = asyncio.run(listed())
    assert "confident" in instructions
    hints = {tool.name: (tool.annotations.read_only_hint, tool.annotations.destructive_hint) for tool in tools}
    reading = dict.fromkeys(("recognise", "recognise_shelf", "classify", "pantry", "journal", "find"), (True, None))
    assert hints == reading | dict.fromkeys(("add", "teach", "correct"), (False, False)) | dict.fromkeys(
        ("remove", "undo"), (False, True)
    )
    for tool in tools:
        assert tool.title and tool.description and tool.output_schema
        arguments = tool.input_schema["properties"]
        assert all("description" in each for name, each in arguments.items() if "picture" in name or name == "item")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_picture_by_path(server, mode):
    """Paths are relative to the folder, in both generations of the protocol."""
    calls = [("recognise", {"picture": path}) for path in ("red.png", "more/blue.png", "inside.png", "more/../red.png")]
    found = [result.structured_content["item"] for result in ask(server, *calls, mode=mode)]
    assert found == ["red", "blue", "red", "red"]


def test_an_absolute_path_within_the_folder(server, folder):
    """People give assistants absolute paths."""
    assert told(server, "recognise", picture=str(folder / "red.png"))["item"] == "red"


def test_nothing_else_is_read(server, folder):
    """Paths with `..`, symbolic links and absolute paths outside get the same error as a missing file."""
    outside = ["../secret.png", "link.png", "more/../../secret.png", str(folder.parent / "secret.png"), "/etc/hostname"]
    paths = [*outside, "loop.png", "pipe.png", "more", "no.png", "a\0b", "a" * 999]
    for result in ask(server, *(("recognise", {"picture": path}) for path in paths)):
        assert result.is_error
        assert "is not a file in the folder of pictures" in result.content[0].text


def test_no_base64(server):
    """A model that writes out a picture gets an error that says what to send instead."""
    assert "not as base64" in refused(server, "recognise", picture="data:image/png;base64,iVBORw0KGgo=")
    assert "at most 1000 characters" in refused(server, "recognise", picture="iVBORw0KGgo" * 100)


def test_a_picture_by_address(server, larder):
    """The service fetches it, or says why it does not."""
    with Site() as site:
        red = f"http://127.0.0.1:{site.port}/red.png"
        assert told(server, "recognise", picture=red)["item"] == "red"
        assert told(server, "classify", picture=red, labels=["green", "red"])["result"]["red"] > 0.5
        taught = told(server, "teach", item="fetched", pictures=[red, "more/blue.png"])["result"]
        assert len(taught) == 2
        forget(larder, "fetched")
    assert "LARDER_IMAGE_URLS" in refused(server, "recognise", picture="http://127.0.0.2/red.png")


def test_a_picture_by_the_id_of_an_entry(server, larder):
    """Its thumbnail is recognised; to find, its own embedding is used."""
    larder.put_picture("shelf/1", as_bytes(picture("red")))
    larder.put_text("a text", "blue")
    assert told(server, "recognise", picture="content:shelf/1")["item"] == "red"
    assert told(server, "find", picture="content:shelf/1", k=1)["result"][0]["id"] != "shelf/1"
    assert told(server, "find", picture="red.png", k=1)["result"][0]["id"] == "shelf/1"
    assert told(server, "find", text="blue", k=1)["result"][0]["id"] == "a text"
    assert "shelf/2" in refused(server, "recognise", picture="content:shelf/2")
    assert "either text or picture" in refused(server, "find")


def test_the_pantry(server, larder):
    """Items are added, listed and removed; the service's messages reach the assistant."""
    larder.set_count("soy sauce", 1)
    assert told(server, "add", item="Soy sauce", quantity=4) == {"item": "soy sauce", "count": 5}
    assert {"item": "soy sauce", "count": 5} in told(server, "pantry")["result"]
    assert told(server, "remove", item="soy sauce", quantity=9) == {"item": "soy sauce", "count": 0, "removed": 5}
    larder.delete("soy sauce")
    assert "U+002F SOLIDUS" in refused(server, "add", item="1/2 litre of milk")
    assert "soy sauce" in refused(server, "remove", item="soy sauce")
    assert "greater than or equal to 1" in refused(server, "add", item="soy sauce", quantity=0)


def test_a_change_is_undone_once(server, larder):
    """An undo takes the id in the journal; the second time the service answers that it was undone."""
    larder.set_count("soy sauce", 2)
    told(server, "add", item="soy sauce", quantity=5)
    change, *_ = told(server, "journal", item="soy sauce", limit=1)["result"]
    assert (change["action"], change["before"], change["after"]) == ("add", 2, 7)
    undone = told(server, "undo", change=change["id"])
    assert (undone["after"], undone["undoes"]) == (2, change["id"])
    assert "undone" in refused(server, "undo", change=change["id"])
    larder.delete("soy sauce")


def test_teaching_and_correcting(server, larder):
    """An item is taught by pictures, and by the picture of an answer that was wrong."""
    assert "contradicts" in told(server, "teach", item="brick", pictures=["red.png"])["result"][0]
    answer = told(server, "recognise", picture="more/blue.png")
    assert len(told(server, "correct", request_id=answer["request_id"], item="brick")["result"]) == 1
    assert len(larder.taught("brick")) == 2
    forget(larder, "brick")


def test_a_file_that_is_no_picture(server):
    """The service's error becomes a tool error with the same message."""
    assert "not a picture" in refused(server, "recognise", picture="notes.txt").replace("no image", "not a picture")


def test_a_shelf(server):
    """The list is structured; a plain square gives no confident result."""
    assert isinstance(told(server, "recognise_shelf", picture="red.png")["result"], list)


def test_over_http_no_file_is_read_without_a_folder(larder, folder):
    """A network has other users, so files are only opened for an explicit folder."""
    with over_http(larder) as url:
        assert "--pictures DIR" in refused(url, "recognise", picture=str(folder / "red.png"))


def test_over_http_a_foreign_host_is_refused(larder):
    """A page of another site whose name was rebound to this machine is refused; an allowed name is not."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    with over_http(larder, "--allowed-host", "kitchen.example") as url:
        for headers, status in (
            ({"Host": "evil.example"}, 421),
            ({"Origin": "http://evil.example"}, 403),
            ({"Host": "kitchen.example"}, 200),
            ({}, 200),
        ):
            assert httpx2.post(url, json=hello, headers=accept | headers).status_code == status


def test_a_service_that_is_away(tmp_path):
    """The server still starts, and each call reports it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    away = StdioServerParameters(
        command=sys.executable,
        args=["-m", "larder_client.command", "--url", url, "mcp"],
        env={"PYTHONPATH": str(CLIENT)},
    )
    assert "cannot be reached" in refused(away, "pantry")


def test_the_folder_must_be_there(larder, tmp_path):
    """A misspelt folder is an error at the start, not at each call."""
    done = subprocess.run(
        [sys.executable, *command(larder, "--pictures", tmp_path / "no")], cwd=CLIENT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (2, f"larder: --pictures {tmp_path / 'no'} is not a folder\n")


def test_the_package_is_an_extra():
    """Without it the command says what to install."""
    hidden = "import sys; sys.modules['mcp'] = None; from larder_client.command import main; sys.exit(main(['mcp']))"
    done = subprocess.run([sys.executable, "-c", hidden], cwd=Path(CLIENT), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "larder: mcp needs the package mcp: pip install 'larder-client[mcp]'\n",
    )


def test_the_example_of_the_documentation(tmp_path, new_data):
    """docs/mcp.md prints what its script prints, with the bundled model."""
    script, printed = re.findall(
        r"```(?:python)?\n(.*?)```", (ROOT / "docs/mcp.md").read_text().partition("## An example")[2], re.DOTALL
    )
    (tmp_path / "larder").write_text(f'#!/bin/sh\nexec {sys.executable} -m larder_client.command "$@"\n')
    (tmp_path / "larder").chmod(0o755)
    with Server(data=new_data()) as server:
        server.ready()
        url, found = f"http://127.0.0.1:{server.port}", f"{tmp_path}:{os.environ['PATH']}"
        environment = {"LARDER_URL": url, "PYTHONPATH": str(CLIENT), "PATH": found}
        script = script.replace('"samples"]', f'"samples"], env={environment}')
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == printed, done.stderr
