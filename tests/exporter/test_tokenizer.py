"""The tokenizer file gives open_clip's ids for any text."""

import random
import unicodedata
from functools import cache
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from app.errors import ExportError
from app.exporter.open_clip_import import import_open_clip
from app.exporter.tokenizer import make_tokenizer
from app.text import clean

WORDS = ["apple", "Milk", "it's", "WE'LL", "12.5kg", "naïve", "ΟΔΟΣ", "ΣΑΣ", "İstanbul", "straße", "りんご", "苹果"]
WORDS += ["яблоко", "تفاح", "🍎", "👩\u200d🍳", "é", "e\u0301", "x²", "ﬁsh", "ſ"]
TYPED = [
    "&amp;",
    "&lt;",
    "&#39;",
    "&eacute;",
    "&amp;amp;",
    "\u200b",
    "\u00a0",
    "\t\n",
    "\x00",
    "\x7f",
    "\ufeff",
    "'s",
    "_",
]
SPECIAL = ["<start_of_text>", "<end_of_text>", "<END_OF_TEXT>", "<|endoftext|>", "</w>", "!<end_of_text>", "\u0345"]


@cache
def characters() -> list[str]:
    """All that Python's tables know: newer tables alone lower a letter that was given its capital after them."""
    every = map(chr, [*range(0xD800), *range(0xE000, 0x110000)])
    return [character for character in every if unicodedata.category(character) not in ("Cn", "Co")]


def varied(count: int) -> list[str]:
    """Texts of words, entities, special tokens and characters of every script, from none to hundreds."""
    rng = random.Random(0)
    common = "".join(map(chr, range(0x20, 0x250)))
    kinds = [
        lambda: rng.choice(WORDS) + " " * rng.randrange(2),
        lambda: rng.choice(TYPED),
        lambda: rng.choice(SPECIAL),
        lambda: rng.choice(characters()),
        lambda: rng.choice(common),
        lambda: "".join(rng.choices(common, k=8)),
    ]
    return [
        "".join(rng.choice(kinds)() for _ in range(rng.choice((0, 1, 2, 3, 5, 8, 13, 30, 120)))) for _ in range(count)
    ]


@pytest.fixture(scope="module")
def pair():
    """open_clip's tokenizer, and ours read from its file."""
    original = import_open_clip().get_tokenizer("ViT-B-32")
    return original, Tokenizer.from_str(make_tokenizer(original).to_str())


def test_ids_equal_open_clips(pair):
    """5,000 varied texts give the same 77 ids, special tokens that are typed and cut ends included."""
    original, tokenizer = pair
    texts = varied(5000)
    expected = original(texts).tolist()
    found = [encoding.ids for encoding in tokenizer.encode_batch([clean(text) for text in texts])]
    assert sum(ids[-1] != 0 for ids in found) > 300  # many are cut
    for text, ours, theirs in zip(texts, found, expected, strict=True):
        assert ours == theirs, ascii(text)


def test_every_character_is_of_open_clips_kind(pair):
    """Each assigned character between two others is split from them where open_clip splits."""
    original, tokenizer = pair
    runs = [characters()[start : start + 10] for start in range(0, len(characters()), 10)]
    rng = random.Random(0)
    texts = [clean("".join(f"a{character}1!{character}" for character in run)) for run in rng.sample(runs, 3000)]
    found = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    assert found == original(texts).tolist()


@pytest.mark.parametrize("text", ["", " ", "\n", "a", "<end_of_text>", "tomato " * 76, "x" * 1000])
def test_the_shape_is_fixed_by_the_file(pair, text):
    """Any text becomes 77 ids that begin with the start, end with the end, and are 0 behind it."""
    ids = pair[1].encode(clean(text)).ids
    end = ids.index(49407)
    assert (len(ids), ids[0], set(ids[end + 1 :]) - {49407}) in ((77, 49406, {0}), (77, 49406, set()))


def hugging_face(kind: str, **changes: object) -> SimpleNamespace:
    """The attributes of open_clip's HFTokenizer, around a tokenizer of words."""
    inner = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "?": 2, "red": 3, "apple": 4, "Red": 5}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = SimpleNamespace(
        backend_tokenizer=inner, pad_token_id=0, pad_token="<pad>", padding_side="right", sep_token_id=1
    )
    cleaning = import_open_clip().tokenizer.get_clean_fn(kind)
    facts = {
        "tokenizer": fast,
        "context_length": 6,
        "clean_fn": cleaning,
        "tokenizer_mode": "",
        "strip_sep_token": False,
    }
    return SimpleNamespace(**facts | changes)


@pytest.mark.parametrize(
    ("kind", "ids"),
    [("whitespace", [5, 2, 2, 1, 0, 0]), ("lower", [3, 2, 2, 1, 0, 0]), ("canonicalize", [3, 4, 3, 4, 1, 0])],
)
def test_a_hugging_face_tokenizer_cleans_cuts_and_pads(kind, ids):
    """The way in which open_clip cleans texts for a model is in the file, before the tokenizer's own steps."""
    tokenizer = Tokenizer.from_str(make_tokenizer(hugging_face(kind)).to_str())
    assert tokenizer.encode(clean("Red  apple!  red_apple.")).ids == ids
    assert tokenizer.encode("red " * 20).ids == [3, 3, 3, 3, 3, 1]


def test_a_separator_that_open_clip_strips_is_0():
    """The template's last token gives way to 0, also where the text is cut."""
    tokenizer = Tokenizer.from_str(make_tokenizer(hugging_face("lower", strip_sep_token=True)).to_str())
    assert tokenizer.encode("red apple").ids == [3, 4, 0, 0, 0, 0]
    assert tokenizer.encode("red " * 20).ids == [3, 3, 3, 3, 3, 0]


@pytest.mark.parametrize("changes", [{"tokenizer_mode": "clips"}, {"clean_fn": str.strip}])
def test_a_tokenizer_without_an_equal_is_refused(changes):
    """Tokenizers that a tokenizer.json cannot express are refused before anything is exported."""
    with pytest.raises(ExportError, match="tokenizer"):
        make_tokenizer(hugging_face("lower", **changes))
