"""The service's answers as frozen dataclasses with the field names of the API."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """An item of the pantry and its count."""

    item: str
    count: int


@dataclass(frozen=True)
class RemovedItem(Item):
    """An item, its count after a removal, and how many were removed."""

    removed: int


@dataclass(frozen=True)
class Change:
    """An entry of the journal: a change of an item's count, and who made it."""

    id: str
    at: str
    by: str | None
    """The name of the API key, or of the command; None where no key was needed."""
    request_id: str | None
    action: str
    """`put`, `add`, `remove`, `delete` or `undo`."""
    item: str
    before: int | None
    """The count before; None where the item was not there."""
    after: int | None
    """The count after; None where the item was deleted."""
    undoes: str | None
    """The change that this one undid."""
    undone_by: str | None
    """The change that undid this one."""


class Changes(list[Change]):
    """A page of the journal, newest first; `cursor` asks for the next page, None at the end."""

    def __init__(self, changes: Iterable[Change] = (), cursor: str | None = None) -> None:
        super().__init__(changes)
        self.cursor = cursor


@dataclass(frozen=True)
class Barcode:
    """A barcode in a picture, and the item that it is tied to."""

    code: str
    format: str
    """`ean_13`, `ean_8`, `upc_a`, `upc_e` or `qr_code`."""
    box: list[int]
    """Left, top, right, bottom in pixels."""
    item: str | None


@dataclass(frozen=True)
class TiedBarcode:
    """A code that is tied to an item."""

    code: str
    item: str


class TiedBarcodes(list[TiedBarcode]):
    """A page of the codes; `cursor` asks for the next page, None at the end."""

    def __init__(self, codes: Iterable[TiedBarcode] = (), cursor: str | None = None) -> None:
        super().__init__(codes)
        self.cursor = cursor


@dataclass(frozen=True)
class Frames:
    """How well the frames of one thing agree."""

    used: list[bool]
    """Which frames count, in their order."""
    agreement: float
    """The share of all frames that show the item by themselves."""


@dataclass(frozen=True)
class Countable:
    """A label with the pantry's name of it."""

    item: str
    """The label."""
    pantry_item: str | None = field(default=None, kw_only=True)
    """The pantry's name of it, where that is another one: a synonym, for instance."""
    pantry_refused: str | None = field(default=None, kw_only=True)
    """Why the pantry cannot have it as an item, where an update was asked for."""

    @property
    def stored_as(self) -> str:
        """The name under which the pantry has it, or would have it."""
        return self.pantry_item or self.item


@dataclass(frozen=True)
class Found(Countable):
    """An item that was found in a picture, with a box for each piece."""

    count: int
    boxes: list[list[int]]
    """Left, top, right, bottom in pixels."""
    probabilities: list[float]
    pantry: Item | None
    """The item and its new count, when the pantry was updated."""


@dataclass(frozen=True)
class Example:
    """An example of an item, with its warnings."""

    id: str
    taught_at: str
    used: bool
    """Whether the served model made it; another model's is kept, but not used."""
    near_duplicate_of: str | None
    contradicts: str | None
    """The other item or label that the picture looks like."""


@dataclass(frozen=True)
class Correction:
    """Feedback as it was stored: the answer, the right item, and what was kept."""

    request_id: str
    item: str
    answered: str
    """The item that the service had answered."""
    right: bool
    """Whether that was right."""
    pictures_kept: int
    taught: list[Example] | None
    """The new examples, if the item was taught."""
    tied: str | None = None
    """The barcode that was tied to the item, where that was asked for."""


@dataclass(frozen=True)
class Unsure:
    """A picture, or frames of one thing, that the service did not recognise for sure."""

    id: str
    at: str
    """When it, or a near-duplicate of it, came last."""
    seen: int
    """How many near-duplicates came, itself included."""
    pictures: int
    """How many pictures are kept of it; `review_picture` has them."""
    known: bool | None
    uncertainty: float
    """Between 0 and 1: the entropy of the labels' probabilities."""
    top_k_items: list[str]
    """What it would be taken for now, the best first."""
    top_k_scores: list[float]


class Review(list[Unsure]):
    """What is to be labelled, the most informative first; `total` counts what a limit has cut off too."""

    def __init__(self, entries: Iterable[Unsure] = (), total: int = 0) -> None:
        super().__init__(entries)
        self.total = total


@dataclass(frozen=True)
class Labelled:
    """What an entry of the review queue shows, and what that taught."""

    id: str
    item: str
    answered: str
    """What the service had said."""
    right: bool
    pictures_kept: int
    taught: list[Example]


@dataclass(frozen=True)
class TaughtItem:
    """An item that was taught; `right` of its examples are recognised by the others, None where there is one alone."""

    item: str
    examples: int
    right: int | None


@dataclass(frozen=True)
class TakenFor:
    """How many examples of an item are taken for another one when they are left out."""

    item: str
    taken_for: str
    count: int


