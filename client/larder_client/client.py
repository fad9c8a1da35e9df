"""The client of programs that wait for each answer."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal, TypeVar

import httpx2

from larder_client import calls
from larder_client.answers import Classification, Example, Found, Health, Item, Label, Recognition, RemovedItem
from larder_client.errors import LarderError
from larder_client.exchange import Tries, answer, failure, request, settings
from larder_client.pictures import Picture

T = TypeVar("T")


class Larder:
    """A Larder service at `url`; safe to use from several threads.

    A call that meets no answer, a broken connection or 503 is sent again, up to `retries` times, no sooner than the
    service asks for; a change is carried out once all the same. `timeout` is in seconds, for one try. Every method
    raises LarderError: see larder_client.errors.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", key: str | None = None, *, timeout: float = 10, retries: int = 4
    ) -> None:
        self._url = url
        self._retries = retries
        self._http = httpx2.Client(**settings(url, key, timeout))

    def __enter__(self) -> "Larder":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> Health:
        """How the service is."""
        return self._send(calls.health())

    def labels(self) -> list[Label]:
        """The merged label set."""
        return self._send(calls.labels())

    def recognise(
        self,
        picture: Picture,
        *,
        top_k: int = 5,
        threshold: float = 0.8,
        update: Literal["add", "remove"] | None = None,
        quantity: int = 1,
        shrink: bool = True,
    ) -> Recognition:
        """What a picture shows among the live labels; `update` has the pantry's count changed when that is sure."""
        call = calls.recognise(
            picture, top_k=top_k, threshold=threshold, update=update, quantity=quantity, shrink=shrink
        )
        return self._send(call)

    def recognise_frames(
        self,
        pictures: Sequence[Picture],
        *,
        top_k: int = 5,
        threshold: float = 0.8,
        update: Literal["add", "remove"] | None = None,
        quantity: int = 1,
        shrink: bool = True,
    ) -> Recognition:
        """What 2 to 16 frames of one thing show; `frames` says how far they agree."""
        call = calls.recognise_frames(
            pictures, top_k=top_k, threshold=threshold, update=update, quantity=quantity, shrink=shrink
        )
        return self._send(call)

    def search(
        self,
        picture: Picture,
        *,
        threshold: float = 0.8,
        update: Literal["add", "remove"] | None = None,
        quantity: int = 1,
    ) -> list[Found]:
        """The things in one picture of several; `update` has the count of each changed."""
        return self._send(calls.search(picture, threshold=threshold, update=update, quantity=quantity))

    def classify(
        self,
        picture: Picture,
        labels: Sequence[str] | Mapping[str, str],
        *,
        template: str | None = None,
        mode: Literal["exclusive", "independent"] = "exclusive",
        none_of_these: bool = False,
        threshold: float = 0.8,
        shrink: bool = True,
    ) -> Classification:
        """How probable each of your own labels is; a map from label to category answers for categories too."""
        call = calls.classify(
            picture,
            labels,
            template=template,
            mode=mode,
            none_of_these=none_of_these,
            threshold=threshold,
            shrink=shrink,
        )
        return self._send(call)

    def items(self) -> list[Item]:
        """All items of the pantry."""
        return self._send(calls.items())

    def item(self, name: str) -> Item:
        """One item of the pantry."""
        return self._send(calls.item(name))

    def set_count(self, name: str, count: int) -> Item:
        """Set an item's count."""
        return self._send(calls.set_count(name, count))

    def add(self, name: str, quantity: int = 1) -> Item:
        """Add to an item's count."""
        return self._send(calls.add(name, quantity))

    def remove(self, name: str, quantity: int = 1) -> RemovedItem:
        """Take from an item's count, which never goes below 0."""
        return self._send(calls.remove(name, quantity))

    def delete(self, name: str) -> None:
        """Remove an item from the pantry."""
        self._send(calls.delete(name))

    def teach(self, name: str, pictures: Sequence[Picture], *, shrink: bool = True) -> list[Example]:
        """Teach an item by 1 to 32 pictures of it; what speaks against each is said."""
        return self._send(calls.teach(name, pictures, shrink=shrink))

    def taught(self, name: str) -> list[Example]:
        """The examples of an item."""
        return self._send(calls.taught(name))

    def forget(self, name: str, id: str | None = None) -> int:
        """Delete an item's examples, or one of them; returns how many."""
        return self._send(calls.forget(name, id))

    def _send(self, call: calls.Call[T]) -> T:
        tries = Tries(self._retries)
        while True:
            try:
                return answer(call, self._http.request(**request(call)))
            except httpx2.TransportError as error:
                wait = tries.wait_after(failure(error, self._url))
            except LarderError as error:
                wait = tries.wait_after(error)
            time.sleep(wait)
