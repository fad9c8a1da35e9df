"""Text that people write: how it is read from files, cleaned for the tokenizer, and compared as a name."""

import html
import re
from functools import lru_cache
from pathlib import Path

import ftfy

_LINE_BREAKS = re.compile(r"[\n\r\x0b\x0c\u2028\u2029]+")  # not \x85 and \xa0, which mojibake has in it
_SHAPING = re.compile(
    "(?<=[\u0590-\u200b\u200e-\U0010ffff])[\u200c\u200d]"  # joiners, after an emoji or a letter beyond Latin and Greek
    "|(?<=[^\0-\x7f])[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"  # variation selectors
    "|(?<=[0-9#*])\ufe0f(?=\u20e3)"  # keycaps
    "|(?<=\U0001f3f4)[\U000e0020-\U000e007e]+\U000e007f"  # flags of regions
)
_BLANK = re.compile(  # invisible, though `str.isprintable` takes them for printable
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # full-width too; apostrophes before them, so that each text comes back
_MAX_ENTITY_DEPTH = 8  # entities of entities: ftfy resolves a level with each pass over the text
_NAMES_KEPT = 32_768  # normalised names in memory: at most some 50 MB


def read_text(path: Path) -> str:
    """Read a UTF-8 text file without byte order marks; raises OSError or UnicodeError."""
    return decode_text(path.read_bytes())


def decode_text(data: bytes) -> str:
    r"""Decode UTF-8; byte order marks go, also inside the text, where files were put together.

    >>> decode_text(b"\xef\xbb\xbfapple\r\n\xef\xbb\xbfleek")
    'apple\nleek'
    """
    return data.decode("utf-8").replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


def clean(text: str) -> str:
    """Clean a text as CLIP's tokenizers do: repair Unicode, resolve HTML entities twice, collapse white space.

    >>> clean("salt &amp;amp;  pepper")
    'salt & pepper'
    """
    text = _LINE_BREAKS.sub(" ", text)  # first: ftfy mends line by line, at 0.1 ms a line however short
    if text.isascii() and text.isprintable() and "&" not in text:
        return " ".join(text.split())  # ftfy changes nothing in it, and takes a hundred times as long
    return " ".join(html.unescape(html.unescape(ftfy.fix_text(_without_deep_entities(text)))).split())


def _without_deep_entities(text: str) -> str:
    """A text as it is, or without its entities where they are nested so deep that no one has written it."""
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
    """The spelling under which an item is stored: cleaned until nothing changes, in lower case.

    >>> lower_name(" Crème  Fraîche"), lower_name("R&amp;amp;amp;D")
    ('crème fraîche', 'r&d')
    """
    while (cleaned := clean(name).lower()) != name:
        name = cleaned
    return name


@lru_cache(_NAMES_KEPT)
def normalise(name: str) -> str:
    """The key by which names are compared: two names with the same key are one label and one item.

    Names are equal when the tokenizer's cleaning makes them equal, and case is folded as Unicode does, so that ß is ss.

    >>> normalise("Lay’s") == normalise("LAY'S"), normalise("Weißbier") == normalise("weissbier")
    (True, True)
    """
    return lower_name(name).casefold()


def first_invisible(name: str) -> str | None:
    r"""The first character of a name that no one can see, unless it shapes its neighbours; None where there is none.

    >>> first_invisible("سیب‌زمینی"), first_invisible("soft\xadware")
    (None, '\xad')
    """
    plain = _SHAPING.sub("", name)
    return next((char for char in plain if not char.isprintable() or _BLANK.match(char)), None)


def csv_cell(text: str) -> str:
    """The text of a cell that no spreadsheet takes for a formula.

    >>> csv_cell("=1+1"), csv_cell("rice")
    ("'=1+1", 'rice')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_csv_cell(cell: str) -> str:
    """The inverse of `csv_cell`; other cells stay as they are."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
