"""Google credentials from a setting: a service account's key, or the federation of AWS with Google."""

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request

from app.components import open_pantry
from app.errors import StoreUnavailable
from app.pantry.firestore.connection import credentials_of
from app.settings import Settings, task_role

FEDERATION = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/aws",
    "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    "token_url": "https://sts.googleapis.com/v1/token",
    "credential_source": {
        "environment_id": "aws1",
        "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
        "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    },
}

NO_SOURCE = FEDERATION | {"credential_source": {"environment_id": "secret"}}


@pytest.fixture
def ecs():
    """A fake of the endpoint from which an ECS task gets its keys; `answers` are its responses."""
    answers = [(200, {"AccessKeyId": "AKID", "SecretAccessKey": "very secret", "Token": "a token"})]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers[-1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answers = answers
        server.url = f"http://127.0.0.1:{server.server_port}/v2/credentials/x"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_the_role_of_an_ecs_task_is_used(ecs):
    """Google gets a request to AWS, signed with the task's keys, that identifies the task; it contains no secret."""
    credentials = credentials_of(json.dumps(FEDERATION), (ecs.url, "eu-central-1"))
    with requests.Session() as session:
        token = json.loads(urllib.parse.unquote(credentials.retrieve_subject_token(Request(session))))
    headers = {each["key"].lower(): each["value"] for each in token["headers"]}
    assert token["url"].startswith("https://sts.eu-central-1.amazonaws.com?Action=GetCallerIdentity")
    assert headers["x-goog-cloud-target-resource"] == FEDERATION["audience"]
    assert headers["x-amz-security-token"] == "a token"
    assert "Credential=AKID/" in headers["authorization"]
    assert "very secret" not in json.dumps(token)


def test_keys_that_cannot_be_had_are_said(ecs):
    """The error is one of Google's own, so that the call fails like any call without a token."""
    ecs.answers.append((403, {}))
    credentials = credentials_of(json.dumps(FEDERATION), (ecs.url, "eu-central-1"))
    with requests.Session() as session, pytest.raises(RefreshError, match="403"):
        credentials.retrieve_subject_token(Request(session))


def test_the_task_role_is_where_ecs_says(monkeypatch):
    """ECS sets a path in a variable; without it there is no role."""
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", raising=False)
    assert task_role() is None
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/abc")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert task_role() == ("http://169.254.170.2/v2/credentials/abc", "eu-west-1")


def test_a_service_account_key_is_taken(monkeypatch):
    """The pantry opens with a key from the setting alone; nothing of the machine is asked."""
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "nothing.json")
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    key = {"type": "service_account", "client_email": "larder@p.example", "private_key": pem}
    credentials = credentials_of(json.dumps(key | {"token_uri": "http://127.0.0.1:1/token"}), None)
    assert credentials.service_account_email == "larder@p.example"
    assert credentials.scopes


@pytest.mark.parametrize(
    "info", [{}, {"type": "secret"}, {"type": "service_account", "private_key": "secret"}, NO_SOURCE]
)
def test_what_is_no_credentials_is_refused_in_one_line(monkeypatch, info):
    """The start ends, and the error does not repeat the value."""
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    text = json.dumps(info)
    with pytest.raises(StoreUnavailable, match="LARDER_GOOGLE_CREDENTIALS") as raised:
        open_pantry(Settings(pantry="firestore://some-project/pantry", google_credentials=text))
    assert "secret" not in str(raised.value)
