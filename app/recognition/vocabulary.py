"""The live label set: label file and pantry items, encoded to prototypes and versioned."""

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.errors import InvalidLabels
from app.log import get_logger
from app.model.encoder import Encoder, unit
from app.model.engines import Floats
from app.pantry import PantryStore
from app.pantry.examples import Example
from app.recognition.background import Background
from app.recognition.few_shot import FewShotIndex, ImageAlignment, fit_few_shot
from app.recognition.label_file import LabelFile
from app.recognition.labels import Label, merge, name_indices, parse_labels
from app.text import normalise, read_text

_NOUN = "a photo of {}."
_NEAREST = 0.25  # chosen on groceries and the first half of `things`: docs/decisions/0001-confidence.md
_MAX_WARNINGS = 20  # about lines of one label file


@dataclass(frozen=True)
class LabelSet:
    """Labels in order, with a unit prototype (N, D) each, and a version that identifies the set."""

    labels: tuple[Label, ...]
    prototypes: Floats
    version: str
    few_shot: FewShotIndex | None = None
    """The support examples of the labels, or None."""
    indices: Mapping[str, int] = field(default_factory=dict)
    """Each normalised name with the index of its label."""
    rivals: Floats | None = None
    """Unit embeddings (R, D) of the background, or None."""
    levels: Sequence[npt.NDArray[np.int64]] = ()
    """For each level of the categories, the widest first, the index of each label's category (N,)."""

    @property
    def current(self) -> "LabelSet":
        """Return itself: a fixed label set can stand for a vocabulary."""
        return self

    def find(self, name: str) -> Label | None:
        """Return the label with this name, or None."""
        index = self.indices.get(normalise(name))
        return None if index is None else self.labels[index]


@dataclass(frozen=True)
class _Merged:
    """The merged labels of file and items, and what is computed from these alone."""

    file_labels: list[Label]
    items: tuple[str, ...]
    labels: tuple[Label, ...]
    indices: Mapping[str, int]
    digest: str
    levels: Sequence[npt.NDArray[np.int64]]


class Vocabulary:
    """The live label set: `refresh` swaps `current` atomically, so readers never see a partial change."""

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
        background: Background | None = None,
    ) -> None:
        """`model` is the checksum that usable examples have, `alignment` that of the model's pictures and prototypes.

        `fits` tells whether a prompt fits into the model's context; `background` is what pictures may show instead.
        """
        self._label_file = label_file
        self._templates = templates
        self._pantry = pantry
        self._encoder = encoder
        self._longest = longest
        self._fits = fits
        self._model = model
        self._alignment = alignment
        self._background = background
        self._file_stamp: Hashable = None
        self._file_labels: list[Label] = []
        self._merged: _Merged | None = None
        self._stamp: Hashable = None
        self.current: LabelSet | None = None
        """None until the first `refresh` has finished."""

    def refresh(self) -> bool:
        """Poll the label file and the pantry; if they changed, encode the new names and swap the set.

        Returns whether there is a new set. Raises InvalidLabels or StoreUnavailable and keeps the previous set.
        """
        self.read_file()
        stamp = (self._file_stamp, self._pantry.stamp())
        if stamp == self._stamp:
            return False
        merged, examples = self._merge(), self._examples()
        version = _digest([merged.digest, *(each.id for each in examples)])
        changed = self.current is None or self.current.version != version
        if changed:
            self.current = self._encoded(merged, examples, version)
        self._merged, self._stamp = merged, stamp
        return changed

    def read_file(self) -> None:
        """Parse the label file if it has changed; raises InvalidLabels.

        A file that had labels and is empty now is assumed to be still written: its labels are kept. One with only
        comments has no labels.
        """
        stamp = self._label_file.stamp()
        if stamp == self._file_stamp:
            return
        log, refused = get_logger(), []
        text = self._label_file.read()
        labels = parse_labels(text, self._longest, lambda *line: refused.append(line))
        for line, reason in refused[:_MAX_WARNINGS]:
            log.warning("label is not a valid item name", line=line, reason=reason)
        if len(refused) > _MAX_WARNINGS:
            log.warning("the pantry cannot have more labels", count=len(refused) - _MAX_WARNINGS)
        if self._file_labels and not text.strip():
            log.warning("the label file is empty: its labels stay; a file with only a comment has none")
        else:
            self._file_labels = labels
        self._file_stamp = stamp

    def _merge(self) -> "_Merged":
        """Return the merged labels; the previous ones if neither the file's labels nor the items' names changed."""
        items, before = tuple(self._pantry.items()), self._merged
        if before and before.file_labels is self._file_labels and before.items == items:
            return before
        labels = merge(self._file_labels, items)
        return _Merged(
            self._file_labels, items, labels, name_indices(labels), _digest(map(_line, labels)), category_levels(labels)
        )

    def _encoded(self, merged: "_Merged", examples: Sequence[Example], version: str) -> LabelSet:
        prototypes = self._prototypes(merged.labels)
        few_shot = fit_few_shot(label_indices(examples, merged.indices), prototypes, self._alignment)
        rivals = self._background.beside(prototypes) if self._background else None
        return LabelSet(merged.labels, prototypes, version, few_shot, merged.indices, rivals, merged.levels)

    def _examples(self) -> list[Example]:
        """Return the examples with the model's checksum."""
        shape = (self._encoder.size,)
        return [each for each in self._pantry.examples() if each.model == self._model and each.vector.shape == shape]

    def _prototypes(self, labels: Sequence[Label]) -> Floats:
        """Return unit prototypes (N, D); reuses those of the current set and encodes only new names."""
        before = self.current
        if before and before.labels is labels:
            return before.prototypes
        have = dict(zip((label.names for label in before.labels), before.prototypes, strict=True)) if before else {}
        new = [label.names for label in labels if label.names not in have]
        longest = max(self._templates, key=len)
        cut = [names[0] for names in new if not all(self._fits(longest.replace("{}", name)) for name in names)]
        if cut:  # served all the same: the pantry's names come from elsewhere
            get_logger().warning("labels exceed the model's context length", count=len(cut), first=cut[0])
        have |= zip(new, encode(new, self._templates, self._encoder), strict=True)
        return (
            np.stack([have[label.names] for label in labels]) if labels else encode([], self._templates, self._encoder)
        )


