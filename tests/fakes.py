"""A model that sees colours: a picture's vector is its mean colour, a text's the colour it names."""

import base64
import io
import threading
from collections.abc import Sequence

import numpy as np
import pillow_heif
from PIL import Image

from app.components import Model
from app.images.prepare import ImageForm
from app.model.bundle import BundleConfig, Calibration
from app.model.encoder import unit
from app.model.engines import Floats

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
FORM = ImageForm(size=8, resize_mode="shortest", interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class ColourEncoder:
    """A fake Encoder; counts the prompts it was asked for, fails or waits on request."""

    size = 4

    def __init__(self) -> None:
        self.prompts_seen: list[str] = []
        self.batches: list[int] = []
        self.calls = 0
        self.failure: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def pictures(self, pixels: Sequence[Floats]) -> Floats:
        self.calls += 1
        self.open.wait(240)
        self.batches.append(len(pixels))
        if self.failure:
            raise self.failure
        means = np.stack(pixels).mean(axis=(2, 3))  # (N, 3, S, S) -> (N, 3)
        return unit(np.concatenate([means, np.full((len(means), 1), 0.1)], axis=1).astype(np.float32))

    def texts(self, texts: Sequence[str]) -> Floats:
        return self.prompts(texts)

    def prompts(self, prompts: Sequence[str]) -> Floats:
        self.open.wait(240)
        self.prompts_seen += prompts
        vectors = [self._prompt(prompt) for prompt in prompts]
        return unit(np.array(vectors, dtype=np.float32).reshape(-1, 4))

    def _prompt(self, prompt: str) -> list[float]:
        for word in prompt.lower().replace(".", " ").split():
            if word in COLOURS:
                return [2 * value / 255 - 1 for value in COLOURS[word]] + [0.1]
        return [0.0, 0.0, 0.0, 1.0]  # no colour at all


def colour_config(known_margin: float | None) -> BundleConfig:
    """The config of a model that sees colours; without a margin it is not calibrated at all."""
    calibration = Calibration(temperature=2.0, known_margin=known_margin, label_cosine=0.5)
    return BundleConfig(
        format_version=1,
        name="colours",
        origin="computed",
        licence="Apache-2.0",
        image_size=FORM.size,
        resize_mode=FORM.resize_mode,
        interpolation=FORM.interpolation,
        mean=FORM.mean,
        std=FORM.std,
        context_length=12,
        embedding_size=4,
        logit_scale=20.0,
        calibration=None if known_margin is None else calibration,
        sha256={"visual.onnx": "seen"},
    )


def colour_model(encoder: ColourEncoder | None = None, known_margin: float | None = 0.1) -> Model:
    """A Model that sees colours."""
    return Model(
        config=colour_config(known_margin),
        encoder=encoder or ColourEncoder(),
        checksum="seen",
        count_tokens=lambda text: len(text.split()) + 2,
    )


def picture(colour: str = "red", size: tuple[int, int] = (32, 24)) -> Image.Image:
    """A picture of one colour."""
    return Image.new("RGB", size, COLOURS[colour])


def as_bytes(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The picture as a file's bytes."""
    file = io.BytesIO()
    if kind == "HEIC":
        pillow_heif.from_pillow(image).save(file, **options)
    else:
        image.save(file, kind, **options)
    return file.getvalue()


def as_base64(image: Image.Image, kind: str = "PNG") -> str:
    """The picture as clients send it."""
    return base64.b64encode(as_bytes(image, kind)).decode()
