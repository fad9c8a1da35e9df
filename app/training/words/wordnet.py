"""WordNet's nouns: the names of things and the hierarchy of their kinds.

Reads the files of WordNet 3.0 (Princeton University; Debian's package wordnet-base). ImageNet's class ids are its
offsets: n02084071 is the synset at 02084071.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.errors import TrainingError

FOLDER = Path("/usr/share/wordnet")
PARENTS = ("@", "@i")


@dataclass(frozen=True)
class Synset:
    """One meaning: its names, the most common first, and the ids of its parents (hypernyms)."""

    names: tuple[str, ...]
    parents: tuple[str, ...]
    gloss: str


@dataclass(frozen=True)
class WordNet:
    """All noun synsets by id: "n" and eight digits."""

    synsets: dict[str, Synset]
    senses: dict[str, list[str]]
    """Each lower-case name to its synsets, the most common first."""

    def above(self, synset: str) -> dict[str, int]:
        """Return a synset and its ancestors, each with the least number of steps to it."""
        steps, edge = {synset: 0}, [synset]
        while edge:
            at = edge.pop(0)
            for parent in self.synsets[at].parents:
                if parent not in steps:
                    steps[parent] = steps[at] + 1
                    edge.append(parent)
        return steps

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """Map each synset to its children (hyponyms)."""
        found: dict[str, list[str]] = {}
        for synset, one in self.synsets.items():
            for parent in one.parents:
                found.setdefault(parent, []).append(synset)
        return found


def read_wordnet(folder: Path = FOLDER) -> WordNet:
    """Read WordNet from its folder; the TrainingError says how to install it."""
    try:
        data, index = ((folder / name).read_text(encoding="ascii") for name in ("data.noun", "index.noun"))
    except OSError as error:
        raise TrainingError(f"{folder} has no WordNet: apt-get install wordnet-base") from error
    return WordNet(dict(map(_synset, _lines(data))), dict(map(_senses, _lines(index))))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("  ")]  # the licence is indented


def _senses(line: str) -> tuple[str, list[str]]:
    """Parse a line of index.noun: a name, counts and kinds of pointers, last the offsets of its synsets."""
    words = line.split()
    return words[0].replace("_", " "), [f"n{offset}" for offset in words[-int(words[2]) :]]


def _synset(line: str) -> tuple[str, Synset]:
    """Parse a line of data.noun: offset, file, type, names with their senses, pointers, gloss."""
    fields, _, gloss = line.partition(" | ")
    words = fields.split(" ")
    end = 4 + 2 * int(words[3], 16)
    names = tuple(name.replace("_", " ") for name in words[4:end:2])
    parents = tuple(f"n{at}" for kind, at in _pointers(words[end + 1 :]) if kind in PARENTS)
    return f"n{words[0]}", Synset(names, parents, gloss.strip())


def _pointers(words: list[str]) -> Iterator[tuple[str, str]]:
    return zip(words[0::4], words[1::4], strict=False)
