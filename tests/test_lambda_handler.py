"""The handler on Lambda's own runtime client, and its timeout."""

import base64
import json
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import boto3
import numpy as np
import pytest
from fastapi import FastAPI, Response

from app import lambda_handler
from app.lambda_handler import Handler, read_secret, start
from app.main import create_app
from harness.runtime_api import Environment, FunctionError, http_event
from tests.bundles import write_bundle
from tests.conftest import wait_until
from tests.fakes import as_base64, colour_model, picture
from tests.lambda_events import KINDS, http_api_event, in_base64, rest_event

MOST = 100_000  # bytes of a body
kinds = pytest.mark.parametrize("event", KINDS, ids=lambda kind: kind.__name__)

# one line for each call that takes a picture: its path, the rest of its body, and what finds "blue" in its answer
CALLS = [
    ("/process-image", {}, lambda answer: answer["item"]),
    ("/classify", {"labels": ["red", "green", "blue"]}, lambda answer: max(answer["result"], key=answer["result"].get)),
]


def send(colour: str = "blue", **more: object) -> str:
    return json.dumps({"image_data": as_base64(picture(colour))} | more)


def answer_of(reply: dict) -> dict:
    return json.loads(reply["body"])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lambda")
    write_bundle(folder / "tiny")
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    (folder / "templates.txt").write_text("a photo of {}.\n")
    (folder / "background.txt").write_text("something else\n")
    names = {name: folder / f"{name}.txt" for name in ("labels", "templates", "background")}
    names["cors"] = "https://shop.example"
    return names | {"model": folder / "tiny", "data": folder / "data", "pantry": "none", "max_body": MOST}


@pytest.fixture(scope="module")
def environment(files):
    """One execution environment for the following tests: no event may break it for the next."""
    with Environment(**files) as environment:
        yield environment


@kinds
def test_it_says_that_it_is_ready(environment, event):
    """`GET /` is 200 at the first invocation: the start has waited for the labels."""
    reply = environment.invoke(event("GET", "/"))
    assert reply["statusCode"] == 200
    assert answer_of(reply)["status"] == "ready"


@kinds
@pytest.mark.parametrize(("path", "more", "found"), CALLS, ids=[path for path, *_ in CALLS])
def test_it_recognises_a_picture(environment, event, path, more, found):
    """A picture in JSON is recognised from every kind of event, with a base64 body or not."""
    asked = event("POST", path, send("blue", **more))
    for reply in (environment.invoke(asked), environment.invoke(in_base64(asked))):
        assert reply["statusCode"] == 200
        assert found(answer_of(reply)) == "blue"


@kinds
def test_an_unknown_path_is_404(environment, event):
    """Errors come in the one shape, and name the path without the stage."""
    reply = environment.invoke(event("GET", "/nowhere"))
    assert reply["statusCode"] == 404
    assert answer_of(reply)["error"]["code"] == "not_found"
    assert answer_of(reply)["detail"] == "there is no /nowhere"


def test_a_body_that_is_too_large_is_413(environment):
    """The answer names the limit; the next picture is recognised."""
    reply = environment.invoke(http_api_event("POST", "/process-image", "x" * (MOST + 1)))
    assert reply["statusCode"] == 413
    assert "100,000 bytes" in answer_of(reply)["detail"]
    assert environment.invoke(http_api_event("POST", "/process-image", send()))["statusCode"] == 200


@pytest.mark.parametrize(("body", "status"), [("{", 422), ('{"image_data": "bm8="}', 400), (None, 422)])
def test_bad_requests_are_answered(environment, body, status):
    """Malformed events are the app's error, never the gateway's 502."""
    assert environment.invoke(rest_event("POST", "/process-image", body))["statusCode"] == status


def test_an_event_that_asks_for_nothing_fails_alone(environment):
    """A scheduled event, say, is reported as the function's error, and the next request is answered."""
    with pytest.raises(FunctionError, match="unable to infer a handler"):
        environment.invoke({"source": "aws.events"})
    assert environment.invoke(http_event("GET", "/"))["statusCode"] == 200


