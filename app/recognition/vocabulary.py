"""Label file and pantry items to one ordered, deduplicated, versioned label set with prototypes.

A label file has one label a line. `#`, first in a line or after a space, starts a comment; blank lines are ignored;
`label | synonym | synonym` gives one label several names, whose vectors are averaged so that synonyms do not split the
probability. A line whose name an earlier line had adds to that label.
"""

import hashlib
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import InvalidLabels
from app.log import get_logger
from app.model.encoder import Encoder, unit
from app.model.engines import Floats
from app.pantry import PantryStore
from app.pantry.examples import Example
from app.recognition.few_shot import FewShotIndex, ImageAlignment, fit_few_shot
from app.recognition.label_file import LabelFile

_COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True)
class Label:
    """What the user sees, its other names, and where it comes from: "file", "pantry" or both."""

    name: str
    synonyms: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("file",)

    @property
    def names(self) -> tuple[str, ...]:
        """The label and its synonyms: what its prototype is made of."""
        return (self.name, *self.synonyms)


@dataclass(frozen=True)
class LabelSet:
    """Labels in their order, with one unit prototype (N, D) each, and a version that names this very set."""

    labels: tuple[Label, ...]
    prototypes: Floats
    version: str
    few_shot: FewShotIndex | None = None
    """The examples of the labels; None when there are none."""


def same(name: str) -> str:
    """Labels that differ in case or spacing only are one label: the form they share.

    >>> same("Soy  Sauce") == same("soy sauce")
    True
    """
    return " ".join(name.split()).casefold()


def parse_labels(text: str, longest: int) -> list[Label]:
    r"""The labels of a label file's text, in its order.

    Raises InvalidLabels, naming the line, for a name of more than `longest` characters.

    >>> parsed = parse_labels("# fruit\nbanana\n\nchickpeas | garbanzo beans\nBanana", longest=200)
    >>> [label.names for label in parsed]
    [('banana',), ('chickpeas', 'garbanzo beans')]
    """
    labels: list[Label] = []
    places: dict[str, int] = {}  # every name, in the form it shares with its likes, to its label's place
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        names = [" ".join(name.split()) for name in _COMMENT.sub("", line).split("|")]
        if any(len(name) > longest for name in names):
            raise InvalidLabels(f"line {number} of the label file: a label has at most {longest} characters")
        new = [name for name in dict.fromkeys(names) if name and same(name) not in places]
        known = [places[same(name)] for name in names if same(name) in places]
        if known:
            label = labels[known[0]]
            labels[known[0]] = Label(label.name, (*label.synonyms, *new))
        elif new:
            labels.append(Label(new[0], tuple(new[1:])))
        places |= {same(name): known[0] if known else len(labels) - 1 for name in new}
    return labels


def merge(file_labels: Iterable[Label], items: Iterable[str]) -> tuple[Label, ...]:
    """The file's labels in their order, then the pantry's items by name; an item that a label names is that label."""
    labels = list(file_labels)
    places = {same(name): place for place, label in enumerate(labels) for name in label.names}
    for item in sorted(items):
        if (place := places.get(same(item))) is None:
            labels.append(Label(item, sources=("pantry",)))
        else:
            label = labels[place]
            labels[place] = Label(label.name, label.synonyms, ("file", "pantry"))
    return tuple(labels)


