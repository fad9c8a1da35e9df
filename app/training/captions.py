"""Names of things to captions, varied at random."""

import random
from dataclasses import dataclass
from pathlib import Path

from app.text import clean, read_text

HERE = Path(__file__).parent
TEMPLATES = (
    *("{}",) * 6, "a photo of {}.", "a photo of a {}.", "a photo of {}", "a photo of the {}.", "a picture of {}",
    "an image of {}.", "a picture of a {}", "a picture of {} in a shop.", "a {}", "an {}", "the {}", "some {}",
    "{} on a shelf", "a hand holding {}", "a close-up of {}", "{} in a store", "i can see {} here", "this is {}",
    "a blurry photo of {}", "one {} on the table", "a phone picture of some {}", "there is a {} in front of me",
    "what a robot sees: {}", "a product called {}",
)  # fmt: skip
PRODUCE_TEMPLATES = (
    "fresh {}",
    "ripe {}",
    "a pile of {}",
    "a box of {}",
    "raw {}",
    "a basket full of {}",
    "organic {} from a farm",
)
PACKAGE_TEMPLATES = (
    "a carton of {}",
    "a package of {}",
    "a pack of {}",
    "a box of {}",
    "a bottle of {}",
    "cold {}",
    "a litre of {}",
)
KINDS = {
    "fruit": ("fruit", "a kind of fruit", "fresh fruit", "fruits"),
    "packages": (
        "a package",
        "a carton with a drink or dairy product",
        "packaged goods",
        "a grocery carton",
        "dairy or juice",
    ),
    "vegetables": ("vegetables", "a vegetable", "fresh vegetable", "a kind of vegetable"),
}
SYLLABLES = (
    "ba be bo da du fa fe gi go ha hu ja ka ko la lo ma me mi mo "
    "na ne no pa pe po qua ra ri ro sa si so ta te to va vi wo xa ya zo zu"
)


def read_names(path: Path) -> list[list[str]]:
    """A label file as lists of names: `label | synonym | synonym`, comments and blank lines left out."""
    lines = (line.strip() for line in read_text(path).splitlines())
    return [[clean(name) for name in line.split("|")] for line in lines if line and not line.startswith("#")]


def read_things(path: Path) -> list[str]:
    """A comma-separated list of things over several lines."""
    return [thing.strip() for [line] in read_names(path) for thing in line.split(",")]


def plural(name: str) -> str:
    """A simple English plural of the last word."""
    if name.endswith(("s", "juice", "milk", "cream", "garlic", "ginger")):
        return name
    if name.endswith(("ch", "sh", "x", "ato", "ango")):
        return name + "es"
    return name[:-1] + "ies" if name.endswith("rry") else name + "s"


@dataclass(frozen=True)
class Captions:
    """Everything a caption can be made of. Each list of names belongs to one class."""

    fine: list[list[str]]
    coarse: list[list[str]]
    coarse_of: list[int]  # per fine class
    groups: list[str]
    group_of: list[int]  # per fine class
    group_of_coarse: list[int]
    others: list[list[str]]  # pictures that show no grocery, by kind; the last holds words for all of them
    things: list[str]  # nothing the pictures show

    def fine_step(self, dice: random.Random) -> list[str]:
        """One caption for every fine class."""
        return [caption(names, self.groups[g], dice) for names, g in zip(self.fine, self.group_of, strict=True)]

    def coarse_step(self, dice: random.Random) -> list[str]:
        """One caption for every coarse class."""
        return [
            caption(names, self.groups[g], dice) for names, g in zip(self.coarse, self.group_of_coarse, strict=True)
        ]

    def kind_step(self, dice: random.Random) -> list[str]:
        """One caption for every group of groceries."""
        return [dress(dice.choice(KINDS[group]), TEMPLATES, dice) for group in self.groups]

    def other_step(self, dice: random.Random) -> list[str]:
        """One caption for every kind of picture without groceries."""
        return [dress(dice.choice(names), TEMPLATES, dice) for names in self.others]

    def foreign_step(self, things: int, gibberish: int, dice: random.Random) -> list[str]:
        """Captions that fit no picture: other things, then strings that no one knows."""
        chosen = [dress(dice.choice(self.things), ALL_TEMPLATES, dice) for _ in range(things)]
        rounds = 4 if dice.random() < 0.1 else 1  # now and then long enough to fill the context
        words = [" ".join(nonsense(self, dice) for _ in range(rounds)) for _ in range(gibberish)]
        return chosen + [dress(word, ALL_TEMPLATES, dice) for word in words]


