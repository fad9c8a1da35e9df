"""CLIP's byte-pair encoding as a `tokenizer.json` that produces open_clip's ids.

The file expects the output of `app.text.clean`, and truncates and pads. It reproduces three details of CLIP's tokenizer
that are easily missed: Unicode's letters and numbers are those of the `regex` package, which open_clip splits words
with, written out as ranges; a capital sigma at the end of a word becomes a final sigma, as in Python; and a typed
special token counts as one only where the word splitting finds it.
"""

import re
from collections.abc import Mapping, Sequence

import regex  # type: ignore[import-untyped]
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

END_OF_WORD = "</w>"
START, END = "<start_of_text>", "<end_of_text>"
_CASED = r"[\p{Cased}&&\P{Case_Ignorable}]"
_FINAL_SIGMA = rf"{_CASED}\p{{Case_Ignorable}}*\KΣ(?!\p{{Case_Ignorable}}*{_CASED})"


def lower_case() -> list[normalizers.Normalizer]:
    """Lower-case as Python does."""
    return [normalizers.Replace(Regex(_FINAL_SIGMA), "ς"), normalizers.Lowercase()]


def clip_tokenizer(
    vocabulary: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    context_length: int,
    specials: Sequence[str] = (START, END),
    cleaning: Sequence[normalizers.Normalizer] | None = None,
) -> Tokenizer:
    """Build a tokenizer from a vocabulary with `specials`, of which the first two start and end a text.

    `cleaning` is the normalisation beyond `app.text.clean`: lower case by default.
    """
    start, end = specials[:2]
    tokenizer = Tokenizer(_with_specials(dict(vocabulary), list(merges), specials))
    tokenizer.normalizer = normalizers.Sequence(list(cleaning if cleaning is not None else lower_case()))
    words = pre_tokenizers.Split(Regex(_words(specials)), "removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])]
    )
    tokenizer.enable_truncation(context_length)
    padding = next(token for token, number in vocabulary.items() if number == 0)
    tokenizer.enable_padding(length=context_length, pad_id=0, pad_token=padding)
    return tokenizer


def _with_specials(vocabulary: dict[str, int], merges: list[tuple[str, str]], specials: Sequence[str]) -> models.BPE:
    """Build a byte-pair encoding that merges a special token, when it occurs as a word, into its one id.

    Intermediate parts get ids beyond the vocabulary. They are never output: no other word mixes letters and brackets.
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


def _words(specials: Sequence[str]) -> str:
    """Return the regular expression for words: CLIP's, with "ſ" spelt out, which equals "s" when case is ignored."""
    letters, numbers, others = (_ranges(kind) for kind in (r"[\p{L}]", r"[\p{N}]", r"[^\s\p{L}\p{N}]"))
    exact = [re.escape(special).replace("s", "[sſ]") for special in specials]
    return "|".join([*exact, "'[sſ]|'t|'re|'ve|'m|'ll|'d", f"[{letters}]+|[{numbers}]|[{others}]+"])


def _ranges(kind: str) -> str:
    """Return all characters of a kind as ranges of a character class; with case ignored U+0345 has no kind."""
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    runs = regex.findall(f"{kind}+", everything, regex.IGNORECASE)
    return "".join(f"\\x{{{ord(run[0]):X}}}-\\x{{{ord(run[-1]):X}}}" for run in runs)
