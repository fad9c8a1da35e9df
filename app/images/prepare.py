"""The one way in for a picture: bytes or base64, limits, decoding, the model's input.

Service, commands, evaluation and thumbnails go through it, so that a picture has one embedding wherever it comes in,
and none goes round the bounds.
"""

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from app.images.barcodes import reduction_for_barcodes
from app.images.decode import Convert, Decoded, decode, reduction, unchanged
from app.images.header import Header, ImageLimits, as_bytes, read_header
from app.images.resize import LIBRARY, Resize, resizer

ENOUGH = 2  # times the model's input size that a large picture keeps at least
THUMBNAIL = 256  # pixels of a thumbnail's longer side, at most

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the upright picture
BoxesIn = Callable[[tuple[int, int]], Sequence[Box]]
Pixels = npt.NDArray[np.float32]
Picture = bytes | str | Header

_WIDEST = 20  # beyond this ratio of the sides the far ends, which the centre crop drops, are cut before resizing


@dataclass(frozen=True)
class ImageForm:
    """The form in which a model takes pictures; fields of a bundle's `config.json`."""

    size: int
    resize_mode: str  # "shortest", "longest" or "squash"
    interpolation: str  # "bicubic" or "bilinear"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def preprocessor(form: ImageForm, library: str = LIBRARY) -> Callable[..., npt.NDArray[np.float32]]:
    """A function from an RGB picture to a (3, size, size) float32 array, and from what converts its colours to sRGB.

    The numbers are those of open_clip's `image_transform` for inference, which is torchvision's Resize (Pillow's
    antialiased filters on 8-bit pixels), CenterCrop, ToTensor and Normalize; `tests/images/test_preprocess.py` holds
    the two together. They are equal where Pillow resizes; cykooz.resizer comes within two grey levels.

    Raises ValueError when the form is none that this file knows.
    """
    fits = {"shortest": center_crop, "longest": _pad, "squash": _squash}
    if form.resize_mode not in fits:
        raise ValueError(f"resize_mode {form.resize_mode!r} was found; known are {', '.join(fits)}")
    fit, resize = fits[form.resize_mode], resizer(form.interpolation, library)
    mean, std = (np.array(values)[:, None, None] for values in (form.mean, form.std))  # (3, 1, 1)
    scale, offset = (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)

    def preprocess(picture: Image.Image, convert: Convert = unchanged) -> npt.NDArray[np.float32]:
        square = convert(fit(picture, form.size, resize)).tobytes()  # np.asarray would copy it once more
        pixels = np.frombuffer(square, np.uint8).reshape(form.size, form.size, 3)
        values: npt.NDArray[np.float32] = np.multiply(pixels.transpose(2, 0, 1), scale, order="C")  # (3, size, size)
        values += offset
        return values

    return preprocess


def center_crop(picture: Image.Image, size: int, resize: Resize) -> Image.Image:
    """The shortest side to `size`, then the centre; a side is rounded down, an offset to the nearest."""
    picture = _without_far_ends(picture)
    width, height = picture.size
    short = min(width, height)
    new = (size, int(size * height / short)) if width <= height else (int(size * width / short), size)
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    return resize(picture, new).crop((left, top, left + size, top + size))


def _without_far_ends(picture: Image.Image) -> Image.Image:
    """A picture of 1 x 50,000,000 pixels must not become one of 224 x 11,200,000,000."""
    width, height = picture.size
    longest = _WIDEST * min(width, height)
    if max(width, height) <= longest:
        return picture
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return picture.crop((left, top, width - left, height - top))


