"""The four kinds of HTTP events: as API Gateway, a load balancer and a function URL write them."""

import base64
from collections.abc import Callable
from urllib.parse import parse_qs

from harness.runtime_api import http_event

HEADERS = {"Host": "larder.example", "Content-Type": "application/json", "X-Forwarded-Proto": "https"}


def rest_event(method: str, path: str, body: str | None = None, query: str = "", **headers: str) -> dict:
    """A REST API event, format 1.0: headers and the query twice, `path` without the stage."""
    sent = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    values = parse_qs(query)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": {name: each[-1] for name, each in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "requestContext": {"stage": "prod", "path": f"/prod{path}", "identity": {"sourceIp": "203.0.113.7"}},
        "body": body,
        "isBase64Encoded": False,
    }


def http_api_event(method: str, path: str, body: str | None = None, query: str = "", **headers: str) -> dict:
    """An HTTP API event, format 2.0: headers in lower case, the raw query."""
    sent = {name.replace("_", "-").lower(): value for name, value in (HEADERS | headers).items()}
    return http_event(method, path, body, rawQueryString=query, headers=sent)


def staged_event(method: str, path: str, body: str | None = None, query: str = "", **headers: str) -> dict:
    """An HTTP API event with a named stage, which precedes the path."""
    event = http_api_event(method, f"/prod{path}", body, query, **headers)
    event["requestContext"]["stage"] = "prod"
    return event


def balancer_event(method: str, path: str, body: str | None = None, query: str = "", **headers: str) -> dict:
    """A load balancer's event, without multi-value headers."""
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:0:targetgroup/larder/0"}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {name: each[-1] for name, each in parse_qs(query).items()},
        "headers": {name.replace("_", "-").lower(): value for name, value in (HEADERS | headers).items()},
        "body": body or "",
        "isBase64Encoded": False,
    }


def in_base64(event: dict) -> dict:
    """The same event with a base64 body, as gateways send binary data."""
    return event | {"body": base64.b64encode(event["body"].encode()).decode(), "isBase64Encoded": True}


Event = Callable[..., dict]
KINDS: list[Event] = [rest_event, http_api_event, staged_event, balancer_event]
