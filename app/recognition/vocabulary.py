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
_MAX_WARNINGS = 20  # about single lines of one label file


@dataclass(frozen=True)
class LabelSet:
    """Labels in their order, with one unit prototype (N, D) each, and a version that names this very set."""

    labels: tuple[Label, ...]
    prototypes: Floats
    version: str
    few_shot: FewShotIndex | None = None
    """The examples of the labels, or None."""
    indices: Mapping[str, int] = field(default_factory=dict)
    """Each normalised name with the index of its label."""
    rivals: Floats | None = None
    """Unit embeddings (R, D) of what pictures may show instead of the labels, or None."""
    levels: Sequence[npt.NDArray[np.int64]] = ()
    """For each level of the categories, the widest first, the number of each label's category (N,)."""

    @property
    def current(self) -> "LabelSet":
        """Itself: where labels do not change, a label set stands for a vocabulary."""
        return self

    def find(self, name: str) -> Label | None:
        """The label with this name, or None."""
        index = self.indices.get(normalise(name))
        return None if index is None else self.labels[index]


@dataclass(frozen=True)
class _Merged:
    """The labels of a label file and of items, and what is computed only from these."""

    file_labels: list[Label]
    items: tuple[str, ...]
    labels: tuple[Label, ...]
    indices: Mapping[str, int]
    digest: str
    levels: Sequence[npt.NDArray[np.int64]]


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
        background: Background | None = None,
    ) -> None:
        """`model` is the checksum that examples must have to be used, `alignment` how its pictures are compared.

        `fits` says whether the model reads a prompt to its end; `background` is what pictures may show instead.
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
        """None until the first `refresh` is through."""

    def refresh(self) -> bool:
        """Poll the label file and the pantry; where they changed, encode the new names and swap the set.

        Returns whether there is a new set. Raises InvalidLabels or StoreUnavailable and keeps the set it had.
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
        """Parse the label file where it has changed; raises InvalidLabels.

        A file that had labels and is empty now is taken for one that is being written: its labels stay. One with
        nothing but comments has no labels.
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
        """The merged labels; those of the last time when neither the file's labels nor the items' names changed."""
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
        """The examples that the model understands."""
        shape = (self._encoder.size,)
        return [each for each in self._pantry.examples() if each.model == self._model and each.vector.shape == shape]

    def _prototypes(self, labels: Sequence[Label]) -> Floats:
        """Unit prototypes (N, D); those of the present set are kept, only new names are encoded."""
        before = self.current
        if before and before.labels is labels:
            return before.prototypes
        have = dict(zip((label.names for label in before.labels), before.prototypes, strict=True)) if before else {}
        new = [label.names for label in labels if label.names not in have]
        longest = max(self._templates, key=len)
        cut = [names[0] for names in new if not all(self._fits(longest.replace("{}", name)) for name in names)]
        if cut:  # served all the same: a pantry's names come from elsewhere
            get_logger().warning("labels exceed the model's context length", count=len(cut), first=cut[0])
        have |= zip(new, encode(new, self._templates, self._encoder), strict=True)
        return (
            np.stack([have[label.names] for label in labels]) if labels else encode([], self._templates, self._encoder)
        )


def label_indices(examples: Iterable[Example], indices: Mapping[str, int]) -> list[tuple[int, Floats]]:
    """Each example's embedding (D,) with the index of the label that its item is; examples of no label are left out."""
    keys = ((normalise(each.item), each.vector) for each in examples)
    return [(indices[key], vector) for key, vector in keys if key in indices]


def encode(labels: Sequence[tuple[str, ...]], templates: Sequence[str], encoder: Encoder) -> Floats:
    """Unit prototypes (N, D) of labels, each given by its names: the mean over its names and the templates."""
    prompts = [template.replace("{}", name) for names in labels for name in names for template in templates]
    vectors = encoder.prompts(prompts)  # (sum of names x templates, D)
    sizes = [len(names) * len(templates) for names in labels]
    starts = np.cumsum([0, *sizes[:-1]])
    return unit(np.add.reduceat(vectors, starts, axis=0)) if sizes else vectors  # (N, D)


def label_set(
    labels: Sequence[Label], templates: Sequence[str], encoder: Encoder, background: Background | None = None
) -> LabelSet:
    """A label set that stays as it is."""
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
    """A background of prompts, word for word, and nouns: what tells `known` where nothing was fitted on pictures."""
    return Background(encoder.prompts([*prompts, *map(_NOUN.format, nouns)]), nearest=_NEAREST)


def read_prompts(path: Path) -> list[str]:
    """The lines of a background file; `#` lines and blank ones are left out.

    Raises InvalidLabels when there are none.
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
    """The same of a templates file; raises InvalidLabels also for a line without `{}`, where the label comes."""
    templates = read_prompts(path)
    for template in templates:
        if "{}" not in template:
            raise InvalidLabels(f"{path}: {template[:100]!r} was found; a template has {{}} where the label comes")
    return templates


def _line(label: Label) -> str:
    return "|".join([*label.names, *label.sources, label.item or "", "@".join(label.categories)])


def category_levels(labels: Sequence[Label]) -> tuple[npt.NDArray[np.int64], ...]:
    """For each level of the categories, the widest first, the number of each label's category: (N,) each.

    A label without a category at a level stands for itself there.

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