def test_the_invocation_names_the_request(environment):
    """The request id is Lambda's own, by which its logs are found, unless the client has sent one."""
    reply = environment.invoke(http_event("GET", "/nowhere"))
    assert len(reply["headers"]["x-request-id"]) == 36
    reply = environment.invoke(rest_event("GET", "/nowhere", X_Request_ID="mine"))
    assert answer_of(reply)["error"]["request_id"] == "mine"


@kinds
def test_browsers_may_ask_from_the_named_pages(environment, event):
    """A preflight is answered for the origins of LARDER_CORS alone, and all answers carry the permission."""
    other = environment.invoke(event("GET", "/labels", Origin="https://else.example"))
    assert "access-control-allow-origin" not in other["headers"]
    asked = {"Origin": "https://shop.example", "Access_Control_Request_Method": "POST"}
    headers = {"Access_Control_Request_Headers": "content-type,x-api-key"}
    reply = environment.invoke(event("OPTIONS", "/process-image", **asked, **headers))
    assert reply["statusCode"] == 200
    assert reply["headers"]["access-control-allow-headers"] == "content-type,x-api-key"
    for path, status in (("/", 200), ("/nowhere", 404)):
        reply = environment.invoke(event("GET", path, **asked))
        assert (reply["statusCode"], reply["headers"]["access-control-allow-origin"]) == (
            status,
            "https://shop.example",
        )


def test_running_out_of_time_is_503(environment):
    """A second before Lambda's timeout the service answers 503 itself; the next request is in time."""
    reply = environment.invoke(http_event("POST", "/process-image", send()), seconds=lambda_handler.MARGIN_S)
    assert reply["statusCode"] == 503
    assert answer_of(reply)["error"]["code"] == "overloaded"
    late = http_api_event("GET", "/labels", Origin="https://shop.example")
    reply = environment.invoke(late, seconds=lambda_handler.MARGIN_S)
    assert (reply["statusCode"], reply["headers"]["access-control-allow-origin"]) == (503, "https://shop.example")
    assert environment.invoke(http_event("POST", "/process-image", send()))["statusCode"] == 200


