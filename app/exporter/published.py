"""Export a CLIP ViT of the Hugging Face hub as a bundle, from its weights, without PyTorch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from app.errors import ExportError
from app.exporter.card import is_restricted, picture_form, write_card
from app.exporter.clip_graph import write_text, write_visual
from app.exporter.clip_vit import ClipViT, make_clip, read_clip_config
from app.exporter.gate import EngineFactory, Reference, Row, Say, check, onnxruntime, probe_pictures, require
from app.exporter.hub import PREFIX, Published, fetch
from app.exporter.probes import PROMPTS
from app.exporter.staging import check_place, write_whole
from app.exporter.tokenizer import END, START, clip_tokenizer
from app.model.bundle import PROBE_PROMPT, Bundle, Source, make_proof, open_bundle, probe_pixels, write_config

_FORM = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
"""open_clip's preprocessing if a configuration does not specify it."""


def export_published(name: str, place: Path, say: Say) -> Row:
    """Write the bundle of `hf:OWNER/NAME` at `place`, compared with the plain computation before it is kept.

    Raises ExportError if the files are not available, not those of a plain CLIP ViT, or if the bundle fails the gate.
    """
    check_place(place)
    say(f"fetching {name}")
    source = fetch(name, say)
    say(f"licence of the weights: {source.licence}")
    if is_restricted(source.licence):
        say(f"NOT FOR COMMERCIAL USE: the publisher of {source.repo} states {source.licence}")
    model = read_model(source)

    def write(folder: Path) -> Row:
        _write_files(source, model, folder, say)
        bundle = open_bundle(folder)
        say("comparing with the plain computation")
        [row] = check(bundle, ask_model(model, bundle), [onnxruntime], say)
        require(row, place.name)
        return row

    return write_whole(place, write)


def recheck_published(bundle: Bundle, engines: list[EngineFactory], say: Say) -> list[Row]:
    """Compare each engine with the published weights of a bundle; raises ExportError if they are not available."""
    source = bundle.config.source
    if source is None:
        raise ExportError(f"{bundle.config.name} is not of the hub")
    found = fetch(f"{source.model}@{source.pretrained}", say)
    if found.sha256 != source.sha256:
        raise ExportError(f"these are not the weights of {bundle.config.name}: sha256 {found.sha256} was found")
    return check(bundle, ask_model(read_model(found), bundle), engines, say)


def read_model(source: Published) -> ClipViT:
    """Build the model of published files; raises ExportError, one line, for all but a plain CLIP ViT."""
    config = read_clip_config(source.config["model_cfg"])
    try:
        tensors = load_file(source.weights)
    except Exception as error:  # the library's exception has no base but Exception
        raise ExportError(f"{source.weights.name} of {source.repo} is not a safetensors file: {error}") from error
    return make_clip(config, tensors)


def ask_model(model: ClipViT, bundle: Bundle) -> Reference:
    """Compute the plain model's outputs for the probes."""
    tokens = bundle.tokenize(PROMPTS)
    pixels = probe_pictures(bundle)
    pictures = np.concatenate([model.encode_pixels(picture[None]) for picture in pixels])  # one at a time: memory
    return Reference(pictures, model.encode_tokens(tokens), tokens)


def _write_files(source: Published, model: ClipViT, folder: Path, say: Say) -> None:
    config = _describe(source, model, folder.name)
    read_tokenizer(source.tokenizer, model.config.vocab_size, model.config.context_length).save(
        str(folder / "tokenizer.json"), pretty=False
    )
    say("writing the graphs")
    write_visual(model, folder / "visual.onnx")
    write_text(model, folder / "text.onnx")
    tokens = open_tokenizer(folder / "tokenizer.json", PROBE_PROMPT)
    config["proof"] = make_proof(
        model.encode_pixels(probe_pixels(model.config.image_size)), model.encode_tokens(tokens)
    )
    activation = "QuickGELU" if model.config.quick_gelu else "GELU"
    write_card(
        folder, config, architecture="CLIP ViT", activation=activation,
        original="a plain computation in numpy", bias=model.logit_bias,
    )  # fmt: skip
    write_config(folder, config)


def open_tokenizer(path: Path, text: str) -> np.ndarray:
    """Return a function that tokenizes one text to ids (1, L) with a tokenizer file."""
    return np.array([Tokenizer.from_file(str(path)).encode(text).ids], np.int64)


def _describe(source: Published, model: ClipViT, name: str) -> dict[str, Any]:
    """Return config.json without proof and checksums."""
    form = _FORM | {"size": model.config.image_size} | dict(source.config.get("preprocess_cfg") or {})
    bias = model.logit_bias
    return {
        "format_version": 1,
        "name": name,
        "origin": f"{source.repo} of the Hugging Face hub, commit {source.revision} (sha256 {source.sha256})",
        "licence": source.licence,
        **picture_form(form),
        "context_length": model.config.context_length,
        "embedding_size": model.config.embed_dim,
        "logit_scale": model.logit_scale,
        "calibration": None if not bias else {"label_cosine": -bias / model.logit_scale},
        "source": Source(model=f"{PREFIX}{source.repo}", pretrained=source.revision, sha256=source.sha256),
    }


def read_tokenizer(path: Path, vocab_size: int, context_length: int) -> Tokenizer:
    """Build CLIP's tokenizer with open_clip's ids from the vocabulary and merges of a `tokenizer.json` of the hub.

    Raises ExportError if the file has another kind of tokenizer.
    """
    try:
        model = json.loads(path.read_bytes())["model"]
        vocabulary, merges = dict(model["vocab"]), [_pair(merge) for merge in model["merges"]]
        numbered = sorted(vocabulary, key=vocabulary.__getitem__)
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path.name} has no byte-pair encoding, as a CLIP ViT needs: {error!r}") from error
    if model.get("end_of_word_suffix") != "</w>" or sorted(vocabulary.values()) != list(range(vocab_size)):
        raise ExportError(f"{path.name} is not CLIP's tokenizer: {len(vocabulary):,} tokens, {vocab_size:,} are wanted")
    for number, special in ((-2, START), (-1, END)):  # the hub writes them <|startoftext|> and <|endoftext|>
        vocabulary[special] = vocabulary.pop(numbered[number])
    return clip_tokenizer(vocabulary, merges, context_length)


def _pair(merge: str | list[str]) -> tuple[str, str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right
