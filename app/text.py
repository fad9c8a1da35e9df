"""Human-written text: read it from files, clean it for the tokenizer, and normalise names."""

import html
import re
from functools import lru_cache
from pathlib import Path

import ftfy

_LINE_BREAKS = re.compile(r"[\n\r\x0b\x0c\u2028\u2029]+")  # not \x85 and \xa0, which occur in mojibake
_SHAPING = re.compile(
    "(?<=[\u0590-\u200b\u200e-\U0010ffff])[\u200c\u200d]"  # joiners, after an emoji or a letter beyond Latin and Greek
    "|(?<=[^\0-\x7f])[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"  # variation selectors
    "|(?<=[0-9#*])\ufe0f(?=\u20e3)"  # keycaps
    "|(?<=\U0001f3f4)[\U000e0020-\U000e007e]+\U000e007f"  # flags of regions
)
_BLANK = re.compile(  # invisible, although `str.isprintable` accepts them
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # full-width too; with leading apostrophes, so that texts round-trip
_MAX_ENTITY_DEPTH = 8  # nested entities: ftfy resolves one level per pass over the text
_NAMES_KEPT = 32_768  # normalised names in memory: at most some 50 MB


def read_text(path: Path) -> str:
    """Read a UTF-8 text file without byte order marks; raises OSError or UnicodeError."""
    return decode_text(path.read_bytes())


def decode_text(data: bytes) -> str:
    r"""Decode UTF-8; byte order marks are removed, also inside the text, from concatenated files.

    >>> decode_text(b"\xef\xbb\xbfapple\r\n\xef\xbb\xbfleek")
    'apple\nleek'
    """
    return data.decode("utf-8").replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


def clean(text: str) -> str:
    """Clean a text as CLIP's tokenizers do: repair Unicode, resolve HTML entities twice, collapse white space.

    >>> clean("salt &amp;amp;  pepper")
    'salt & pepper'
    """
    text = _LINE_BREAKS.sub(" ", text)  # first, because ftfy repairs line by line, 0.1 ms each however short
    if text.isascii() and text.isprintable() and "&" not in text:
        return " ".join(text.split())  # ftfy would change nothing here, at a hundred times the cost
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(_without_deep_entities(text)))).split())


def _without_deep_entities(text: str) -> str:
    """Return a text without its entities if they are nested deeper than people write."""
    if "&" not in text and "\N{FULLWIDTH AMPERSAND}" not in text:
        return text
    inner = text
    for _ in range(_MAX_ENTITY_DEPTH):
        outer, inner = inner, html.unescape(ftfy.fix_text(inner, unescape_html=False))
        if inner == outer:
            return text
    return inner.replace("&", " ")


@lru_cache(_NAMES_KEPT)
def lower_name(name: str) -> str:
    """Return the spelling under which an item is stored: cleaned until nothing changes, in lower case.

    >>> lower_name(" Crème  Fraîche"), lower_name("R&amp;amp;amp;D")
    ('crème fraîche', 'r&d')
    """
    while (cleaned := clean(name).lower()) != name:
        name = cleaned
    return name


@lru_cache(_NAMES_KEPT)
def normalise(name: str) -> str:
    """Return the key for comparing names: two names with the same key are one label and one item.

    Names are equal if the tokenizer's cleaning makes them equal; case is folded as in Unicode, so ß equals ss.

    >>> normalise("Lay’s") == normalise("LAY'S"), normalise("Weißbier") == normalise("weissbier")
    (True, True)
    """
    return lower_name(name).casefold()


def first_invisible(name: str) -> str | None:
    r"""Return a name's first invisible character that does not shape its neighbours; None if there is none.

    >>> first_invisible("سیب‌زمینی"), first_invisible("soft\xadware")
    (None, '\xad')
    """
    plain = _SHAPING.sub("", name)
    return next((char for char in plain if not char.isprintable() or _BLANK.match(char)), None)


def csv_cell(text: str) -> str:
    """Escape a text so that no spreadsheet takes it for a formula.

    >>> csv_cell("=1+1"), csv_cell("rice")
    ("'=1+1", 'rice')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_csv_cell(cell: str) -> str:
    """Reverse `csv_cell`; other cells are unchanged."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
