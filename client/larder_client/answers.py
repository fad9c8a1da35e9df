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
    """The name of the API key, or of the command; None without keys."""
    request_id: str | None
    action: str
    """`put`, `add`, `remove`, `delete` or `undo`."""
    item: str
    before: int | None
    """The count before; None if the item was missing."""
    after: int | None
    """The count after; None if the item was deleted."""
    undoes: str | None
    """The change that this one undid."""
    undone_by: str | None
    """The change that undid this one."""


class Changes(list[Change]):
    """A page of the journal, newest first; `cursor` is for the next page, None at the end."""

    def __init__(self, changes: Iterable[Change] = (), cursor: str | None = None) -> None:
        super().__init__(changes)
        self.cursor = cursor


@dataclass(frozen=True)
class Barcode:
    """A barcode in a picture, and the item assigned to it."""

    code: str
    format: str
    """`ean_13`, `ean_8`, `upc_a`, `upc_e` or `qr_code`."""
    box: list[int]
    """Left, top, right, bottom in pixels."""
    item: str | None


@dataclass(frozen=True)
class TiedBarcode:
    """A code and its item."""

    code: str
    item: str


class TiedBarcodes(list[TiedBarcode]):
    """A page of the codes; `cursor` is for the next page, None at the end."""

    def __init__(self, codes: Iterable[TiedBarcode] = (), cursor: str | None = None) -> None:
        super().__init__(codes)
        self.cursor = cursor


@dataclass(frozen=True)
class Frames:
    """How well the frames of one thing agree."""

    used: list[bool]
    """Which frames count, all but outliers, in order."""
    agreement: float
    """The share of all frames that show the item on their own."""


@dataclass(frozen=True)
class Countable:
    """A label with the pantry's name of it."""

    item: str
    """The label."""
    pantry_item: str | None = field(default=None, kw_only=True)
    """The pantry's name of it, if that differs: a synonym, for instance."""
    pantry_refused: str | None = field(default=None, kw_only=True)
    """Why the pantry cannot store it as an item, if an update was requested."""

    @property
    def stored_as(self) -> str:
        """Return the name under which the pantry has it, or would store it."""
        return self.pantry_item or self.item


@dataclass(frozen=True)
class Found(Countable):
    """An item found in a picture, with a box for each instance."""

    count: int
    boxes: list[list[int]]
    """Left, top, right, bottom in pixels."""
    probabilities: list[float]
    pantry: Item | None
    """The item and its new count, if the pantry was updated."""


@dataclass(frozen=True)
class Example:
    """An example of an item, with its warnings."""

    id: str
    taught_at: str
    used: bool
    """Whether the served model made it; those of another model are kept, but not used."""
    near_duplicate_of: str | None
    contradicts: str | None
    """The other item or label that the picture looks like."""


@dataclass(frozen=True)
class Correction:
    """Feedback as stored: the answer, the right item, and what was kept."""

    request_id: str
    item: str
    answered: str
    """The item of the service's answer."""
    right: bool
    """Whether the answer was right."""
    pictures_kept: int
    taught: list[Example] | None
    """The new examples, if the item was taught."""
    tied: str | None = None
    """The barcode that was assigned to the item, if requested."""


@dataclass(frozen=True)
class Unsure:
    """A picture, or frames of one thing, without a confident answer."""

    id: str
    at: str
    """Time of the last near-duplicate."""
    seen: int
    """Number of near-duplicates, including itself."""
    pictures: int
    """Number of its stored pictures; `review_picture` returns them."""
    known: bool | None
    uncertainty: float
    """Entropy of the labels' probabilities, between 0 and 1."""
    top_k_items: list[str]
    """The current best labels, best first."""
    top_k_scores: list[float]


class Review(list[Unsure]):
    """The entries to label, most informative first; `total` also counts those beyond a limit."""

    def __init__(self, entries: Iterable[Unsure] = (), total: int = 0) -> None:
        super().__init__(entries)
        self.total = total


@dataclass(frozen=True)
class Labelled:
    """The label of an entry of the review queue, and what it taught."""

    id: str
    item: str
    answered: str
    """The service's answer."""
    right: bool
    pictures_kept: int
    taught: list[Example]


@dataclass(frozen=True)
class TaughtItem:
    """A taught item; `right` of its examples are recognised by the others, None if there is only one."""

    item: str
    examples: int
    right: int | None


