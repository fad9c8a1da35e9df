"""The hub: stored events, missed events, and waking of followers."""

import asyncio
import json
import threading

import pytest

from app.errors import Overloaded
from app.events.hub import Hub


def published(kept, count):
    hub = Hub(kept)
    for number in range(count):
        hub.publish("change", {"item": "rice", "after": number})
    return hub


def test_the_newest_events_are_kept_in_order():
    """A follower that is further behind counts the older ones as missed."""
    hub = published(kept=3, count=5)
    assert [event.number for event in hub.since(0)] == [3, 4, 5]
    assert [event.number for event in hub.since(4)] == [5]
    assert (hub.since(5), hub.missed(0), hub.missed(2)) == ([], 2, 0)


def test_an_event_says_what_when_and_which():
    """Its JSON is one object on one line, with the time in UTC."""
    hub = Hub()
    hub.publish("recognition", {"item": "crème\nfraîche"})
    (event,) = hub.since(0)
    form = json.loads(event.json)
    assert "\n" not in event.json
    assert form["data"] == {"item": "crème\nfraîche"}
    assert (form["id"], form["type"], form["timestamp"][-1]) == (hub.id_of(1), "recognition", "Z")


@pytest.mark.parametrize("id", ["", "7", "-", "x-1", "{}-x", "{}-99", "{}--1", "{}-" + "9" * 5000, "{}-²", "ё\n\0"])
def test_an_id_that_is_none_of_this_start_has_no_number(id):
    """For any unknown id, the client learns that it has missed events."""
    hub = published(kept=10, count=3)
    own = hub.id_of(1).partition("-")[0]
    assert hub.number_of(id.format(own)) is None
    assert hub.number_of(hub.id_of(3)) == 3


def test_a_follower_is_woken_from_any_thread():
    """No event is lost between a check and a wait, for any number of publishing threads."""

    async def follow():
        hub, seen = Hub(kept=10_000), 0
        threads = [threading.Thread(target=lambda: [hub.publish("change", {}) for _ in range(500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        while seen < 2000:
            assert await hub.wait(seen, 60)
            seen += len(hub.since(seen))
        for thread in threads:
            thread.join()
        assert [event.number for event in hub.since(0)] == list(range(1, 2001))

    asyncio.run(follow())


def test_waiting_ends_at_its_timeout_and_when_it_is_woken():
    """Heartbeats need the timeout, and the end of the service needs the wake-up."""

    async def wait():
        hub = Hub()
        assert not await hub.wait(0, 0.001)
        asyncio.get_running_loop().call_later(0.01, hub.wake)
        assert await hub.wait(0, 60)

    asyncio.run(wait())
    hub = Hub()
    asyncio.run(hub.wait(0, 0.001))
    hub.publish("change", {})  # its loop is closed: nobody waits, and nothing fails


def test_listeners_are_counted():
    """One listener too many is refused, and a leaving one frees a slot."""
    hub = Hub(max_listeners=1)
    with hub.listening(), pytest.raises(Overloaded, match="1 connections listen"), hub.listening():
        pass
    with hub.listening():
        assert hub.listeners == 1
