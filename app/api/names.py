"""Item names with a percent-encoded slash, which the routes would take for the end of the name."""

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import failures
from app.errors import InvalidRequest
from app.pantry import item_name

_SLASHED = re.compile(rb"/pantry/([^/?]*%2f[^/?]*)", re.IGNORECASE)


class EncodedSlashMiddleware:
    """Reject item names with a percent-encoded slash.

    It has to come before the routes: they see the decoded path, in which `POST /pantry/rice%2Fadd` adds rice.
    Where a gateway hands on the decoded path alone, nothing can tell.
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
    """Raise InvalidRequest for the path of an item whose name has a slash.

    >>> check_name(b"/pantry/half%2Fhalf/add")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    app.errors.InvalidRequest: invalid item name 'half/half': it has the character U+002F SOLIDUS; ...
    """
    if found := _SLASHED.match(path):
        item_name(unquote(found[1].decode("latin-1")))
