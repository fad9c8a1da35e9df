"""Warnings about examples, in words for people."""

from larder_client import Example

from app.ui.sentences import plain


def remark(example: Example) -> str:
    """What speaks against an example; empty where nothing does."""
    if not example.used:
        return "of another model, not used"
    remarks = []
    if example.near_duplicate_of:
        remarks.append(f"nearly the same as {short(example.near_duplicate_of)}")
    if example.contradicts:
        remarks.append(f"looks like {plain(example.contradicts)}")
    return ", ".join(remarks)


def short(id: str) -> str:
    """As much of an example's id as tells it from the others of its item."""
    return id[:8]