def label_indices(examples: Iterable[Example], indices: Mapping[str, int]) -> list[tuple[int, Floats]]:
    """Return each example's embedding (D,) with the index of its item's label; skips examples without a label."""
    keys = ((normalise(each.item), each.vector) for each in examples)
    return [(indices[key], vector) for key, vector in keys if key in indices]


def encode(labels: Sequence[tuple[str, ...]], templates: Sequence[str], encoder: Encoder) -> Floats:
    """Return unit prototypes (N, D) of labels given by their names: the mean over names and templates."""
    prompts = [template.replace("{}", name) for names in labels for name in names for template in templates]
    vectors = encoder.prompts(prompts)  # (sum of names x templates, D)
    sizes = [len(names) * len(templates) for names in labels]
    starts = np.cumsum([0, *sizes[:-1]])
    return unit(np.add.reduceat(vectors, starts, axis=0)) if sizes else vectors  # (N, D)


def label_set(
    labels: Sequence[Label], templates: Sequence[str], encoder: Encoder, background: Background | None = None
) -> LabelSet:
    """Build a fixed label set."""
    prototypes = encode([label.names for label in labels], templates, encoder)
    rivals = background.beside(prototypes) if background else None
    return LabelSet(
        tuple(labels),
        prototypes,
        _digest(map(_line, labels)),
        indices=name_indices(labels),
        rivals=rivals,
        levels=category_levels(labels),
    )


def background_of_words(encoder: Encoder, prompts: Sequence[str], nouns: Sequence[str]) -> Background:
    """Build a background of prompts, word for word, and nouns: for `known` if nothing was fitted on pictures."""
    return Background(encoder.prompts([*prompts, *map(_NOUN.format, nouns)]), nearest=_NEAREST)


def read_prompts(path: Path) -> list[str]:
    """Read the lines of a background file; `#` lines and blank ones are skipped.

    Raises InvalidLabels if no line is left.
    """
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
    except (OSError, UnicodeError) as error:
        raise InvalidLabels(f"{path} cannot be read: {error}") from error
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise InvalidLabels(f"{path} has no lines but comments")
    return prompts


def read_templates(path: Path) -> list[str]:
    """Read a templates file like a background file; also raises InvalidLabels for a line without `{}` for the label."""
    templates = read_prompts(path)
    for template in templates:
        if "{}" not in template:
            raise InvalidLabels(f"{path}: {template[:100]!r} was found; a template has {{}} where the label comes")
    return templates


def _line(label: Label) -> str:
    return "|".join([*label.names, *label.sources, label.item or "", "@".join(label.categories)])


def category_levels(labels: Sequence[Label]) -> tuple[npt.NDArray[np.int64], ...]:
    """Return for each level of the categories, the widest first, the index of each label's category: (N,) each.

    A label without a category at a level is its own category there.

    >>> labels = [Label("gala", categories=("apple", "fruit")), Label("leek"), Label("plum", categories=("fruit",))]
    >>> [level.tolist() for level in category_levels(labels)]
    [[0, 1, 0], [0, 1, 2]]
    """
    levels = []
    for depth in range(max((len(label.categories) for label in labels), default=0)):
        numbers: dict[tuple[str, ...] | str, int] = {}
        keys = [
            label.categories[::-1][: depth + 1] if len(label.categories) > depth else label.name for label in labels
        ]
        levels.append(np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64))
    return tuple(levels)


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