def _pad(picture: Image.Image, size: int, resize: Resize) -> Image.Image:
    """The longest side to `size`, black beside it."""
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    canvas = Image.new("RGB", (size, size))
    canvas.paste(resize(picture, (width, height)), ((size - width) // 2, (size - height) // 2))
    return canvas


def _squash(picture: Image.Image, size: int, resize: Resize) -> Image.Image:
    """Both sides to `size`, whatever the aspect ratio."""
    return resize(picture, (size, size))


class Preparer:
    """Makes untrusted pictures, given as bytes or base64, into the input (3, S, S) of a model; for many threads.

    Every method raises InvalidImage, UnsupportedImage or ImageTooLarge. Giants are decoded one at a time.
    """

    def __init__(
        self,
        form: ImageForm,
        limits: ImageLimits,
        decode: Callable[..., Decoded] = decode,
        library: str = LIBRARY,  # that resizes
    ) -> None:
        self.limits = limits
        self.blank: Pixels = np.zeros((3, form.size, form.size), dtype=np.float32)
        """A grey picture to try an encoder with."""
        self._decode = decode
        self._preprocess = preprocessor(form, library)
        self._enough = max(ENOUGH * form.size, THUMBNAIL)
        self._giants = threading.Lock()

    def read_header(self, picture: Picture) -> Header:
        """Check a picture against the limits by its header; nothing is decoded."""
        if isinstance(picture, Header):
            return picture
        return read_header(as_bytes(picture), self.limits)

    def pixels(self, picture: Picture) -> Pixels:
        """The model's input of a picture."""
        return self._preprocess(*self._whole(self.read_header(picture)))

    def pixels_and_thumbnail(self, picture: Picture) -> tuple[Pixels, bytes]:
        """The model's input, and a JPEG of at most THUMBNAIL pixels a side, from one decode."""
        whole, convert = self._whole(self.read_header(picture))
        pixels = self._preprocess(whole, convert)
        whole.thumbnail((THUMBNAIL, THUMBNAIL))
        file = io.BytesIO()
        convert(whole).save(file, "JPEG", quality=80)
        return pixels, file.getvalue()

    def pixels_and_grey(self, picture: Picture) -> tuple[Pixels, Image.Image, tuple[int, int]]:
        """The model's input, the picture in grey with the pixels that barcodes need, and its upright width and height.

        All from one decode: a large JPEG is decoded less small than for the model alone, and then reduced to that.
        """
        header = self.read_header(picture)
        upright, further = (0, 0), 1

        def times_of(size: tuple[int, int]) -> int:
            nonlocal upright, further
            enough = reduction(header, min(size), self._enough)
            times = min(enough, reduction_for_barcodes(size))
            upright, further = size, enough // times
            return times

        with self._turn(header):
            whole, convert = self._decode(header, times_of)
        return self._preprocess(whole.reduce(further), convert), whole.convert("L"), upright

    def crops(self, picture: Picture, boxes_in: BoxesIn) -> tuple[Sequence[Box], list[Pixels]]:
        """Boxes that `boxes_in` names for the upright width and height, and the inputs of the whole and of each box.

        Raises what `boxes_in` raises, too.
        """
        header = self.read_header(picture)
        boxes: Sequence[Box] = []
        times = 1

        def times_of(size: tuple[int, int]) -> int:
            nonlocal boxes, times
            boxes = boxes_in(size)
            smallest = min(*size, *(min(right - left, bottom - top) for left, top, right, bottom in boxes))
            times = reduction(header, smallest, self._enough) if header.is_giant else 1
            return times

        with self._turn(header):
            whole, convert = self._decode(header, times_of)
        levels = _pyramid(whole, times) if header.is_giant else {1: whole}
        everything = 0, 0, whole.width * times, whole.height * times
        return boxes, [self._preprocess(_cut(levels, box, self._enough), convert) for box in (everything, *boxes)]

    def give_up_giant(self) -> None:
        """Let the next giant be decoded though the one before it has not come back."""
        self._giants = threading.Lock()

    def _whole(self, header: Header) -> Decoded:
        with self._turn(header):
            return self._decode(header, lambda size: reduction(header, min(size), self._enough))

    @contextmanager
    def _turn(self, header: Header) -> Iterator[None]:
        """Wait until no other giant is being decoded, if this is one: each may take hundreds of megabytes."""
        if header.is_giant:
            with self._giants:
                yield
        else:
            yield


def _pyramid(picture: Image.Image, times: int) -> dict[int, Image.Image]:
    """A picture that is `times` smaller than the original, and smaller ones of it, by how much smaller they are."""
    levels = {times: picture}
    while times < 8 and min(picture.size) > 1:
        times, picture = 2 * times, picture.reduce(2)
        levels[times] = picture
    return levels


def _cut(levels: dict[int, Image.Image], box: Box, enough: int) -> Image.Image:
    """A box of the original, cut from the smallest level that keeps `enough` pixels of it, or from the largest."""
    side = min(box[2] - box[0], box[3] - box[1])
    times = max((times for times in levels if side // times >= enough), default=min(levels))
    left, top, right, bottom = box
    if right - left >= levels[times].width * times and bottom - top >= levels[times].height * times:
        return levels[times]  # all of it: no copy
    return levels[times].crop((left // times, top // times, -(-right // times), -(-bottom // times)))
