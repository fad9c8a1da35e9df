"""Adds to a pantry until it is killed; imports little, because each process imports it again."""

from collections.abc import Callable
from pathlib import Path

from app.pantry import Key
from app.pantry.sqlite.store import SQLitePantry


def add_without_end(report: Callable[[int], None], path: Path, start: int) -> None:
    """Report each count that was answered, from every second add one with a key."""
    store = SQLitePantry(path)
    for number in range(start, start + 10**9):
        report(store.add("rice", 1, Key(f"k{number}", "r") if number % 2 else None).count)