@dataclass(frozen=True)
class Alike:
    """Two items that are near to each other."""

    item: str
    other: str
    similarity: float


@dataclass(frozen=True)
class MisleadingExample:
    """An example that its item's other examples do not speak for."""

    item: str
    id: str
    looks_like: str
    probability: float
    """Of its own item, when it is left out."""
    improves: int
    """How many more of the other examples were right if it were deleted."""


@dataclass(frozen=True)
class ExamplesReport:
    """What the examples say of each other: each is left out once and recognised by all others."""

    examples: int
    unused: int
    """Of another model, or of no label."""
    judged: int
    """Of items with two examples or more."""
    right: int
    """How many of these are recognised by the others."""
    items: list[TaughtItem]
    confusions: list[TakenFor]
    look_alike: list[Alike]
    misleading: list[MisleadingExample]


@dataclass(frozen=True)
class Seen(Countable):
    """What a picture or a box of it shows, and how sure that is; `item` is the best label."""

    confident: bool
    known: bool | None
    """Whether the picture shows any of the labels at all; None where the model is not calibrated."""
    similarity_score: float
    """The best label's probability: softmax over all labels."""
    calibrated_probability: float | None
    """How likely the best label is right; None where the model is not calibrated."""
    top_k_items: list[str]
    top_k_scores: list[float]
    """The best labels' probabilities, renormalised to sum to 1."""
    top_k_probabilities: list[float]
    top_k_cosines: list[float]
    category: str | None = field(default=None, kw_only=True)
    """The narrowest category of the item, where the label file has one."""
    category_probability: float | None = field(default=None, kw_only=True)
    confident_category: str | None = field(default=None, kw_only=True)
    """The narrowest category that is sure; it may be where the item is not."""


@dataclass(frozen=True)
class Region(Seen):
    """What a box of a picture shows."""

    box: list[int]
    """Left, top, right, bottom in pixels."""
    pantry: Item | None
    """The item and its count after all boxes, when this one changed it."""


@dataclass(frozen=True)
class Recognition(Seen):
    """What a picture, or frames of one thing, show."""

    label_count: int
    model: str
    pantry: Item | None
    """The item and its new count, when the pantry was updated."""
    request_id: str
    """By which feedback names this answer, and by which the service's log has it."""
    frames: Frames | None = None
    """Only for several frames."""
    barcodes: list[Barcode] | None = None
    """Only where they were asked for, as the next two."""
    evidence: str | None = None
    """What decided on `item`: `barcode` or `picture`."""
    disagreement: str | None = None
    """How barcodes and picture, or several barcodes, disagree; nothing is counted then."""


@dataclass(frozen=True)
class Classification:
    """The probability of each label that was sent with the picture."""

    result: dict[str, float]
    """Each label's probability, in the order in which they were sent."""
    categories: dict[str, float] | None
    cosines: dict[str, float]
    none_of_these: float | None
    """The probability that no label applies; None when that was not asked for."""
    confident: bool
    model: str


@dataclass(frozen=True)
class Label:
    """A label, its other names, and where it comes from."""

    label: str
    synonyms: list[str]
    sources: list[str]
    categories: list[str] = field(default_factory=list)
    """What kind of thing it is, the narrowest first; none where the label file says none."""
    item: str | None = None
    """The pantry's name of it, where that is another one."""


@dataclass(frozen=True)
class Content:
    """A stored entry: a text or a picture."""

    id: str
    type: Literal["text", "image"]
    text: str | None
    metadata: dict[str, Any]
    collection: str
    thumbnail: bool
    """Whether there is one."""


@dataclass(frozen=True)
class Hit:
    """A search hit: a stored entry."""

    id: str
    type: Literal["text", "image"]
    score: float
    """The cosine similarity with the query."""
    metadata: dict[str, Any]


class Contents(list[Content]):
    """A page of the list of entries; `cursor` asks for the next page, None at the end."""

    def __init__(self, contents: Iterable[Content] = (), cursor: str | None = None) -> None:
        super().__init__(contents)
        self.cursor = cursor


class Hits(list[Hit]):
    """Search hits, best first; `cursor` asks for the next page, None at the end."""

    def __init__(self, hits: Iterable[Hit] = (), cursor: str | None = None) -> None:
        super().__init__(hits)
        self.cursor = cursor


@dataclass(frozen=True)
class Duplicate:
    """An entry of a group of near-duplicates; what is not known of its file is None."""

    id: str
    type: Literal["text", "image"]
    score: float
    """The cosine similarity with the entry to keep."""
    metadata: dict[str, Any]
    thumbnail: bool
    width: int | None
    height: int | None
    bytes: int | None
    stored_at: float | None
    """Seconds since 1970."""


@dataclass(frozen=True)
class DuplicateGroup:
    """Entries that are connected by similarity, the one to keep first."""

    keep: str
    why: str
    size: int
    entries: list[Duplicate]


