"""The labels that come with a request, validated, with the prompts they stand for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidLabels
from app.text import normalise

LONGEST_TEXT = 2000  # characters of a prompt or text: bounds what counting its tokens costs

Each = Callable[[Callable[[str], Any], Sequence[str]], Awaitable[list[Any]]]
"""Applies a function to each of some texts, off the event loop."""


@dataclass(frozen=True)
class TextLimits:
    """How many texts a request may have and how long they may be."""

    most: int
    longest: int
    """Of a label, in characters."""
    context: int
    """Of a prompt, in tokens: the model reads no further."""
    count_tokens: Callable[[str], int]
    """The tokens of a text; more than `context` when the model would not read its end."""

    def fits(self, text: str) -> bool:
        """Whether the model reads a text to its end."""
        return self.count_tokens(text) <= self.context


@dataclass(frozen=True)
class RequestLabels:
    """Labels in the order of the request, the prompt of each, and the category of each where there are any."""

    names: Sequence[str]
    prompts: Sequence[str]
    categories: Sequence[str] | None = None


async def read_labels(
    labels: Sequence[str] | Mapping[str, str], template: str | None, limits: TextLimits, each: Each
) -> RequestLabels:
    """The labels of a request, a list or a map from label to category; a label is its own prompt without a template.

    `each` does what takes time. Raises InvalidLabels that names the first label that is blank, too long or repeated.

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
