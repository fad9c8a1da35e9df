"""What each resource on AWS can do here: be found, made, changed, marked and deleted."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

STACK = "larder:stack"
FINGERPRINT = "larder:fingerprint"
USUAL, ECS = ("Key", "Value"), ("key", "value")  # what AWS calls a tag's two parts

Wanted = dict[str, Any]
"""How a resource shall be, as plain data; an empty one asks for nothing: it stays as it is, there or not."""


class DeployError(Exception):
    """What stopped a command, in one line: which resource, what was found, what to do."""


@dataclass(frozen=True)
class Found:
    """A resource as it is: what others call it by, and its tags."""

    id: str
    tags: Mapping[str, str] = field(default_factory=dict)


class Resource(Protocol):
    """One resource of a stack."""

    key: str
    """What it is, by which others ask for its id."""
    name: str
    """What AWS calls it."""
    whole: ClassVar[bool] = True
    """Whether `create` leaves nothing for `update` to do."""
    renewed: ClassVar[bool] = False
    """Whether an update gives it another id."""

    def wanted(self, ids: Mapping[str, str]) -> Wanted | None:
        """How it shall be, given the ids of those before it; None: it shall not be there."""

    def find(self) -> Found | None:
        """The resource as it is; None when it is not there."""

    def create(self, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        """Make it with its tags, in one call."""

    def update(self, found: Found, wanted: Wanted, tags: Mapping[str, str]) -> Found:
        """Make what is there as it shall be; `tags` are for those that are made anew."""

    def mark(self, found: Found, tags: Mapping[str, str]) -> None:
        """Set its tags: the last step, which says that all others were done."""

    def delete(self, found: Found) -> bool:
        """Delete it; False while something still holds it."""

    def pending(self) -> str:
        """What it still waits for before it can serve; empty when nothing. Raises DeployError when that is in vain."""
        return ""


def fingerprint(wanted: Wanted) -> str:
    """A short name for how something shall be: equal for equal data."""
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]


def pairs(tags: Mapping[str, str], names: tuple[str, str] = USUAL) -> list[dict[str, str]]:
    """Tags as AWS takes them."""
    return [{names[0]: key, names[1]: value} for key, value in tags.items()]


def unpaired(tags: Iterable[Mapping[str, str]], names: tuple[str, str] = USUAL) -> dict[str, str]:
    """Tags as AWS gives them."""
    return {tag[names[0]]: tag[names[1]] for tag in tags}
