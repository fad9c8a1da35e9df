"""Text that people write: files, cleaning, and names that are one name."""

import html

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text import clean, decode_text, first_invisible, lower_name, normalise, read_text

TEXTS = st.text(max_size=40) | st.text(alphabet="aB&amp;lt#47; \n\r\t\x00éÃ©’ﬁｂßς\u0301\u200d\ufeff", max_size=40)


def test_byte_order_marks_are_no_text(tmp_path):
    """They are removed at the beginning, and where files were concatenated."""
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\xef\xbb\xbfthree")
    assert read_text(path) == "one\ntwo\nthree"
    with pytest.raises(UnicodeError):
        decode_text(b"\xff\xfeo\x00")


@given(st.text(st.characters(exclude_characters="\r\n\x0b\x0c\u2028\u2029") | st.sampled_from(" &;é"), max_size=40))
def test_cleaning_is_that_of_the_tokenizers(text):
    """The short way for plain text gives what the long way does, line breaks apart."""
    assert clean(text) == " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def nested(depth):
    """Nested entities, in every spelling of an ampersand."""
    return ["&" + each * depth for each in ("amp;", "#38;", "#x26;", "AMP;", "am\x01p;", "amp")] + [
        "\N{FULLWIDTH AMPERSAND}" + "amp;" * depth,
        "&#5" * depth + "6" + ";" * depth,
        "<b> &" + "amp;" * depth,
        "é&" + "amp;lt;" * depth,
    ]


@pytest.mark.parametrize("text", nested(2000))
def test_entities_of_entities_take_a_few_passes(text, monkeypatch):
    """At any depth the cost grows with the length of the text, not with its square."""
    characters = []
    fix = ftfy.fix_encoding_and_explain
    monkeypatch.setattr(ftfy, "fix_encoding", lambda part: characters.append(len(part)) or fix(part)[0])
    clean(text)
    assert sum(characters) <= 30 * len(text)


@pytest.mark.parametrize("text", nested(3))
def test_entities_that_people_write_are_resolved_as_the_tokenizers_do(text):
    """Up to eight levels of nesting the results are equal."""
    assert clean(text) == " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


@given(TEXTS)
def test_a_cleaned_name_is_its_own_spelling(text):
    """An item stored under the name that was answered is the same item, and compares as equal."""
    name = lower_name(text)
    assert lower_name(name) == name
    assert normalise(name) == normalise(text)


@pytest.mark.parametrize(
    "name",
    [
        "سیب\u200cزمینی",  # Persian
        "क्\u200dष",  # Hindi
        "അവന്\u200d",  # Malayalam, with a joiner at the end
        "👨\u200d👩\u200d👧 pack",
        "❤\ufe0f\u200d🔥 salsa",
        "1\ufe0f\u20e3 tea",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f tea",  # the flag of England
        "🇩🇪 bier",
        "葛\U000e0100",  # a Japanese variant
        "½ fat milk №5",
    ],
)
def test_characters_that_shape_a_word_are_part_of_names(name):
    """Joiners, variation selectors, flags and keycaps are allowed."""
    assert first_invisible(name) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ban\u200dana", "\u200d"),
        ("ba\u200bnana", "\u200b"),
        ("banana\ufe0f", "\ufe0f"),
        ("soft\xad drink", "\xad"),
        ("left\u202eright", "\u202e"),
        ("word\u2060joiner", "\u2060"),
        ("hangul \u3164", "\u3164"),
        ("braille \u2800", "\u2800"),
        ("tag \U000e0067", "\U000e0067"),
        ("private \ue000", "\ue000"),
    ],
)
def test_what_no_one_can_see_is_found(name, found):
    """Two names that look the same must not be two items."""
    assert first_invisible(name) == found