class Vocabulary:
    """The live label set: `current` is swapped whole by `refresh`, so a reader never sees half a change."""

    def __init__(
        self,
        label_file: LabelFile,
        templates: Sequence[str],
        pantry: PantryStore,
        encoder: Encoder,
        longest: int,
        model: str = "",
        alignment: ImageAlignment | None = None,
        fits: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`model` is the checksum that examples must have to be used, `alignment` how its pictures are compared.

        `fits` says whether the model reads a prompt to its end.
        """
        self._label_file = label_file
        self._templates = templates
        self._pantry = pantry
        self._encoder = encoder
        self._longest = longest
        self._fits = fits
        self._model = model
        self._alignment = alignment
        self._stamp: Hashable = None
        self.current: LabelSet | None = None
        """None until the first `refresh` is through."""

    def refresh(self) -> bool:
        """Look at the label file and the pantry; where they changed, encode the new names and swap the set.

        Returns whether there is a new set. Raises InvalidLabels or StoreUnavailable and keeps the set it had.
        """
        stamp = (self._label_file.stamp(), self._pantry.stamp())
        if stamp == self._stamp:
            return False
        labels = merge(parse_labels(self._label_file.read(), self._longest), self._pantry.items())
        prototypes, examples = self._prototypes(labels), self._examples()
        few_shot = fit_few_shot(label_indices(examples, labels), prototypes, self._alignment)
        self.current = LabelSet(labels, prototypes, _version(labels, examples), few_shot)
        self._stamp = stamp
        return True

    def _examples(self) -> list[Example]:
        """The examples that the model understands."""
        shape = (self._encoder.size,)
        return [each for each in self._pantry.examples() if each.model == self._model and each.vector.shape == shape]

    def _prototypes(self, labels: Sequence[Label]) -> Floats:
        """Unit prototypes (N, D); those of the present set are kept, only new names are encoded."""
        before = self.current
        have = dict(zip((label.names for label in before.labels), before.prototypes, strict=True)) if before else {}
        new = [label.names for label in labels if label.names not in have]
        longest = max(self._templates, key=len)
        cut = [names[0] for names in new if not all(self._fits(longest.replace("{}", name)) for name in names)]
        if cut:  # served all the same: a pantry's names come from elsewhere
            get_logger().warning("the model does not read labels to their end", count=len(cut), first=cut[0])
        have |= zip(new, encode(new, self._templates, self._encoder), strict=True)
        return (
            np.stack([have[label.names] for label in labels]) if labels else encode([], self._templates, self._encoder)
        )


def label_indices(examples: Iterable[Example], labels: Sequence[Label]) -> list[tuple[int, Floats]]:
    """Each example's vector (D,) with the place of the label that its item is."""
    places = {same(name): place for place, label in enumerate(labels) for name in reversed(label.names)}
    return [(places[same(each.item)], each.vector) for each in examples if same(each.item) in places]


def encode(labels: Sequence[tuple[str, ...]], templates: Sequence[str], encoder: Encoder) -> Floats:
    """Unit prototypes (N, D) of labels, each given by its names: the mean over its names and the templates."""
    prompts = [template.replace("{}", name) for names in labels for name in names for template in templates]
    vectors = encoder.prompts(prompts)  # (sum of names x templates, D)
    sizes = [len(names) * len(templates) for names in labels]
    starts = np.cumsum([0, *sizes[:-1]])
    return unit(np.add.reduceat(vectors, starts, axis=0)) if sizes else vectors  # (N, D)


def label_set(labels: Sequence[Label], templates: Sequence[str], encoder: Encoder) -> LabelSet:
    """A label set that stays as it is."""
    labels = tuple(labels)
    return LabelSet(labels, encode([label.names for label in labels], templates, encoder), _version(labels))


def read_prompts(path: Path) -> list[str]:
    """The lines of a background file; `#` lines and blank ones are left out.

    Raises InvalidLabels when there are none.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeError) as error:
        raise InvalidLabels(f"{path} cannot be read: {error}") from error
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise InvalidLabels(f"{path} has no lines but comments")
    return prompts


def read_templates(path: Path) -> list[str]:
    """The same of a templates file; raises InvalidLabels also for a line without `{}`, where the label comes."""
    templates = read_prompts(path)
    for template in templates:
        if "{}" not in template:
            raise InvalidLabels(f"{path}: {template[:100]!r} was found; a template has {{}} where the label comes")
    return templates


def _version(labels: Sequence[Label], examples: Iterable[Example] = ()) -> str:
    text = "\n".join(["|".join(label.names) for label in labels] + [each.id for each in examples])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
