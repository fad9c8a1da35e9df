"""Labels: parse a label file, and merge it with the pantry's items.

A label file has one label per line. `#`, first in a line or after a space, starts a comment; blank lines are ignored;
`label | synonym | synonym` gives one label several names, whose embeddings are averaged so that synonyms do not split
the probability. A line that repeats a name of an earlier line adds to that label. `label @ category @ wider category`
gives a label its categories; a category has the same wider ones wherever it is named.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.errors import InvalidLabels, InvalidRequest
from app.pantry import item_name
from app.text import normalise

_COMMENT = re.compile(r"(^|\s)#.*")
_CATEGORY = re.compile(r"(?:^|\s+)@(?:\s+|$)")


@dataclass(frozen=True)
class Label:
    """A label's display name, synonyms, source ("file", "pantry" or both), and pantry item."""

    name: str
    synonyms: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("file",)
    item: str | None = None
    """The name of its item in the pantry; None if the pantry has none."""
    categories: tuple[str, ...] = ()
    """Its categories, the narrowest first; empty if the label file names none."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the label and its synonyms; its prototype is their mean."""
        return (self.name, *self.synonyms)

    @property
    def item_name(self) -> str:
        """Return the item to change in the pantry: the existing one, or a new one; raises InvalidRequest."""
        return self.item or item_name(self.name)


def parse_labels(text: str, longest: int, report: Callable[[int, str], None] = lambda *_: None) -> list[Label]:
    r"""Parse a label file's text to labels, in its order.

    Raises InvalidLabels, naming the line, for a name of more than `longest` characters, and for categories that are not
    a tree. `report` is called with the line number and the reason for each label that is not a valid pantry item.

    >>> parsed = parse_labels("# fruit\nbanana\n\nchickpeas | garbanzo beans\nBanana", longest=200)
    >>> [label.names for label in parsed]
    [('banana',), ('chickpeas', 'garbanzo beans')]
    >>> parse_labels("royal gala @ apple @ fruit", longest=200)[0].categories
    ('apple', 'fruit')
    """
    labels: list[Label] = []
    indices: dict[str, int] = {}  # normalised name -> label index
    tree = _Tree(longest)
    for number, line in enumerate(text.replace("\ufeff", "").splitlines(), start=1):
        names_part, *path = _CATEGORY.split(_COMMENT.sub("", line))
        categories = tree.path(number, path)
        spellings = [" ".join(name.split()) for name in names_part.split("|")]
        if any(len(name) > longest for name in spellings):
            raise InvalidLabels(f"line {number} of the label file: a label has at most {longest} characters")
        names = {key: name for name in reversed(spellings) if (key := normalise(name))}
        names = dict(reversed(names.items()))  # normalised name -> its first spelling in this line
        new = [name for key, name in names.items() if key not in indices]
        index = next((indices[key] for key in names if key in indices), len(labels))
        tree.check(number, categories, names, labels[index].categories if index < len(labels) else ())
        if index < len(labels):
            before = labels[index]
            kinds = before.categories or categories
            labels[index] = replace(before, synonyms=(*before.synonyms, *new), categories=kinds)
        elif new:
            labels.append(Label(new[0], tuple(new[1:]), categories=categories))
            try:
                item_name(new[0])
            except InvalidRequest as error:
                report(number, str(error))
        indices |= {normalise(name): index for name in new}
    return labels


class _Tree:
    """The categories of a label file as a tree: each has at most one wider category."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._wider: dict[str, tuple[str, int]] = {}  # normalised category -> its wider one ("" for none), the line
        self._spellings: dict[str, str] = {}  # normalised -> first spelling

    def path(self, line: int, written: Sequence[str]) -> tuple[str, ...]:
        """Return the categories of one line, narrowest first, in their first spelling; raises InvalidLabels."""
        names = [" ".join(name.split()) for name in written]
        keys = [normalise(name) for name in names]
        if not all(keys):
            raise InvalidLabels(f"line {line} of the label file: the category after an @ is blank")
        if any(len(name) > self._longest for name in names):
            raise InvalidLabels(f"line {line} of the label file: a category has at most {self._longest} characters")
        if len(set(keys)) < len(keys):
            raise InvalidLabels(f"line {line} of the label file: a category stands twice in {' @ '.join(names)!r}")
        for key, name, wider in zip(keys, names, [*keys, ""][1:], strict=True):
            before, where = self._wider.setdefault(key, (wider, line))
            if before != wider:
                raise InvalidLabels(
                    f"line {line} of the label file: the category {name!r} is below {wider or 'nothing'!r} here, and "
                    f"below {before or 'nothing'!r} in line {where}"
                )
            self._spellings.setdefault(key, name)
        return tuple(self._spellings[key] for key in keys)

    def check(self, line: int, categories: tuple[str, ...], names: Mapping[str, str], before: tuple[str, ...]) -> None:
        """Raise InvalidLabels if a label is its own category, was named without one, or has others already."""
        if categories and not names:
            raise InvalidLabels(f"line {line} of the label file: there is no label before the @")
        if own := [name for key, name in names.items() if key in map(normalise, categories)]:
            raise InvalidLabels(f"line {line} of the label file: {own[0]!r} is its own category")
        if categories and before and categories != before:
            raise InvalidLabels(
                f"line {line} of the label file: {' @ '.join(categories)!r} was found; an earlier line says "
                f"{' @ '.join(before)!r}"
            )


def merge(file_labels: Iterable[Label], items: Iterable[str]) -> tuple[Label, ...]:
    """Merge the file's labels, in order, with the pantry's items by name; an item with a label's name is that label.

    If several items have names of one label, it gets the item that its names mention first.
    """
    items = sorted(items, reverse=True)
    stored = {normalise(item): item for item in items}  # of two spellings the first by name
    labels = []
    for label in file_labels:
        own = [stored[key] for key in map(normalise, label.names) if key in stored]
        labels.append(replace(label, sources=("file", "pantry"), item=own[0]) if own else label)
    named = name_indices(labels)
    rest = sorted(item for key, item in stored.items() if key not in named)
    return (*labels, *(Label(item, sources=("pantry",), item=item) for item in rest))


def name_indices(labels: Sequence[Label]) -> Mapping[str, int]:
    """Map each normalised name to the index of the first label that has it."""
    return {normalise(name): index for index, label in reversed([*enumerate(labels)]) for name in label.names}
