"""Labels: parsed, and merged with the pantry's items."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidLabels, InvalidRequest
from app.recognition.labels import Label, merge, name_indices, parse_labels
from app.text import normalise

NAMES = st.lists(
    st.sampled_from(["rice", "Rice", "ＲＩＣＥ", "weissbier", "weißbier", "crème", "cre\u0300me", "tea", "oats"])
)


def names(labels) -> list[str]:
    return [label.name for label in labels]


def test_a_label_file_is_forgiving():
    """Comments, blank lines, byte order marks, Windows line ends and stray bars are accepted."""
    text = "\ufeff# fruit\r\n\r\n  red   apple # ripe\r\n|| banana |\r\n\ufeffBanana\r\nno 7#2\r\n"
    assert names(parse_labels(text, 200)) == ["red apple", "banana", "no 7#2"]


@pytest.mark.parametrize(
    "spellings",
    [
        ("soy Sauce", "Soy  sauce", "soy sauce"),
        ("banana", "ｂａｎａｎａ", "ba\ufeffnana", "ba\x00nana"),
        ("lay's", "lay’s", "LAY‘S"),
        ("crème fraîche", "cre\u0300me frai\u0302che", "Crème Fraîche", "crÃ¨me fraÃ®che"),
        ("weißbier", "weissbier", "WEISSBIER", "WEIẞBIER"),
        ("fig", "ﬁg", "FIG"),
        ("m&m", "m&amp;m", "M&amp;amp;M"),
        ("μέλος", "ΜΈΛΟΣ"),
    ],
)
def test_spellings_that_the_model_cannot_tell_apart_are_one_label(spellings):
    """The first spelling is shown; this also holds within one line, and for items of the pantry."""
    assert names(parse_labels("\n".join(spellings), 200)) == [spellings[0]]
    assert [label.names for label in parse_labels(" | ".join(spellings), 200)] == [(spellings[0],)]
    (label,) = merge(parse_labels(spellings[0], 200), [spellings[-1]])
    assert (label.sources, label.item) == (("file", "pantry"), spellings[-1])


def test_synonyms_belong_to_the_label_that_named_them_first():
    """A later line whose name is known adds its new names to that label."""
    labels = parse_labels("chickpeas | garbanzo\nGarbanzo | ceci\nrice", 200)
    assert [label.names for label in labels] == [("chickpeas", "garbanzo", "ceci"), ("rice",)]


def test_an_over_long_label_names_its_line():
    """The error says which line is too long, and what is allowed."""
    assert names(parse_labels("toast", 5)) == ["toast"]
    with pytest.raises(InvalidLabels, match="line 2 .*at most 5 characters"):
        parse_labels("rice\ntomato", 5)


def test_labels_that_the_pantry_cannot_have_are_reported_by_line():
    """They are still labels."""
    told = []
    text = "rice\nhalf/half\n" + "x" * 201 + "\nسیب\u200cزمینی\nsoft\xadware | software"
    assert len(parse_labels(text, 300, lambda *line: told.append(line))) == 5
    assert [line for line, _ in told] == [2, 3, 5]


def test_file_first_then_the_pantry_by_name():
    """The file's order comes first, then the pantry's items by name, each with its source."""
    merged = merge([Label("tuna"), Label("soy Sauce", ("shoyu",))], ["zucchini", "soy sauce", "apple"])
    assert [(label.name, label.sources, label.item) for label in merged] == [
        ("tuna", ("file",), None),
        ("soy Sauce", ("file", "pantry"), "soy sauce"),
        ("apple", ("pantry",), "apple"),
        ("zucchini", ("pantry",), "zucchini"),
    ]


def test_a_label_carries_the_item_that_a_synonym_names():
    """That item is changed, even if another name of the label would be a valid item."""
    (label,) = merge([Label("chickpeas", ("garbanzo",))], ["garbanzo"])
    assert (label.sources, label.item, label.item_name) == (("file", "pantry"), "garbanzo", "garbanzo")
    assert Label("Chick  Peas").item_name == "chick peas"


def test_of_two_items_of_one_label_the_one_that_it_names_first_counts():
    """Their order in the pantry does not matter."""
    for items in (["carrot", "carrots"], ["carrots", "carrot"]):
        assert [label.item for label in merge([Label("carrots", ("carrot",))], items)] == ["carrots"]
        assert [label.item for label in merge([Label("karotte", ("carrot", "carrots"))], items)] == ["carrot"]


def test_a_label_that_can_be_no_item_has_no_item_name():
    """It has one if the pantry contains another of its names."""
    label = Label("ripe banana/plantain", ("banana",))
    with pytest.raises(InvalidRequest, match="U.002F SOLIDUS"):
        _ = label.item_name
    assert merge([label], ["banana"])[0].item_name == "banana"


@given(NAMES, NAMES)
def test_no_two_merged_labels_share_a_name(lines, items):
    """For any file and pantry, every name leads to exactly one label."""
    merged = merge(parse_labels("\n".join(lines), 200), items)
    keys = [normalise(name) for label in merged for name in label.names]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(map(normalise, [*lines, *items]))
    assert {merged[index].name for index in name_indices(merged).values()} == set(names(merged))


@given(st.lists(NAMES))
def test_a_label_file_that_was_written_from_its_labels_has_the_same(lines):
    """Parsing again changes nothing: neither the names, nor their order, nor which are synonyms."""
    labels = parse_labels("\n".join(" | ".join(line) for line in lines), 200)
    assert parse_labels("\n".join(" | ".join(label.names) for label in labels), 200) == labels
    assert merge(labels, []) == tuple(labels)


@given(NAMES, NAMES)
def test_file_labels_keep_their_order_whatever_the_pantry_has(lines, items):
    """The file's labels come first, followed by the pantry's own by name."""
    labels = parse_labels("\n".join(lines), 200)
    merged = merge(labels, items)
    assert names(merged)[: len(labels)] == names(labels)
    assert names(merged)[len(labels) :] == sorted(names(merged)[len(labels) :])


def test_of_two_spellings_of_an_item_the_first_by_name_counts():
    """Their order in the pantry does not matter."""
    for items in (["weissbier", "weißbier"], ["weißbier", "weissbier"]):
        assert [label.item for label in merge([], items)] == ["weissbier"]
