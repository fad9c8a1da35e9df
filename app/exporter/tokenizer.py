"""open_clip's tokenizers as a `tokenizer.json` that produces the same ids without open_clip.

The file expects the output of `app.text.clean`, and truncates and pads. It reproduces three details of CLIP's tokenizer
that are easily missed: Unicode's letters and numbers are those of the `regex` package, which open_clip splits words
with, written out as ranges; a capital sigma at the end of a word becomes a final sigma, as in Python; and a typed
special token counts as one only where the word splitting finds it.
"""

import json
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

import regex  # type: ignore[import-untyped]
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from app.errors import ExportError

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


def make_tokenizer(original: Any) -> Tokenizer:
    """Build a `tokenizers` tokenizer equal to one of open_clip's.

    Raises ExportError for the few kinds that have no equivalent.
    """
    if hasattr(original, "bpe_ranks") and original.reduction_fn is None:
        return _clip(original)
    if hasattr(original, "tokenizer") and not original.tokenizer_mode:
        return _hugging_face(original)
    raise ExportError("this model's tokenizer drops or replaces tokens in a way that a tokenizer.json cannot say")


def _clip(original: Any) -> Tokenizer:
    """CLIP's own byte-pair encoding: open_clip's SimpleTokenizer."""
    specials = [original.decoder[number] for number in original.all_special_ids]
    merges = list(original.bpe_ranks)
    return clip_tokenizer(original.encoder, merges, original.context_length, specials, _cleaning(original))


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
    if original.strip_sep_token:
        tokenizer = _without_separator(tokenizer, inner.sep_token_id)
    tokenizer.enable_truncation(original.context_length)
    tokenizer.enable_padding(
        length=original.context_length,
        pad_id=inner.pad_token_id,
        pad_token=inner.pad_token,
        direction=inner.padding_side,
    )
    return tokenizer


def _without_separator(tokenizer: Tokenizer, separator: int) -> Tokenizer:
    """Replace the template's separator by 0, as open_clip does after tokenizing."""
    parts = json.loads(tokenizer.to_str())
    processor = parts.get("post_processor") or {}
    for step in processor.get("processors", [processor]):
        for token in step.get("special_tokens", {}).values():  # of a TemplateProcessing
            token["ids"] = [0 if number == separator else number for number in token["ids"]]
        if "sep" in step:  # BertProcessing and RobertaProcessing
            step["sep"] = [step["sep"][0], 0]
    return Tokenizer.from_str(json.dumps(parts))


def _cleaning(original: Any) -> list[normalizers.Normalizer]:
    """Return the normalisation of a tokenizer beyond `app.text.clean`."""
    from app.exporter.open_clip_import import import_open_clip  # imports torch, which published bundles do without

    lower = lower_case()
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
