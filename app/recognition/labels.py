"""Labels: parsed from a label file, and merged with the pantry's items.

A label file has one label a line. `#`, first in a line or after a space, starts a comment; blank lines are ignored;
`label | synonym | synonym` gives one label several names, whose embeddings are averaged so that synonyms do not split
the probability. A line with a name that an earlier line has adds to that label.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from app.errors import InvalidLabels, InvalidRequest
from app.pantry import item_name
from app.text import normalise

_COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True)
class Label:
    """What the user sees, its other names, where it comes from ("file", "pantry" or both), and the pantry's item."""

    name: str
    synonyms: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("file",)
    item: str | None = None
    """The name of the item that the pantry has for it; None when the pantry has none."""

    @property
    def names(self) -> tuple[str, ...]:
        """The label and its synonyms, of which its prototype is the mean."""
        return (self.name, *self.synonyms)

    @property
    def item_name(self) -> str:
        """The item to change in the pantry: the one that is there, or a new one; raises InvalidRequest."""
        return self.item or item_name(self.name)


def parse_labels(text: str, longest: int, report: Callable[[int, str], None] = lambda *_: None) -> list[Label]:
    r"""The labels of a label file's text, in its order.

    Raises InvalidLabels, naming the line, for a name of more than `longest` characters. `report` is called with the
    line number and the reason for each label that the pantry cannot have as an item.

    >>> parsed = parse_labels("# fruit\nbanana\n\nchickpeas | garbanzo beans\nBanana", longest=200)
    >>> [label.names for label in parsed]
    [('banana',), ('chickpeas', 'garbanzo beans')]
    """
    labels: list[Label] = []
    indices: dict[str, int] = {}  # normalised name -> label index
    for number, line in enumerate(text.replace("\ufeff", "").splitlines(), start=1):
        spellings = [" ".join(name.split()) for name in _COMMENT.sub("", line).split("|")]
        if any(len(name) > longest for name in spellings):
            raise InvalidLabels(f"line {number} of the label file: a label has at most {longest} characters")
        names = {key: name for name in reversed(spellings) if (key := normalise(name))}
        names = dict(reversed(names.items()))  # normalised name -> its first spelling in this line
        new = [name for key, name in names.items() if key not in indices]
        index = next((indices[key] for key in names if key in indices), len(labels))
        if index < len(labels):
            labels[index] = replace(labels[index], synonyms=(*labels[index].synonyms, *new))
        elif new:
            labels.append(Label(new[0], tuple(new[1:])))
            try:
                item_name(new[0])
            except InvalidRequest as error:
                report(number, str(error))
        indices |= {normalise(name): index for name in new}
    return labels


def merge(file_labels: Iterable[Label], items: Iterable[str]) -> tuple[Label, ...]:
    """The file's labels in their order, then the pantry's items by name; an item with a label's name is that label.

    Of several items with names of one label, the label has the one that its names mention first.
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
    """Each normalised name with the index of the label that has it; the first label counts."""
    return {normalise(name): index for index, label in reversed([*enumerate(labels)]) for name in label.names}