@dataclass(frozen=True)
class DuplicateJob:
    """A search for near-duplicates: `waiting`, `running`, `done` or `failed`; ask `job` until it has ended."""

    job: str
    status: str
    progress: float
    problem: str | None
    total: int
    """How many groups there are."""
    groups: list[DuplicateGroup]
    """A page of them, the closest first."""


@dataclass(frozen=True)
class Event:
    """What has happened: a `change` of the pantry, a sure `recognition`, or `reset`: events before it were missed."""

    id: str
    """Where to go on: `events(last_id=...)`."""
    type: str
    data: dict[str, Any]
    """Of a change `item`, `before` and `after` (None where it is not there); of a recognition `item` and `count`."""
    timestamp: str | None = None
    """When, in UTC; None for a reset."""


@dataclass(frozen=True)
class Health:
    """The state of the service: `ready`, `starting`, `draining` or `failing`."""

    status: str
    model: str
    labels: int
    pantry: dict[str, Any]
    version: str
    scope: str | None = None
    """What the model knows and what it does not, where its bundle says so."""


def read(form: type[T], data: dict[str, Any]) -> T:
    """A JSON object as a dataclass; fields that a later version of the service adds are ignored.

    Raises TypeError for anything but an object with all required fields.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{type(data).__name__} in place of an object of {form.__name__}")
    names = {field.name for field in fields(form)}  # type: ignore[arg-type]  # every form here is a dataclass
    return form(**{name: value for name, value in data.items() if name in names})


def contents(data: dict[str, Any]) -> Contents:
    """The answer of `GET /contents` with a limit."""
    return Contents((read(Content, each) for each in data["entries"]), data["cursor"])


def changes(data: dict[str, Any]) -> Changes:
    """The answer of `GET /journal`."""
    return Changes((read(Change, each) for each in data["entries"]), data["cursor"])


def tied_barcodes(data: dict[str, Any]) -> TiedBarcodes:
    """The answer of `GET /barcodes`."""
    return TiedBarcodes((read(TiedBarcode, each) for each in data["barcodes"]), data["cursor"])


def hits(data: dict[str, Any]) -> Hits:
    """The answer of `POST /contents/search`."""
    return Hits((read(Hit, each) for each in data["hits"]), data.get("cursor"))


def duplicate_job(data: dict[str, Any]) -> DuplicateJob:
    """The answer of `POST /contents/duplicates` and `GET /jobs/{id}`."""

    def group(each: dict[str, Any]) -> DuplicateGroup:
        return read(DuplicateGroup, each | {"entries": [read(Duplicate, entry) for entry in each["entries"]]})

    return read(DuplicateJob, data | {"groups": [group(each) for each in data["groups"]]})


def recognition(data: dict[str, Any]) -> Recognition:
    """The answer of `POST /process-image`."""
    frames, codes = data.get("frames"), data.get("barcodes")
    inner = {
        "frames": None if frames is None else read(Frames, frames),
        "barcodes": None if codes is None else [read(Barcode, each) for each in codes],
    }
    return _counted(Recognition, data | inner)


def regions(data: dict[str, Any]) -> list[Region]:
    """The boxes in the answer of `POST /process-image` with `regions`."""
    return [_counted(Region, each) for each in data["regions"]]


def found(data: dict[str, Any]) -> list[Found]:
    """The list in the answer of `POST /process-image` with `tiles`."""
    return [_counted(Found, each) for each in data["items"]]


def examples(data: dict[str, Any]) -> list[Example]:
    """The answer of the calls of an item's examples."""
    return [read(Example, each) for each in data["examples"]]


def correction(data: dict[str, Any]) -> Correction:
    """The answer of `POST /feedback`."""
    taught = None if data["taught"] is None else examples({"examples": data["taught"]})
    return read(Correction, data | {"taught": taught})


def review(data: dict[str, Any]) -> Review:
    """The answer of `GET /review`."""
    return Review((read(Unsure, each) for each in data["entries"]), int(data["total"]))


def labelled(data: dict[str, Any]) -> Labelled:
    """The answer of `POST /review/{id}`."""
    return read(Labelled, data | {"taught": examples({"examples": data["taught"]})})


def examples_report(data: dict[str, Any]) -> ExamplesReport:
    """The answer of `GET /examples/report`."""
    forms: dict[str, type] = {
        "items": TaughtItem,
        "confusions": TakenFor,
        "look_alike": Alike,
        "misleading": MisleadingExample,
    }
    return read(
        ExamplesReport, data | {name: [read(form, each) for each in data[name]] for name, form in forms.items()}
    )


def _counted(form: type[T], data: dict[str, Any]) -> T:
    """An answer with the item that it counted; None where it counted none."""
    pantry = data["pantry"]
    return read(form, data | {"pantry": None if pantry is None else read(Item, pantry)})