@dataclass(frozen=True)
class TakenFor:
    """How many examples of an item are taken for another by leave-one-out."""

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
    """An example that its item's other examples contradict."""

    item: str
    id: str
    looks_like: str
    probability: float
    """The probability of its own item, by leave-one-out."""
    improves: int
    """How many more of the other examples would be right if it were deleted."""


@dataclass(frozen=True)
class ExamplesReport:
    """The leave-one-out report: each example is left out once and recognised by all others."""

    examples: int
    unused: int
    """Examples of another model, or without a label."""
    judged: int
    """Examples of items with two or more."""
    right: int
    """How many of these the others recognise."""
    items: list[TaughtItem]
    confusions: list[TakenFor]
    look_alike: list[Alike]
    misleading: list[MisleadingExample]


@dataclass(frozen=True)
class Seen(Countable):
    """The answer for a picture or a box of it; `item` is the best label."""

    confident: bool
    known: bool | None
    """Whether the picture shows any of the labels at all; None if the model is not calibrated."""
    similarity_score: float
    """The best label's probability: softmax over all labels."""
    calibrated_probability: float | None
    """The calibrated probability that the best label is right; None if the model is not calibrated."""
    top_k_items: list[str]
    top_k_scores: list[float]
    """The best labels' probabilities, renormalised to sum to 1."""
    top_k_probabilities: list[float]
    top_k_cosines: list[float]
    category: str | None = field(default=None, kw_only=True)
    """The narrowest category of the item, if the label file has one."""
    category_probability: float | None = field(default=None, kw_only=True)
    confident_category: str | None = field(default=None, kw_only=True)
    """The narrowest confident category; it may be confident where the item is not."""


@dataclass(frozen=True)
class Region(Seen):
    """The answer for a box of a picture."""

    box: list[int]
    """Left, top, right, bottom in pixels."""
    pantry: Item | None
    """The item and its count after all boxes, if this one changed it."""


@dataclass(frozen=True)
class Recognition(Seen):
    """The answer for a picture, or frames of one thing."""

    label_count: int
    model: str
    pantry: Item | None
    """The item and its new count, if the pantry was updated."""
    request_id: str
    """Identifies this answer for feedback, and in the service's log."""
    frames: Frames | None = None
    """Only with several frames."""
    barcodes: list[Barcode] | None = None
    """Only if requested, as the next two."""
    evidence: str | None = None
    """The evidence for `item`: `barcode` or `picture`."""
    disagreement: str | None = None
    """A conflict of barcodes and picture, or of several barcodes; then nothing is counted."""


@dataclass(frozen=True)
class Classification:
    """The probability of each label sent with the picture."""

    result: dict[str, float]
    """Each label's probability, in the order sent."""
    categories: dict[str, float] | None
    cosines: dict[str, float]
    none_of_these: float | None
    """The probability that no label applies; None if not requested."""
    confident: bool
    model: str


@dataclass(frozen=True)
class Label:
    """A label, its synonyms, and its source."""

    label: str
    synonyms: list[str]
    sources: list[str]
    categories: list[str] = field(default_factory=list)
    """Its categories, the narrowest first; empty if the label file names none."""
    item: str | None = None
    """The pantry's name of it, if that differs."""


@dataclass(frozen=True)
class Content:
    """A stored entry: a text or a picture."""

    id: str
    type: Literal["text", "image"]
    text: str | None
    metadata: dict[str, Any]
    collection: str
    thumbnail: bool
    """Whether it has a thumbnail."""


@dataclass(frozen=True)
class Hit:
    """A search hit: a stored entry."""

    id: str
    type: Literal["text", "image"]
    score: float
    """The cosine similarity with the query."""
    metadata: dict[str, Any]


class Contents(list[Content]):
    """A page of the list of entries; `cursor` is for the next page, None at the end."""

    def __init__(self, contents: Iterable[Content] = (), cursor: str | None = None) -> None:
        super().__init__(contents)
        self.cursor = cursor


class Hits(list[Hit]):
    """Search hits, best first; `cursor` is for the next page, None at the end."""

    def __init__(self, hits: Iterable[Hit] = (), cursor: str | None = None) -> None:
        super().__init__(hits)
        self.cursor = cursor


@dataclass(frozen=True)
class Duplicate:
    """An entry of a group of near-duplicates; unknown properties of its file are None."""

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
    """A search for near-duplicates: `waiting`, `running`, `done` or `failed`; poll `job` until it has finished."""

    job: str
    status: str
    progress: float
    problem: str | None
    total: int
    """The number of groups."""
    groups: list[DuplicateGroup]
    """A page of the groups, the closest first."""


