"""open_clip's tokenizers as a `tokenizer.json` that gives the same ids without open_clip.

The file expects what `app.model.bundle.clean` returns, and cuts and pads by itself. Three places where CLIP's tokenizer
is easily missed are kept: Unicode's letters and numbers are those of the `regex` package, which open_clip splits words
with, written out as ranges; a capital sigma at a word's end becomes a final one, as in Python; and a special token that
is typed is one only where the word splitting comes upon it.
"""

import re
import string
from typing import Any

import regex  # type: ignore[import-untyped]
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from app.errors import ExportError
from app.exporter.open_clip_import import import_open_clip

END_OF_WORD = "</w>"
_CASED = r"[\p{Cased}&&\P{Case_Ignorable}]"
_FINAL_SIGMA = rf"{_CASED}\p{{Case_Ignorable}}*\KΣ(?!\p{{Case_Ignorable}}*{_CASED})"


def make_tokenizer(original: Any) -> Tokenizer:
    """A `tokenizers` tokenizer equal to one of open_clip's.

    Raises ExportError for the few kinds that have no equal.
    """
    if hasattr(original, "bpe_ranks") and original.reduction_fn is None:
        return _clip(original)
    if hasattr(original, "tokenizer") and not original.tokenizer_mode and not original.strip_sep_token:
        return _hugging_face(original)
    raise ExportError("this model's tokenizer drops or replaces tokens in a way that a tokenizer.json cannot say")


def _clip(original: Any) -> Tokenizer:
    """CLIP's own byte-pair encoding: open_clip's SimpleTokenizer."""
    start, end = original.sot_token_id, original.eot_token_id
    specials = [original.decoder[number] for number in original.all_special_ids]
    tokenizer = Tokenizer(_with_specials(dict(original.encoder), list(original.bpe_ranks), specials))
    tokenizer.normalizer = normalizers.Sequence(_cleaning(original))
    words = pre_tokenizers.Split(Regex(_words(specials)), "removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start_of_text> $A <end_of_text>",
        special_tokens=[("<start_of_text>", start), ("<end_of_text>", end)],
    )
    tokenizer.enable_truncation(original.context_length)
    tokenizer.enable_padding(length=original.context_length, pad_id=0, pad_token=original.decoder[0])
    return tokenizer


def _with_specials(vocabulary: dict[str, int], merges: list[tuple[str, str]], specials: list[str]) -> models.BPE:
    """A byte-pair encoding in which a special token, met as a word, is merged into its one id.

    The parts on the way get ids beyond the vocabulary. They never come out: no other word mixes letters and brackets.
    """
    plain = models.BPE(vocabulary, merges, end_of_word_suffix=END_OF_WORD)
    for special in specials:
        left, *rest = [token.value for token in plain.tokenize(special)]
        for part in rest:
            merges.append((left, part))
            left += part
            vocabulary[left] = len(vocabulary)
        vocabulary[left] = vocabulary.pop(special)
    return models.BPE(vocabulary, merges, end_of_word_suffix=END_OF_WORD)


def _words(specials: list[str]) -> str:
    """The expression for a word: CLIP's, with "ſ", which is "s" to an expression that ignores case, spelt out."""
    letters, numbers, others = (_ranges(kind) for kind in (r"[\p{L}]", r"[\p{N}]", r"[^\s\p{L}\p{N}]"))
    exact = [re.escape(special).replace("s", "[sſ]") for special in specials]
    return "|".join([*exact, "'[sſ]|'t|'re|'ve|'m|'ll|'d", f"[{letters}]+|[{numbers}]|[{others}]+"])


def _ranges(kind: str) -> str:
    """All characters of a kind as ranges of a character class, case ignored: U+0345 is of no kind then."""
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    runs = regex.findall(f"{kind}+", everything, regex.IGNORECASE)
    return "".join(f"\\x{{{ord(run[0]):X}}}-\\x{{{ord(run[-1]):X}}}" for run in runs)


def _hugging_face(original: Any) -> Tokenizer:
    """A tokenizer of the `transformers` package, which open_clip wraps as HFTokenizer."""
    inner = original.tokenizer
    if not hasattr(inner, "backend_tokenizer"):
        raise ExportError(f"the tokenizer {type(inner).__name__} has no form that the tokenizers library reads")
    tokenizer = Tokenizer.from_str(inner.backend_tokenizer.to_str())
    own = [tokenizer.normalizer] if tokenizer.normalizer else []
    steps = [*_cleaning(original), *own]
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.enable_truncation(original.context_length)
    tokenizer.enable_padding(
        length=original.context_length,
        pad_id=inner.pad_token_id,
        pad_token=inner.pad_token,
        direction=inner.padding_side,
    )
    return tokenizer


def _cleaning(original: Any) -> list[normalizers.Normalizer]:
    """What a tokenizer does to a text beyond `app.model.bundle.clean`."""
    lower = [normalizers.Replace(Regex(_FINAL_SIGMA), "ς"), normalizers.Lowercase()]
    bare = [
        normalizers.Replace("_", " "),
        normalizers.Replace(Regex(f"[{re.escape(string.punctuation)}]"), ""),
        *lower,
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
    for kind, steps in {"lower": lower, "whitespace": [], "canonicalize": bare}.items():
        if original.clean_fn is import_open_clip().tokenizer.get_clean_fn(kind):
            return steps
    raise ExportError(f"this model's tokenizer cleans texts in an unknown way: {original.clean_fn.__name__}")
