"""The labels of a request are checked before anything is encoded."""

import asyncio

import pytest

from app.errors import InvalidLabels
from app.recognition import request_labels
from app.recognition.request_labels import RequestLabels, TextLimits

LIMITS = TextLimits(most=5, longest=20, context=8, count_tokens=lambda text: len(text.split()) + 2)


def read_labels(labels, template, limits) -> RequestLabels:
    async def each(work, texts):
        return [work(text) for text in texts]

    return asyncio.run(request_labels.read_labels(labels, template, limits, each))


def test_a_list_is_its_own_prompts():
    """Labels are used verbatim, in their order."""
    labels = read_labels(["Two  spaces", "a b"], None, LIMITS)
    assert (labels.names, labels.prompts, labels.categories) == (["Two  spaces", "a b"], ["Two  spaces", "a b"], None)


def test_a_map_has_categories():
    """The categories are in the order of their labels."""
    labels = read_labels({"pear": "fruit", "leek": "vegetable", "plum": "fruit"}, "a {}, {}", LIMITS)
    assert labels.prompts == ["a pear, pear", "a leek, leek", "a plum, plum"]
    assert labels.categories == ["fruit", "vegetable", "fruit"]


def test_categories_are_one_by_the_rule_for_labels():
    """Fruit, fruit and full-width fruit are one category, in the first spelling."""
    labels = read_labels({"pear": "Fruit", "plum": "fruit ", "fig": "ｆｒｕｉｔ", "leek": "veg"}, None, LIMITS)
    assert labels.categories == ["Fruit", "Fruit", "Fruit", "veg"]


@pytest.mark.parametrize(
    ("labels", "template", "message"),
    [
        ([], None, "0 labels were sent; 1 to 5"),
        ({}, None, "0 labels were sent"),
        (list("abcdef"), None, "6 labels were sent; 1 to 5"),
        (["a", " \n"], None, "the label at place 2 is blank"),
        ({"a": ""}, None, "the category at place 1 is blank"),
        (["a" * 21], None, "has 21 characters; 20 are the most"),
        ({"a": "b" * 21}, None, "the category 'b.*has 21 characters"),
        (["Soy  sauce", "rice", "soy sauce"], None, "'soy sauce' and 'Soy  sauce' are one label"),
        ({"a": "x", "A": "y"}, None, "'A' and 'a' are one label"),
        (["a", "a"], None, "'a' and 'a' are one label"),
        (["lay's", "lay’s"], None, "one label: case, spacing and the way of writing a character do not count"),
        (["crème", "cre\u0300me"], None, "are one label"),
        (["fig", "ﬁg"], None, "are one label"),
        ({"R&D": "x", "r&amp;d": "y"}, None, "are one label"),
        (["a"], "no place", "template: .*{} for the label"),
        (["a"], "", "template"),
        (["a"], "{}" * 20, "template: a text of at most 20"),
        (
            ["a b c d e f", "a b c d e f g"],
            None,
            "label 'a b c d e f g' exceeds the model's context length of 8 tokens",
        ),
        (["a b c d"], "a photo of {}", "'a b c d' exceeds"),
    ],
)
def test_what_cannot_be_used_is_named(labels, template, message):
    """Empty, blank, repeated, over-long and too many labels are errors, and prompts that would be truncated."""
    with pytest.raises(InvalidLabels, match=message):
        read_labels(labels, template, LIMITS)


def test_a_prompt_is_bounded_before_its_tokens_are_counted():
    """A template may repeat a label; a prompt of more than 2,000 characters is rejected without tokenizing."""
    counted = []
    limits = TextLimits(most=5, longest=200, context=77, count_tokens=counted.append)
    with pytest.raises(InvalidLabels, match="its prompt has 20,000 characters, at most 2,000"):
        read_labels(["x" * 200], "{}" * 100, limits)
    assert counted == []
