"""The event stream (`GET /events`), independent of the transport: requests, and a parser of lines."""

import json
from collections.abc import Sequence
from typing import Any

import httpx2

from larder_client.answers import Event, read
from larder_client.connection import Connection, public
from larder_client.errors import Failed, Unreachable, error_of

SILENCE = 45.0  # seconds; the service sends something every 15


class EventStream:
    """A parser of server-sent events that keeps its position, so that a lost connection resumes."""

    def __init__(self, connection: Connection, kinds: str | Sequence[str] | None, last_id: str | None) -> None:
        self._connection = connection
        self._kinds = [kinds] if isinstance(kinds, str) else list(kinds or ())
        self._last_id = last_id
        self._fields: dict[str, str] = {}

    def request(self) -> dict[str, Any]:
        """Return the next request as the arguments of an HTTP client's `stream`."""
        self._fields = {}  # of an incomplete event of the previous connection
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        timeout = httpx2.Timeout(self._connection.timeout, read=max(self._connection.timeout, SILENCE))
        about = {"method": "GET", "url": "/events", "headers": headers, "timeout": timeout}
        return about | {"params": {"kind": self._kinds}}

    def check(self, response: httpx2.Response) -> None:
        """Raise the LarderError of an answer unless it is a stream; reads the body of an error."""
        if not response.is_success:
            try:
                body = response.json()
            except ValueError:
                body = None
            raise error_of(response.status_code, body, response.headers)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            where = f"GET {public(str(response.request.url))}"
            raise Failed(f"{where} answered {response.status_code}, but no stream of events: is it Larder?")

    def feed(self, line: str) -> Event | None:
        """Return the event that a line completes."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        self._last_id = fields.get("id", self._last_id)
        try:
            return read(Event, json.loads(fields["data"])) if "data" in fields else None
        except (TypeError, ValueError) as error:
            raise Failed(f"an event that is not in Larder's form: {fields['data'][:100]!r}") from error

    def ended(self) -> Unreachable:
        """Return the error for a stream that has ended."""
        return Unreachable(f"{self._connection.way} has ended the stream of events")
