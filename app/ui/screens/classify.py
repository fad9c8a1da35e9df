"""The page Classify: labels chosen by the visitor."""

import re

import streamlit as st
from larder_client import Classification

from app.ui.bars import bars, decimals
from app.ui.connection import larder, ready
from app.ui.picking import pick, show
from app.ui.sentences import plain

EXAMPLE = "banana, cucumber, carrots, a carton of milk"


def choose_labels() -> list[str] | dict[str, str]:
    """Return typed labels or those of a file; none if they are invalid."""
    typed = st.text_area(
        "Labels, with commas between them",
        value=EXAMPLE,
        height=80,
        help="Used word for word. `label | category` puts a label into a category.",
    )
    file = st.file_uploader("Or a label file: one label a line, or lines `label | category`", ["txt"])
    try:
        return read_labels(file.getvalue().decode("utf-8-sig")) if file else read_labels(typed, "[,\n]")
    except UnicodeDecodeError:
        st.error("This file is not text in UTF-8: save it as such and choose it again.", icon=":material/error:")
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
    return []


def table(found: Classification, kinds: dict[str, str] | None) -> None:
    """Show categories first, if any, then each label, best first."""
    if found.categories:
        best = sorted(found.categories.items(), key=lambda pair: -pair[1])
        bars("Category", [name for name, _ in best], [share for _, share in best])
    labels = sorted(found.result, key=lambda label: -found.result[label])
    shares = [found.result[label] for label in labels]
    others = {"Cosine": decimals([found.cosines[label] for label in labels])}
    if kinds:
        others = {"Category": [kinds[label] for label in labels]} | others
    if found.none_of_these is not None:
        labels, shares = [*labels, "none of these"], [*shares, found.none_of_these]
        others = {name: [*cells, "–"] for name, cells in others.items()}
    bars("Label", labels, shares, others)


def read_labels(text: str, separator: str = "\n") -> list[str] | dict[str, str]:
    r"""Parse the labels of a text, or a map from each to its category; raises ValueError with a sentence.

    Skips blank lines and those that begin with `#`. `separator` is a regular expression.

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


def page() -> None:
    """Classify a picture among labels."""
    health = ready()
    scope = plain(health.scope or "how well depends on what it has learnt.")
    st.caption(f"Which of your own labels fits a picture? Any words will do. The model, {plain(health.model)}: {scope}")
    left, right = st.columns([2, 3], gap="large")
    with left:
        picked = pick("to have it classified.")
    with right:
        labels = choose_labels()
        independent = st.toggle("Each label by itself", help="A picture may show several of them, or none.")
        none_of_these = st.toggle("Allow “none of these”")
    if picked and not labels:
        right.info("Write at least one label.", icon=":material/label:")
    elif picked:
        mode = "independent" if independent else "exclusive"
        answer = larder().classify(picked.data, labels, mode=mode, none_of_these=none_of_these)  # type: ignore[arg-type]
        with left:
            show(picked)
        with right:
            if answer.confident:
                st.success("**Confident:** the best is above 80 %", icon=":material/check_circle:")
            else:
                st.warning("**Unsure:** none is above 80 %", icon=":material/warning:")
            table(answer, labels if isinstance(labels, dict) else None)
            each = "each label's own, whatever the others are" if independent else "these sum to 100 %"
            st.caption(f"Probability: {each}. A category is as probable as its best label.")
