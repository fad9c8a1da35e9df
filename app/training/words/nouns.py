"""Write everyday nouns as background of `known`: `python -m app.training.words.nouns > labels/nouns.txt`.

Takes the nouns of WordNet that name photographable things, most frequent in its counted texts first, then those of the
kinds that people keep or meet most, until there are enough.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from app.training.words.wordnet import FOLDER, WordNet, read_wordnet

COUNT = 3000
THINGS = ("n00002684", "n00003553", "n00019128", "n00020827", "n00017222", "n00015388", "n09225146")
"""Objects, wholes, natural objects, matter, plants, animals, bodies of water."""
HEAD = """# Everyday nouns, one a line: what a picture may show instead of the labels, where `known` was not fitted.
# From WordNet 3.0, (c) 2006 by Princeton University, by `python -m app.training.words.nouns`.
"""


def counts(folder: Path = FOLDER) -> Counter[str]:
    """Count the occurrences of each noun's most common sense in WordNet's counted texts."""
    found: Counter[str] = Counter()
    for line in (folder / "cntlist.rev").read_text().splitlines():
        key, sense, count = line.split()
        name, _, lexical = key.partition("%")
        if lexical.startswith("1:") and sense == "1":
            found[name.replace("_", " ")] += int(count)
    return found


def everyday(wordnet: WordNet, frequency: Counter[str], count: int) -> list[str]:
    """Return the most frequent names of photographable things in alphabetical order; ties: fewer senses first."""
    names = [
        name
        for name, senses in wordnet.senses.items()
        if re.fullmatch(r"[a-z]{3,}( [a-z]{3,})?", name)
        and wordnet.above(senses[0]).keys() & set(THINGS)
        and name == wordnet.synsets[senses[0]].names[0]  # a proper name has capitals
    ]
    ranked = sorted(names, key=lambda name: (-frequency[name], " " in name, len(wordnet.senses[name]), len(name), name))
    return sorted(ranked[:count])


if __name__ == "__main__":
    sys.stdout.write(HEAD + "\n".join(everyday(read_wordnet(FOLDER), counts(), COUNT)) + "\n")
