"""Validate the labels of a request and build their prompts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidLabels
from app.text import normalise

LONGEST_TEXT = 2000  # characters of a prompt or text; bounds the cost of counting its tokens

Each = Callable[[Callable[[str], Any], Sequence[str]], Awaitable[list[Any]]]
"""Applies a function to each text, off the event loop."""


@dataclass(frozen=True)
class TextLimits:
    """Limits on the number and length of a request's texts."""

    most: int
    longest: int
    """Characters of a label."""
    context: int
    """Tokens of a prompt, the context length of the model."""
    count_tokens: Callable[[str], int]
    """Counts the tokens of a text; more than `context` if the model would truncate it."""

    def fits(self, text: str) -> bool:
        """Return whether a text fits into the model's context."""
        return self.count_tokens(text) <= self.context


@dataclass(frozen=True)
class RequestLabels:
    """The labels of a request in order, with their prompts and, if there are any, categories."""

    names: Sequence[str]
    prompts: Sequence[str]
    categories: Sequence[str] | None = None


async def read_labels(
    labels: Sequence[str] | Mapping[str, str], template: str | None, limits: TextLimits, each: Each
) -> RequestLabels:
    """Read the labels of a request, a list or a map from label to category; the default prompt is the label.

    `each` runs the slow part. Raises InvalidLabels with the first label that is blank, too long or repeated.

    >>> import asyncio
    >>> async def each(work, texts):
    ...     return [work(text) for text in texts]
    >>> limits = TextLimits(most=10, longest=20, context=77, count_tokens=len)
    >>> asyncio.run(read_labels({"a red apple": "fruit"}, "a photo of {}", limits, each))
    RequestLabels(names=['a red apple'], prompts=['a photo of a red apple'], categories=['fruit'])
    """
    names = list(labels)
    if not 0 < len(names) <= limits.most:
        raise InvalidLabels(f"{len(names):,} labels were sent; 1 to {limits.most:,} are accepted")
    if template is not None and ("{}" not in template or len(template) > limits.longest):
        raise InvalidLabels(
            f"template: a text of at most {limits.longest} characters with {{}} for the label is needed"
        )
    categories = list(labels.values()) if isinstance(labels, Mapping) else None
    _check_names(names, "label", limits.longest)
    _check_names(categories or [], "category", limits.longest)
    _check_distinct(names, await each(normalise, names))
    if categories:
        spellings: dict[str, str] = {}  # normalised category -> its first spelling
        keys = await each(normalise, categories)
        categories = [spellings.setdefault(key, category) for key, category in zip(keys, categories, strict=True)]
    prompts = [template.replace("{}", name) for name in names] if template else names
    for name, prompt in zip(names, prompts, strict=True):
        if len(prompt) > LONGEST_TEXT:
            raise InvalidLabels(
                f"label {name[:30]!r}: its prompt has {len(prompt):,} characters, at most {LONGEST_TEXT:,} are accepted"
            )
    for name, tokens in zip(names, await each(limits.count_tokens, prompts), strict=True):
        if tokens > limits.context:
            raise InvalidLabels(f"label {name!r} exceeds the model's context length of {limits.context} tokens")
    return RequestLabels(names, prompts, categories)


def _check_names(names: Sequence[str], what: str, longest: int) -> None:
    for place, name in enumerate(names, start=1):
        if not name.strip():
            raise InvalidLabels(f"the {what} at place {place} is blank")
        if any("\ud800" <= sign <= "\udfff" for sign in name):
            raise InvalidLabels(f"the {what} at place {place} contains a lone surrogate")
        if len(name) > longest:
            raise InvalidLabels(
                f"the {what} {name[:30]!r}… has {len(name):,} characters; {longest} are the most that is accepted"
            )


def _check_distinct(names: Sequence[str], normalised: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for name, key in zip(names, normalised, strict=True):
        if (before := seen.get(key)) is not None:
            raise InvalidLabels(
                f"{name!r} and {before!r} are one label: case, spacing and the way of writing a character do not count"
            )
        seen[key] = name
