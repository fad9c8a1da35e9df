"""The words of a report: what contestants are called, how numbers and lists are written."""

from collections.abc import Iterator, Sequence

ONE, SERVED, PROBE, NEAREST, CNN = "zero-shot (one prompt)", "zero-shot (templates)", "linear probe", "k-nearest", "CNN"


def percent(share: float) -> str:
    """0.1234 as 12.3 %."""
    return f"{share:.1%}".replace("%", " %")


def points(share: float) -> str:
    """0.1234 as 12.3 points."""
    return f"{100 * share:.1f} points"


def the(name: str) -> str:
    """With an article where one belongs."""
    return f"the {name}" if name in (PROBE, CNN) else name


def opening(name: str) -> str:
    """The same as a sentence opens with it."""
    return capital(the(name))


def capital(name: str) -> str:
    """With a capital first letter."""
    return name[0].upper() + name[1:]


def listed(parts: Iterator[str] | Sequence[str]) -> str:
    """As in a sentence: "a, b and c"."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