@dataclass(frozen=True)
class Event:
    """A `change` of the pantry, a sure `recognition`, or `reset`: earlier events were missed."""

    id: str
    """The position to resume from: `events(last_id=...)`."""
    type: str
    data: dict[str, Any]
    """Of a change `item`, `before` and `after` (None if missing); of a recognition `item` and `count`."""
    timestamp: str | None = None
    """Time in UTC; None for a reset."""


@dataclass(frozen=True)
class Health:
    """The state of the service: `ready`, `starting`, `draining` or `failing`."""

    status: str
    model: str
    labels: int
    pantry: dict[str, Any]
    version: str
    scope: str | None = None
    """What the model knows and what not, if its bundle says so."""


def read(form: type[T], data: dict[str, Any]) -> T:
    """Parse a JSON object as a dataclass; fields added by later versions of the service are ignored.

    Raises TypeError for anything but an object with all required fields.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{type(data).__name__} in place of an object of {form.__name__}")
    names = {field.name for field in fields(form)}  # type: ignore[arg-type]  # every form here is a dataclass
    return form(**{name: value for name, value in data.items() if name in names})


def contents(data: dict[str, Any]) -> Contents:
    """Parse the answer of `GET /contents` with a limit."""
    return Contents((read(Content, each) for each in data["entries"]), data["cursor"])


def changes(data: dict[str, Any]) -> Changes:
    """Parse the answer of `GET /journal`."""
    return Changes((read(Change, each) for each in data["entries"]), data["cursor"])


def tied_barcodes(data: dict[str, Any]) -> TiedBarcodes:
    """Parse the answer of `GET /barcodes`."""
    return TiedBarcodes((read(TiedBarcode, each) for each in data["barcodes"]), data["cursor"])


def hits(data: dict[str, Any]) -> Hits:
    """Parse the answer of `POST /contents/search`."""
    return Hits((read(Hit, each) for each in data["hits"]), data.get("cursor"))


def duplicate_job(data: dict[str, Any]) -> DuplicateJob:
    """Parse the answer of `POST /contents/duplicates` and `GET /jobs/{id}`."""

    def group(each: dict[str, Any]) -> DuplicateGroup:
        return read(DuplicateGroup, each | {"entries": [read(Duplicate, entry) for entry in each["entries"]]})

    return read(DuplicateJob, data | {"groups": [group(each) for each in data["groups"]]})


def recognition(data: dict[str, Any]) -> Recognition:
    """Parse the answer of `POST /process-image`."""
    frames, codes = data.get("frames"), data.get("barcodes")
    inner = {
        "frames": None if frames is None else read(Frames, frames),
        "barcodes": None if codes is None else [read(Barcode, each) for each in codes],
    }
    return _counted(Recognition, data | inner)


def regions(data: dict[str, Any]) -> list[Region]:
    """Parse the boxes in the answer of `POST /process-image` with `regions`."""
    return [_counted(Region, each) for each in data["regions"]]


def found(data: dict[str, Any]) -> list[Found]:
    """Parse the list in the answer of `POST /process-image` with `tiles`."""
    return [_counted(Found, each) for each in data["items"]]


def examples(data: dict[str, Any]) -> list[Example]:
    """Parse the answer of the calls for an item's examples."""
    return [read(Example, each) for each in data["examples"]]


def correction(data: dict[str, Any]) -> Correction:
    """Parse the answer of `POST /feedback`."""
    taught = None if data["taught"] is None else examples({"examples": data["taught"]})
    return read(Correction, data | {"taught": taught})


def review(data: dict[str, Any]) -> Review:
    """Parse the answer of `GET /review`."""
    return Review((read(Unsure, each) for each in data["entries"]), int(data["total"]))


def labelled(data: dict[str, Any]) -> Labelled:
    """Parse the answer of `POST /review/{id}`."""
    return read(Labelled, data | {"taught": examples({"examples": data["taught"]})})


def examples_report(data: dict[str, Any]) -> ExamplesReport:
    """Parse the answer of `GET /examples/report`."""
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
    """Parse the counted item of an answer; None if nothing was counted."""
    pantry = data["pantry"]
    return read(form, data | {"pantry": None if pantry is None else read(Item, pantry)})
