"""Labels as people write them: `apple, banana`, or lines of a file `phrase | category`."""

import re


def read_labels(text: str, separator: str = "\n") -> list[str] | dict[str, str]:
    r"""The labels of a text, or a map from each to its category; raises ValueError with a sentence.

    Blank lines and those that begin with `#` are left out. `separator` is a regular expression.

    >>> read_labels("apple, a green leek", "[,\n]")
    ['apple', 'a green leek']
    >>> read_labels("# mine\na car | vehicle\na ship | vehicle")
    {'a car': 'vehicle', 'a ship': 'vehicle'}
    """
    parts = [part.strip() for part in re.split(separator, text)]
    pairs = [part.rpartition("|") for part in parts if part and not part.startswith("#")]
    labels = [label.strip() for _, _, label in pairs] if not any(bar for _, bar, _ in pairs) else []
    if labels or not pairs:
        return labels
    categories: dict[str, str] = {}
    for before, _, after in pairs:
        label, category = before.strip(), after.strip()
        if not label or not category:
            raise ValueError(f"“{label or category}” has no category, but others have one: write label | category.")
        if label in categories:
            raise ValueError(f"“{label}” stands there twice.")
        categories[label] = category
    return categories
