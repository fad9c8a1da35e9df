"""Items' names in the path as they were sent, where a slash is still `%2F`: the routes take it for the name's end."""

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import failures
from app.errors import InvalidRequest
from app.pantry import item_name

_SLASHED = re.compile(rb"/pantry/([^/?]*%2f[^/?]*)", re.IGNORECASE)


class NameMiddleware:
    """Refuses a name with a slash, as names that are none are refused elsewhere.

    Where a gateway hands on the decoded path alone, there is no such call instead.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            check_name(scope.get("raw_path") or b"")
        except InvalidRequest as error:
            await failures.answer(error, scope["state"]["request_id"])(scope, receive, send)
            return
        await self._app(scope, receive, send)


def check_name(path: bytes) -> None:
    """Raises InvalidRequest for the path of an item whose name has a slash.

    >>> check_name(b"/pantry/half%2Fhalf/add")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    app.errors.InvalidRequest: invalid item name 'half/half': it has the character U+002F SOLIDUS; ...
    """
    if found := _SLASHED.match(path):
        item_name(unquote(found[1].decode("latin-1")))