ALL_TEMPLATES = TEMPLATES + PRODUCE_TEMPLATES + PACKAGE_TEMPLATES


def caption(names: list[str], group: str, dice: random.Random) -> str:
    """One random caption of a grocery: its own name half of the time, another name else, in a random template."""
    name = names[0] if dice.random() < 0.4 else dice.choice(names)
    name = plural(name) if dice.random() < 0.25 else name
    return dress(name, TEMPLATES + (PACKAGE_TEMPLATES if group == "packages" else PRODUCE_TEMPLATES), dice)


def dress(name: str, templates: tuple[str, ...], dice: random.Random) -> str:
    """Put a name into a random template."""
    return clean(dice.choice(templates).replace("{}", name))


def nonsense(captions: Captions, dice: random.Random) -> str:
    """A string no one knows: random letters, invented words or a known word with its letters shuffled."""
    roll = dice.random()
    if roll < 0.3:
        return random_letters(dice)
    if roll < 0.75:
        return invented_word(dice)
    word = dice.choice(dice.choice(dice.choice((captions.fine, captions.others)))).split()[-1]
    letters = list(word)
    dice.shuffle(letters)
    return "".join(letters) if len(word) > 4 else word[::-1] + invented_word(dice)


def random_letters(dice: random.Random) -> str:
    """Three to eight letters, sometimes with a digit."""
    return "".join(dice.choice("abcdefghijklmnopqrstuvwxyzåäöéü0123") for _ in range(dice.randint(3, 8)))


def invented_word(dice: random.Random) -> str:
    """Two to four syllables with an optional ending."""
    return "".join(dice.choice(SYLLABLES.split()) for _ in range(dice.randint(2, 4))) + dice.choice(
        ("", "", "n", "s", "r", "l", "ng")
    )


def build_captions(pantry: list[list[str]], coarse_of: list[int], coarse_names: list[str], group_of: list[int],
                   groups: list[str]) -> Captions:  # fmt: skip
    """Join the label file with the phrases beside this file. `pantry` holds the trained classes only."""
    phrases = {names[0]: names[1:] for names in read_names(HERE / "phrases_fine.txt")}
    broader = {names[0]: names[1:] for names in read_names(HERE / "phrases_coarse.txt")}
    first_fine = [coarse_of.index(number) for number in range(len(coarse_names))]
    return Captions(
        fine=[list(dict.fromkeys(names + phrases[names[0]])) for names in pantry],
        coarse=[[name, *broader[name]] for name in coarse_names],
        coarse_of=coarse_of,
        groups=groups,
        group_of=group_of,
        group_of_coarse=[group_of[fine] for fine in first_fine],
        others=read_names(HERE / "phrases_other.txt"),
        things=read_things(HERE / "other_things.txt"),
    )


def grocery_texts(captions: Captions, seed: int) -> list[str]:
    """A few rounds of captions, for the tokenizer to learn from."""
    dice = random.Random(seed)
    texts = list(captions.things)
    for _ in range(30):
        texts += (
            captions.fine_step(dice) + captions.coarse_step(dice) + captions.other_step(dice) + captions.kind_step(dice)
        )
        texts += captions.foreign_step(40, 0, dice)
    return texts
