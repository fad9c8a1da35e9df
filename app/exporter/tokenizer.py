"""Convert open_clip's tokenizers to a `tokenizer.json` that produces the same ids without open_clip.

The file expects the output of `app.text.clean`, and truncates and pads.
"""

import json
import re
import string
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers

from app.errors import ExportError
from app.exporter.clip_tokenizer import clip_tokenizer, lower_case
from app.exporter.open_clip_import import import_open_clip


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
