"""The client's static types, as a type checker sees them: `make check` reads this file, but it never runs."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, assert_type

from larder_client import (
    AsyncLarder,
    Classification,
    Content,
    Correction,
    Event,
    Example,
    ExamplesReport,
    Found,
    Health,
    Hits,
    Item,
    Label,
    Labelled,
    Larder,
    Recognition,
    Region,
    RemovedItem,
    Review,
)


def methods(larder: Larder) -> None:
    """The return type of each method."""
    assert_type(larder.health(), Health)
    assert_type(larder.metrics(), str)
    assert_type(larder.labels(), list[Label])
    assert_type(larder.recognise("photo.jpg", update="add", quantity=2), Recognition)
    assert_type(larder.recognise(Path("photo.jpg")).pantry, Item | None)
    assert_type(larder.recognise_frames([b"1", b"2"], top_k=3), Recognition)
    assert_type(larder.recognise_regions(b"1", [(0, 0, 9, 9)]), list[Region])
    assert_type(larder.recognise_shelf(b"1", threshold=0.9), list[Found])
    assert_type(larder.classify(b"1", {"a car": "vehicle"}, mode="independent"), Classification)
    assert_type(larder.embed_texts(["milk"]), Any)
    assert_type(larder.embed_pictures([b"1"], shrink=False), Any)
    assert_type(larder.items(), list[Item])
    assert_type(larder.item("milk"), Item)
    assert_type(larder.set_count("milk", 3), Item)
    assert_type(larder.add("milk"), Item)
    assert_type(larder.remove("milk", 2), RemovedItem)
    assert_type(larder.teach("milk", [b"1"]), list[Example])
    assert_type(larder.taught("milk"), list[Example])
    assert_type(larder.forget("milk", "id"), int)
    assert_type(larder.feedback("id", "milk", teach=True), Correction)
    assert_type(larder.review(5), Review)
    assert_type(larder.review_picture("id", 1), bytes)
    assert_type(larder.label("id", "milk"), Labelled)
    assert_type(larder.dismiss("id"), None)
    assert_type(larder.examples_report(), ExamplesReport)
    assert_type(larder.put_text("id", "text", metadata={"shelf": 2}), Content)
    assert_type(larder.put_picture("id", b"1", thumbnail=False), Content)
    assert_type(larder.content("id"), Content)
    assert_type(larder.count_contents(), int)
    assert_type(larder.thumbnail("id"), bytes)
    assert_type(larder.search("milk", k=3, only="image"), Hits)
    assert_type(larder.events("change"), Generator[Event, None, None])
    assert_type(larder.url, str)
    with larder as entered:
        assert_type(entered, Larder)


async def coroutines(larder: AsyncLarder) -> None:
    """The same for the asyncio client, awaited."""
    assert_type(await larder.health(), Health)
    assert_type(await larder.recognise(b"1", top_k=3), Recognition)
    assert_type(await larder.recognise_shelf(b"1"), list[Found])
    assert_type(await larder.remove("milk"), RemovedItem)
    assert_type(await larder.search(picture=b"1"), Hits)
    assert_type(larder.events(), AsyncGenerator[Event, None])
    async with larder as entered:
        assert_type(entered, AsyncLarder)


def mistakes(larder: Larder) -> None:
    """Calls that a type checker has to reject: an unused ignore comment is an error itself."""
    larder.recognise(b"1", update="put")  # type: ignore[arg-type]
    larder.recognise(b"1", 5)  # type: ignore[call-arg]
    larder.recognise()  # type: ignore[call-arg]
    larder.set_count("milk", "3")  # type: ignore[arg-type]
    larder.classify(b"1", ["a"], mode="both")  # type: ignore[arg-type]
    larder.search("milk", type="sound")  # type: ignore[arg-type]
