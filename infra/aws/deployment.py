"""A list of resources brought to how they shall be, or to nothing."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from infra.aws.cloud import named
from infra.aws.resource import FINGERPRINT, STACK, DeployError, Found, Resource, Wanted, fingerprint


@dataclass(frozen=True)
class Patience:
    """How long to wait for AWS, in seconds, and how often to ask."""

    limit: float = 900
    pause: float = 5
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    say: Callable[[str], None] = print

    def until(self, what: str, reason: Callable[[], str]) -> None:
        """Ask until there is no reason to wait any more, saying each new one; raises DeployError at the limit."""
        deadline, last = self.clock() + self.limit, ""
        while now := reason():
            if now != last:
                self.say(f"wait      {what}: {now}")
            if self.clock() >= deadline:
                raise DeployError(f"{what}: {now}, still after {self.limit:g} s; the same command waits on")
            last = now
            self.sleep(self.pause)


class Deployment:
    """The resources of one stack, each after those that it needs."""

    def __init__(self, stack: str, resources: Sequence[Resource], patience: Patience) -> None:
        self._owner = {STACK: stack}
        self._resources = resources
        self._patience = patience
        self._say = patience.say

    def plan(self) -> int:
        """Say what `up` would do; returns how many resources it would change. Raises DeployError."""
        changes, ids = 0, dict[str, str]()
        for resource, found, wanted, verb in self._steps(ids):
            if verb in ("create", "update"):
                changes += 1
                self._tell(verb, resource)
            if wanted and (found is None or (verb == "update" and resource.renewed)):
                ids[resource.key] = f"<{resource.key}>"
        for resource, _ in self._unwanted(ids):
            changes += 1
            self._tell("delete", resource)
        self._say(f"{changes} of {len(self._resources)} resources would change" if changes else "nothing would change")
        return changes

    def up(self) -> int:
        """Bring all resources to how they shall be; returns how many were changed. Raises DeployError."""
        changes, ids = 0, dict[str, str]()
        for resource, found, wanted, verb in self._steps(ids):
            if wanted and verb in ("create", "update"):
                changes += 1
                self._tell(verb, resource)
                with _named(resource):
                    ids[resource.key] = self._apply(resource, found, wanted)
        for resource, found in self._unwanted(ids):
            changes += 1
            self._delete(resource, found)
        for resource in self._resources:
            with _named(resource):
                self._patience.until(_title(resource), resource.pending)
        self._say(f"{changes} of {len(self._resources)} resources were changed")
        return changes

    def down(self, dry_run: bool = False) -> int:
        """Delete what is ours, last first, and leave what is not; returns how many resources were deleted."""
        count = 0
        for resource in reversed(self._resources):
            found = self._find(resource)
            if found is None:
                continue
            if not self._ours(found):
                self._tell("leave", resource, "not made by this stack")
                continue
            count += 1
            if dry_run:
                self._tell("delete", resource)
            else:
                self._delete(resource, found)
        self._say(f"{count} resources {'would be' if dry_run else 'were'} deleted")
        return count

    def status(self) -> bool:
        """Say of each resource whether it is there; returns whether something is, and all of it ours and ready."""
        states = []
        for resource in self._resources:
            found = self._find(resource)
            if found is None:
                self._tell("absent", resource)
                continue
            states.append(self._state(resource) if self._ours(found) else "not made by this stack")
            self._tell("attend" if states[-1] else "there", resource, states[-1] or found.id)
        return bool(states) and not any(states)

    def _state(self, resource: Resource) -> str:
        try:
            with _named(resource):
                return resource.pending()
        except DeployError as error:
            return str(error)

    def _steps(self, ids: dict[str, str]) -> Iterator[tuple[Resource, Found | None, Wanted | None, str]]:
        """Each resource with what is there, what shall be, and what to do; fills `ids` with what is there.

        All of them are looked for first, so that nothing is made where something foreign stands in the way.
        """
        there = {resource.key: self._own(resource, self._find(resource)) for resource in self._resources}
        for resource in self._resources:
            found, wanted = there[resource.key], resource.wanted(ids)
            if found is not None and wanted is not None:
                ids[resource.key] = found.id
            yield resource, found, wanted, _verb(found, wanted)

    def _unwanted(self, ids: Mapping[str, str]) -> list[tuple[Resource, Found]]:
        """What is there and shall not be, last first: it goes when nothing uses it any more."""
        unwanted = [resource for resource in self._resources if resource.wanted(ids) is None]
        there = [(resource, self._own(resource, self._find(resource))) for resource in reversed(unwanted)]
        return [(resource, found) for resource, found in there if found]

    def _apply(self, resource: Resource, found: Found | None, wanted: Wanted) -> str:
        """Make or change a resource; its fingerprint is set last, so that what was cut short is done again."""
        tags = self._owner | {FINGERPRINT: fingerprint(wanted)}
        if found is None:
            found = resource.create(wanted, tags if resource.whole else self._owner)
            if resource.whole:
                return found.id
        found = resource.update(found, wanted, tags)
        resource.mark(found, tags)
        return found.id

    def _delete(self, resource: Resource, found: Found) -> None:
        self._tell("delete", resource)
        until = self._patience.until
        with _named(resource):
            until(_title(resource), lambda: "" if resource.delete(found) else "still in use")
            until(_title(resource), lambda: "on its way out" if resource.find() else "")

    def _find(self, resource: Resource) -> Found | None:
        with _named(resource):
            return resource.find()

    def _own(self, resource: Resource, found: Found | None) -> Found | None:
        """What was found, if it is ours; raises DeployError for what is another's."""
        if found is None or self._ours(found):
            return found
        whose = found.tags.get(STACK)
        raise DeployError(
            f"{_title(resource)}: it is there and was {f'made by the stack {whose}' if whose else 'not made by this'}; "
            "it is left alone: choose another --stack, or remove it"
        )

    def _ours(self, found: Found) -> bool:
        return found.tags.get(STACK) == self._owner[STACK]

    def _tell(self, verb: str, resource: Resource, more: str = "") -> None:
        self._say(f"{verb:8}  {resource.key:18}  {resource.name}{f'  ({more})' if more else ''}")


def _verb(found: Found | None, wanted: Wanted | None) -> str:
    if not wanted:
        return "leave"
    if found is None:
        return "create"
    return "keep" if found.tags.get(FINGERPRINT) == fingerprint(wanted) else "update"


def _title(resource: Resource) -> str:
    return f"{resource.key} {resource.name}"


def _named(resource: Resource) -> AbstractContextManager[None]:
    return named(_title(resource))
