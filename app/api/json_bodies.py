"""Bound the structure of JSON bodies before anything parses or validates them."""

import asyncio
import re

from app.errors import InvalidRequest

MAX_ELEMENTS = 100_000  # parsing and validating these takes some 20 ms of the event loop

# a string, which may lack its end, or a comma outside of strings; possessive, so that no body makes it backtrack
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|,', re.DOTALL)


async def check_structure(content_type: str, body: bytes) -> None:
    """Raises InvalidRequest for a JSON body whose parsing and validation would hold up the event loop."""
    if "json" not in content_type.lower() or not may_have_too_many_elements(body):
        return
    if await asyncio.to_thread(has_too_many_elements, body):
        raise InvalidRequest(f"the JSON body has more than {MAX_ELEMENTS:,} elements, the most that is accepted")


def may_have_too_many_elements(body: bytes, most: int = MAX_ELEMENTS) -> bool:
    """Whether there are `most` commas or more, wherever they are: fast, and rarely true.

    >>> may_have_too_many_elements(b'["a,b,c"]', most=2), may_have_too_many_elements(b'["a,b,c"]', most=3)
    (True, False)
    """
    return body.count(b",") >= most


def has_too_many_elements(body: bytes, most: int = MAX_ELEMENTS) -> bool:
    """Whether lists and objects have more than `most` elements together; stops counting there.

    >>> has_too_many_elements(b'["a,b,c"]', most=2), has_too_many_elements(b'[1, {"a": 2, "b": 3}]', most=2)
    (False, True)
    """
    commas = 0
    for tokens, token in enumerate(_TOKEN.finditer(body), start=1):
        commas += token.end() - token.start() == 1 and body[token.start()] == ord(",")
        if commas >= most or tokens > 4 * most:  # JSON has at most two strings for each comma
            return True
    return False
