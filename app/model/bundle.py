"""A model bundle on disk: config, tokenizer, two graphs, checksums.

A bundle is a folder with `config.json`, `visual.onnx`, `text.onnx`, `tokenizer.json`, `MODEL_CARD.md` and, where they
were fitted, `likeness.npz` and `background.npz`. The graphs map `pixels` float32 (N, 3, S, S) and `tokens` int64 (N, L)
to `embedding` float32 (N, D), not yet of unit length.
"""

import hashlib
import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError
from tokenizers import Tokenizer

from app.atomic import atomic_write
from app.errors import BundleError
from app.images.prepare import ImageForm
from app.text import clean

FORMAT_VERSION = 1
GRAPHS = ("visual.onnx", "text.onnx", "tokenizer.json")  # the files that determine the embeddings
FILES = (*GRAPHS, "MODEL_CARD.md")
LIKENESS = (
    "likeness.npz"  # how its pictures are compared with examples, where that was fitted: `app.recognition.few_shot`
)
_EXTERNAL = b"\x0a\x08location\x12"  # protobuf: the key of a tensor's external_data, then the tag of a file's name
BACKGROUND = "background.npz"  # embeddings of things that pictures may show instead of the labels
LABELS = "labels.txt"  # the label file of a model that was trained on labels of its own
PROBE_PROMPT = "a photo of a green apple."


class Calibration(BaseModel):
    """Values fitted on data; the bundle's MODEL_CARD.md has the data and the figures."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    temperature: PositiveFloat | None = None
    """Divides the logits: softmax(logit_scale / temperature x cosine) is a calibrated probability. None where no
    pictures were there to fit it on."""
    known_margin: float | None = None
    """A picture shows one of the labels when the best label's cosine exceeds the best background's by more;
    None where no other pictures were there to fit it on."""
    label_cosine: float | None = None
    """The cosine at which a label is as likely shown as not: fitted on pictures, or -bias / scale of a model that was
    trained with the sigmoid loss, for sigmoid(scale x cosine + bias) is one half there. None where neither is known."""


class Proof(BaseModel):
    """The original model's outputs for the probes below: unit embeddings (D,)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    picture: tuple[float, ...]
    prompt: tuple[float, ...]


class Source(BaseModel):
    """The source that open_clip builds the original from, for `models check`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str
    pretrained: str
    """A tag of open_clip's, "none" for random weights, or the name of a checkpoint file."""
    seed: int | None = None
    """Seed of random weights."""
    sha256: str | None = None
    """SHA-256 of the weights' source file."""


class BundleConfig(BaseModel):
    """`config.json` of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format_version: Literal[1]
    name: str
    origin: str
    licence: str
    scope: str | None = None
    """What the model knows and what not, in a sentence for people; None if not written."""
    image_size: PositiveInt
    resize_mode: Literal["shortest", "longest", "squash"]
    interpolation: Literal["bicubic", "bilinear"]
    mean: tuple[float, float, float]
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    context_length: PositiveInt
    embedding_size: PositiveInt
    logit_scale: PositiveFloat
    """The factor on cosine similarities before the softmax, not its logarithm."""
    calibration: Calibration | None = None
    source: Source | None = None
    proof: Proof | None = None
    sha256: dict[str, str] = Field(min_length=1)

    @property
    def image_form(self) -> ImageForm:
        """Return the input format of the picture tower."""
        return ImageForm(self.image_size, self.resize_mode, self.interpolation, self.mean, self.std)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files match its config."""

    folder: Path
    config: BundleConfig
    tokenizer: Tokenizer

    @property
    def checksum(self) -> str:
        """Identifies the embedding space: two bundles with the same checksum give the same embeddings."""
        config = self.config
        beside = sorted(config.sha256.keys() - {*FILES, LIKENESS, BACKGROUND, LABELS})  # weights too large for one file
        form = [config.sha256[name] for name in (*GRAPHS, *beside)] + [repr(config.image_form)]
        return hashlib.sha256("\n".join(form).encode()).hexdigest()

    @property
    def likeness(self) -> Path | None:
        """Return the file of the alignment for few-shot labels, if there is one."""
        return self.folder / LIKENESS if LIKENESS in self.config.sha256 else None

    @property
    def background(self) -> Path | None:
        """Return the file of background embeddings, if there is one."""
        return self.folder / BACKGROUND if BACKGROUND in self.config.sha256 else None

    @property
    def labels(self) -> Path | None:
        """Return the label file of a model that knows only these labels, if there is one."""
        return self.folder / LABELS if LABELS in self.config.sha256 else None

    def tokenize(self, texts: list[str]) -> npt.NDArray[np.int64]:
        """Tokenize texts to ids (N, L), truncated and padded to the context length by the tokenizer file."""
        return tokenize(self.tokenizer, texts)

    def count_tokens(self, text: str) -> int:
        """Count the tokens of a text, including start and end; more than the context length if `tokenize` truncates."""
        encoding = self.tokenizer.encode(clean(text))
        return sum(sum(part.attention_mask) for part in (encoding, *encoding.overflowing))


def tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Clean and tokenize texts to ids (N, L), with a tokenizer that truncates and pads."""
    encodings = tokenizer.encode_batch([clean(text) for text in texts])
    return np.array([encoding.ids for encoding in encodings], dtype=np.int64)


def probe_pixels(size: int) -> npt.NDArray[np.float32]:
    """Draw the preprocessed picture of a Proof: (1, 3, size, size), coarse patches under fine ones."""
    rng = np.random.default_rng(0)
    picture = np.zeros((3, size, size))
    for cells in (2, 8, 32):
        rows = np.arange(size) * cells // size
        picture += rng.normal(size=(3, cells, cells))[:, rows][:, :, rows] / 2
    return picture[None].astype(np.float32)


def make_proof(picture: npt.NDArray[np.float32], prompt: npt.NDArray[np.float32]) -> Proof:
    """Create a Proof from the original's embeddings (1, D) of `probe_pixels` and PROBE_PROMPT."""
    picture, prompt = (vector[0] / np.linalg.norm(vector[0]) for vector in (picture, prompt))
    return Proof(picture=tuple(np.round(picture, 6).tolist()), prompt=tuple(np.round(prompt, 6).tolist()))


def find_bundle(model: str, models: Path = Path("models")) -> Path:
    """Return the folder of a bundle named `model`: a path, or a folder under `models`.

    Raises BundleError that lists the available bundles.
    """
    for folder in (models / model, Path(model)):
        if (folder / "config.json").is_file():
            return folder
    found = ", ".join(sorted(path.parent.name for path in models.glob("*/config.json"))) or "none"
    raise BundleError(
        f"no model bundle {model!r}: it is no folder with a config.json, and under {models}/ there are: {found}"
    )


def open_bundle(folder: Path) -> Bundle:
    """Open the bundle in `folder` and verify every file by its checksum.

    Raises BundleError, one line, if a file is missing, changed, truncated or of another version.
    """
    config = read_config(folder)
    for name in dict.fromkeys((*FILES, *config.sha256)):
        _check(folder / name, config.sha256.get(name, "no checksum"))
    for path in (folder / "visual.onnx", folder / "text.onnx"):
        for name in sorted(external_files(path) - config.sha256.keys()):
            raise BundleError(f"{path} has weights in {name!r}, which has no checksum in config.json")
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise BundleError(f"{folder}/tokenizer.json cannot be read: {error}") from error
    return Bundle(folder, config, tokenizer)


def external_files(graph: Path) -> set[str]:
    """Return the names of the external weight files of an ONNX graph, without parsing it completely."""
    names = set()
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_EXTERNAL)
        while at >= 0:
            start = at + len(_EXTERNAL) + 1
            size = data[start - 1]
            if size >= 0x80:  # a varint of two bytes
                size, start = size - 0x80 + (data[start] << 7), start + 1
            names.add(data[start : start + size].decode(errors="replace"))
            at = data.find(_EXTERNAL, start)
    return names


def read_config(folder: Path) -> BundleConfig:
    """Read `config.json`, checking its version first, so that a later format is reported as such.

    Raises BundleError, one line; the other files are not read.
    """
    path = folder / "config.json"
    try:
        values = json.loads(path.read_bytes())
        version = values.get("format_version") if isinstance(values, dict) else None
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    if version != FORMAT_VERSION:
        raise BundleError(f"{path} has format_version {version!r}; this Larder reads {FORMAT_VERSION}")
    try:
        return BundleConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        found = "" if first["input"] == values else f", {first['input']!r} was found"
        raise BundleError(f"{path}: {field}: {first['msg']}{found}") from error


def write_config(folder: Path, values: Mapping[str, Any], changed: Iterable[str] | None = None) -> None:
    """Write `config.json` with these values; call it last, because it has the checksums of the other files.

    With `changed`, only the checksums of these files are computed; the others are taken from `values`.
    """
    files = [path.name for path in sorted(folder.iterdir()) if path.name != "config.json"]
    sums = dict(values.get("sha256", {})) if changed is not None else {}
    sums |= {name: sha256_of(folder / name) for name in (files if changed is None else changed)}
    config = BundleConfig.model_validate({**values, "sha256": sums})
    text = json.dumps(config.model_dump(mode="json", exclude_unset=True), indent=2, ensure_ascii=False)
    with atomic_write(folder / "config.json") as part:
        part.write_text(text + "\n", encoding="utf-8")


def update_config(folder: Path, changed: Iterable[str] = (), **fields: Any) -> None:
    """Change fields of `config.json` and the checksums of `changed` files; the bundle opens afterwards as before."""
    write_config(folder, read_config(folder).model_dump(exclude_unset=True) | fields, changed)
    open_bundle(folder)


def sha256_of(path: Path) -> str:
    """Return a file's checksum; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, expected: str) -> None:
    """Check that the file exists and has the checksum of the config."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    if found != expected:
        raise BundleError(
            f"{path} is not the file of this bundle: sha256 {found[:12]}… was found, {expected[:12]}… is in config.json"
        )
