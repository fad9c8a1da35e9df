"""Webhooks against a local receiver: signed, retried, and independent of each other."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import standardwebhooks

from app.errors import SettingsError
from app.events.hub import Hub
from app.events.webhooks import Webhook, open_webhooks
from app.metrics import Metrics
from app.serving.url_policy import parse_url
from app.settings import Settings
from tests.api.test_process_image import post
from tests.conftest import wait_until
from tests.fakes import as_base64, picture

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class Receiver:
    """Answers each post by the next step, repeating the last: a status or one of the words below."""

    def __init__(self, *steps):
        self.posts = []
        self.ended = ended = threading.Event()
        posts, steps, lock = self.posts, list(steps or [204]), threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    step = steps.pop(0) if len(steps) > 1 else steps[0]
                    posts.append({"path": self.path, "body": body, "headers": dict(self.headers)})
                if step == "hang":
                    ended.wait()
                elif step in ("drip", "endless"):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X-Long: " if step == "drip" else b"\r\n"))
                    while not ended.wait(0.01):
                        try:
                            self.wfile.write(b"x")
                        except OSError:
                            return
                elif step == "hints":
                    with suppress(OSError):
                        while not ended.is_set():
                            self.wfile.write(1000 * b"HTTP/1.1 103 Early Hints\r\n\r\n")
                elif step != "drop":
                    self.send_response(step)
                    self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
                    self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=t0ken"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def end(self):
        self.ended.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def events(self):
        return [json.loads(each["body"]) for each in self.posts]


@pytest.fixture
def receive():
    with ExitStack() as stack:

        def start(*steps):
            receiver = Receiver(*steps)
            stack.callback(receiver.end)
            return receiver

        yield start


class Sending:
    """A hub and its webhooks, in a separate event loop."""

    def __init__(self, *urls, kept=1000, **options):
        self.hub, self.metrics = Hub(kept), Metrics()
        options = {"timeout_s": 20.0, "retried_s": 60.0, "first_wait_s": 0.01} | options
        self.hooks = [
            Webhook(f"hook {number}", parse_url(url), SECRET, self.metrics, **options)
            for number, url in enumerate(urls, 1)
        ]

    def __enter__(self):
        import asyncio

        async def run():
            await asyncio.gather(*(hook.run(self.hub) for hook in self.hooks))

        self.thread = threading.Thread(target=lambda: asyncio.run(run()))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.hub.close()
        self.thread.join(120)
        assert not self.thread.is_alive()

    def publish(self, count=1):
        for number in range(count):
            self.hub.publish("change", {"item": "crème fraîche", "after": number})

    def count(self, outcome, number=1):
        for line in self.metrics.text().decode().splitlines():
            if line.startswith("larder_event_deliveries_total") and f'"{outcome}"' in line and f"hook {number}" in line:
                return int(float(line.split()[-1]))
        return 0


def test_an_event_is_signed_as_the_standard_says(receive):
    """The standard's own library and an HMAC by hand verify it; another secret or body fails."""
    receiver = receive()
    with Sending(receiver.url) as sending:
        sending.publish()
        wait_until(lambda: receiver.posts)
    (sent,) = receiver.posts
    headers = {name.lower(): value for name, value in sent["headers"].items()}
    assert standardwebhooks.Webhook(SECRET).verify(sent["body"], headers)["data"]["item"] == "crème fraîche"
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + sent["body"]
    signature = base64.b64encode(hmac.digest(bytes(range(32)), text, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert headers["webhook-id"] == sending.hub.id_of(1)
    assert sent["path"] == "/hook?token=t0ken"
    for secret, body in ((SECRET, sent["body"] + b" "), (SECRET[:-8] + "AAAAAAA=", sent["body"])):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(secret).verify(body, headers)


@pytest.mark.parametrize("trouble", [500, 302, "hang", "drop", "drip", "hints"])
def test_what_is_not_taken_comes_again(receive, trouble):
    """After an error, a redirect, a hang, a broken connection or endless headers the same event is sent again."""
    receiver = receive(trouble, trouble, 200)
    with Sending(receiver.url, timeout_s=0.5 if trouble in ("hang", "drip") else 20.0) as sending:
        sending.publish(2)
        wait_until(lambda: sending.count("delivered") == 2)
    numbers = [sending.hub.number_of(event["id"]) for event in receiver.events()]
    assert numbers[:3] == [1, 1, 1]
    assert numbers[-1] == 2
    assert (sending.count("failed"), sending.count("lost")) == (len(numbers) - 2, 0)
    assert {each["path"] for each in receiver.posts} == {"/hook?token=t0ken"}


def test_an_answer_without_end_is_an_answer(receive):
    """Its status counts, and the next event does not wait for the rest of the body."""
    receiver = receive("endless")
    with Sending(receiver.url) as sending:
        sending.publish(2)
        wait_until(lambda: sending.count("delivered") == 2)
    assert len(receiver.posts) == 2


def test_an_event_is_given_up_after_a_while(receive, capsys):
    """An undeliverable event is counted as lost and logged, and the next ones are sent."""
    receiver = receive(500)
    with Sending(receiver.url, retried_s=0.0) as sending:
        sending.publish(3)
        wait_until(lambda: sending.count("lost") == 3)
    assert [event["data"]["after"] for event in receiver.events()] == [0, 1, 2]


def test_a_receiver_that_is_gone_gets_no_more(receive):
    """410 ends deliveries until the next start."""
    receiver = receive(410)
    with Sending(receiver.url) as sending:
        sending.publish(5)
        sending.thread.join(60)
        assert not sending.thread.is_alive()
        sending.publish(5)
    assert len(receiver.posts) == 1
    assert sending.count("gone") == 1


def test_one_that_hangs_holds_up_no_other(receive):
    """Webhooks are independent of each other."""
    hanging, good = receive("hang"), receive()
    with socket.create_server(("127.0.0.1", 0)) as full:  # accepts no connection
        deaf = f"http://127.0.0.1:{full.getsockname()[1]}/"
        with Sending(hanging.url, deaf, "http://no-such-host.invalid/", good.url, timeout_s=3.0) as sending:
            sending.publish(20)
            wait_until(lambda: sending.count("delivered", 4) == 20)
            assert [sending.count("delivered", number) for number in (1, 2, 3)] == [0, 0, 0]


def test_what_does_not_fit_is_counted(receive):
    """While a receiver is unreachable, only the newest events are kept for it."""
    receiver = receive("hang", 200)
    with Sending(receiver.url, kept=10, timeout_s=1.0) as sending:
        sending.publish()
        wait_until(lambda: receiver.posts)
        sending.publish(100)
        wait_until(lambda: sending.count("delivered") == 11)
    assert sending.count("lost") == 90
    assert receiver.events()[-1]["data"]["after"] == 99


def test_the_last_events_are_sent_before_the_end(receive):
    """Events published before the end are delivered once; a failing receiver is not waited for."""
    good, bad = receive(), receive(500)
    with Sending(good.url, bad.url) as sending:
        sending.publish(10)
    assert len(good.posts) == 10
    assert len(bad.posts) >= 1


def settings_of(urls="", secrets=""):
    return Settings(webhooks=urls, webhook_secrets=secrets)


@pytest.mark.parametrize(
    ("urls", "secrets", "told"),
    [
        ("http://a/t0ken", "", "0 secrets were found for 1 webhooks"),
        ("http://a/t0ken,http://b/", ",".join([SECRET] * 3), "3 secrets were found for 2"),
        ("http://a/t0ken", "t0ken-without-a-prefix-of-24-bytes", "number 1 is not a secret"),
        ("http://a/t0ken", "whsec_dDBrZW4=", "number 1 is not a secret"),
        ("http://a/t0ken", "whsec_t0ken!!!", "number 1 is not a secret"),
        (f"{'http://a/'},ftp://t0ken", SECRET, "number 2: the URL does not begin with http"),
        ("http://user:t0ken@a/", SECRET, "number 1: the URL has a user"),
    ],
)
def test_wrong_settings_are_said_without_what_is_secret(urls, secrets, told):
    """The line names the wrong setting, and repeats neither an address nor a secret."""
    with pytest.raises(SettingsError, match=told) as raised:
        open_webhooks(settings_of(urls, secrets), Metrics())
    assert "t0ken" not in str(raised.value)


def test_settings_name_webhooks():
    """There is one secret for all, or one for each."""
    assert open_webhooks(settings_of(), Metrics()) == []
    assert len(open_webhooks(settings_of("http://a/,https://b/x", SECRET), Metrics())) == 2
    assert len(open_webhooks(settings_of("http://a/,https://b/x", f"{SECRET},{SECRET}"), Metrics())) == 2


def test_the_service_posts_changes_and_recognitions(start, receive, capfd):
    """A picture leads to a delivery; no log line has the address's token or the secret."""
    receiver = receive()
    client = start(webhooks=receiver.url, webhook_secrets=SECRET)
    assert post(client, image_data=as_base64(picture("red")), pantry_update={"operation": "add"}).status_code == 200
    wait_until(lambda: len(receiver.posts) == 2)
    assert [event["type"] for event in receiver.events()] == ["recognition", "change"]
    assert (
        'larder_event_deliveries_total{outcome="delivered",to="webhook 1, 127.0.0.1"} 2.0'
        in client.get("/metrics").text
    )
    assert "t0ken" not in capfd.readouterr().err