@pytest.fixture
def secrets(monkeypatch):
    """A local Secrets Manager, which the handler's start finds through the environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    names = {"ENDPOINT_URL_SECRETS_MANAGER": f"http://{host}:{port}", "DEFAULT_REGION": "us-east-1"}
    for name, value in (names | {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield boto3.client("secretsmanager")
    server.stop()


def test_keys_come_from_their_secret(secrets):
    """The current version of the secret is read at the start."""
    secrets.create_secret(Name="larder-keys", SecretString="first")
    assert read_secret("LARDER_API_KEYS", "larder-keys") == "first"
    secrets.put_secret_value(SecretId="larder-keys", SecretString="second,third")
    assert read_secret("LARDER_API_KEYS", "larder-keys") == "second,third"


@pytest.mark.parametrize("variable", ["LARDER_API_KEYS", "LARDER_GOOGLE_CREDENTIALS"])
def test_a_secret_without_a_value_stops_the_start(secrets, monkeypatch, variable):
    """A secret that is not there or empty never opens the service: the start ends with one line that names it."""
    empty = f"empty-{variable}"
    secrets.create_secret(Name=empty, SecretString=" ,\n")
    for name, said in ((empty, "is empty"), ("missing", "cannot be read")):
        monkeypatch.setenv(f"{variable}_SECRET", name)
        with pytest.raises(SystemExit, match=f"{variable}_SECRET: the secret {name} {said}"):
            start()


def test_keys_are_asked_for(files):
    """Without a key only `GET /` and preflights are answered, also behind a named stage."""
    with Environment(**files | {"api_keys": "secret"}) as environment:
        for event in KINDS:
            assert environment.invoke(event("GET", "/"))["statusCode"] == 200
            assert environment.invoke(event("GET", "/labels"))["statusCode"] == 401
            assert environment.invoke(event("GET", "/labels", X_API_Key="secret"))["statusCode"] == 200


def test_what_stops_the_start_is_one_line(files):
    """A wrong setting ends the environment with the line that the server would end with."""
    with Environment(**files | {"threads": "none"}) as environment, pytest.raises(RuntimeError) as raised:
        environment.ready()
    message = "the environment ended: larder cannot start: LARDER_THREADS: 'none' was found"
    assert str(raised.value).startswith(message)
    assert len(str(raised.value).splitlines()) == 1


def test_what_the_image_has_prepared_is_used(files, tmp_path):
    """The folder `baked` becomes the data folder at the start, so its prompt vectors are used."""
    with Environment(**files | {"data": tmp_path / "baked"}) as environment:
        environment.ready()
    with closing(sqlite3.connect(tmp_path / "baked/prompts.sqlite")) as connection:
        for number, vector in connection.execute("SELECT number, vector FROM vectors").fetchall():
            turned = (-np.frombuffer(vector, np.float32)).tobytes()
            connection.execute("UPDATE vectors SET vector = ? WHERE number = ?", (turned, number))
        connection.commit()
    with Environment(tmp_path, **files | {"data": tmp_path / "data"}) as environment:
        answer = answer_of(environment.invoke(http_event("POST", "/process-image", send("blue"))))
    assert answer["top_k_items"][-1] == "blue"


@pytest.fixture
def handle(monkeypatch):
    """Make a handler in this process, and call it as Lambda would."""
    handlers: list[Handler] = []
    context = SimpleNamespace(aws_request_id="one", get_remaining_time_in_millis=lambda: 29_000)

    def handle(app: FastAPI):
        handlers.append(Handler(app))
        return lambda event: handlers[-1](event, context)

    yield handle
    for handler in handlers:
        handler.close()


def test_labels_that_do_not_come_are_said(handle, settings, encoder, monkeypatch):
    """If the labels are not encoded in time the answer is `starting`; later the service becomes ready."""
    monkeypatch.setattr(lambda_handler, "LABELS_WAIT_S", 0.05)
    app = create_app(settings, colour_model(encoder))
    encoder.open.clear()
    ask = handle(app)
    assert answer_of(ask(http_event("GET", "/")))["status"] == "starting"
    encoder.open.set()
    wait_until(lambda: answer_of(ask(http_event("GET", "/")))["status"] == "ready")


def test_bytes_come_back_in_base64(handle, settings):
    """Binary responses are passed to the gateway in base64."""
    app = create_app(settings, colour_model())
    app.add_api_route("/bytes", lambda: Response(b"\xff\x00", media_type="image/png"))
    reply = handle(app)(http_event("GET", "/bytes"))
    assert (reply["isBase64Encoded"], base64.b64decode(reply["body"])) == (True, b"\xff\x00")


@kinds
def test_names_and_queries_arrive(handle, settings, event):
    """Spaces and special characters are preserved by every event format."""
    app = create_app(settings, colour_model())
    app.add_api_route("/echo/{name}", lambda name, a, b: [name, a, b])
    path = "/echo/" + ("soy sauce" if event is rest_event else "soy%20sauce")
    assert answer_of(handle(app)(event("GET", path, query="a=1&b=2%26%203"))) == ["soy sauce", "1", "2& 3"]


def test_the_lifespan_is_entered_once(handle, settings, encoder):
    """Labels are encoded at the start and not again: the loop and what lives in it are kept between invocations."""
    ask = handle(create_app(settings, colour_model(encoder)))
    seen = len(encoder.prompts_seen)
    for _ in range(3):
        assert ask(http_event("POST", "/process-image", send()))["statusCode"] == 200
    assert len(encoder.prompts_seen) == seen


def test_there_is_no_handler_until_it_is_asked_for():
    """Importing the module starts nothing, and it only has its own attributes."""
    assert "handler" not in vars(lambda_handler)
    with pytest.raises(AttributeError, match="there is no handle in"):
        _ = lambda_handler.handle
