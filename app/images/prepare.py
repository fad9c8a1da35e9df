"""Prepare untrusted pictures: from bytes or base64, within limits, to the model's input.

The service, commands, evaluation and thumbnails all use it, so that a picture has one embedding wherever it is used,
and no code path avoids the limits.
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

ENOUGH = 2  # multiple of the model's input size that decoding a large picture keeps at least
THUMBNAIL = 256  # pixels of a thumbnail's longer side at most

HASH_SIDE = 16  # rows of a perceptual hash, and comparisons in each

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the upright picture
BoxesIn = Callable[[tuple[int, int]], Sequence[Box]]
Pixels = npt.NDArray[np.float32]
Picture = bytes | str | Header

_WIDEST = 20  # aspect ratio beyond which the ends, which the centre crop drops, are cut before resizing


@dataclass(frozen=True)
class ImageForm:
    """The input format of a model; fields of a bundle's `config.json`."""

    size: int
    resize_mode: str  # "shortest", "longest" or "squash"
    interpolation: str  # "bicubic" or "bilinear"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def preprocessor(form: ImageForm, library: str = LIBRARY) -> Callable[..., npt.NDArray[np.float32]]:
    """Return a function from an RGB picture and its colour conversion to a (3, size, size) float32 array.

    It reproduces open_clip's `image_transform` for inference: torchvision's Resize (Pillow's antialiased filters on
    8-bit pixels), CenterCrop, ToTensor and Normalize. `tests/images/test_preprocess.py` compares the two. They are
    equal where Pillow resizes; cykooz.resizer is within two grey levels.

    Raises ValueError for an unknown form.
    """
    fits = {"shortest": center_crop, "longest": _pad, "squash": _squash}
    if form.resize_mode not in fits:
        raise ValueError(f"resize_mode {form.resize_mode!r} was found; known are {', '.join(fits)}")
    fit, resize = fits[form.resize_mode], resizer(form.interpolation, library)
    mean, std = (np.array(values)[:, None, None] for values in (form.mean, form.std))  # (3, 1, 1)
    scale, offset = (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)

    def preprocess(picture: Image.Image, convert: Convert = unchanged) -> npt.NDArray[np.float32]:
        square = convert(fit(picture, form.size, resize)).tobytes("raw", "RGBX")  # as Pillow holds it
        pixels = np.frombuffer(square, np.uint8).reshape(form.size, form.size, 4)[:, :, :3]  # (size, size, RGB)
        values: npt.NDArray[np.float32] = np.multiply(pixels.transpose(2, 0, 1), scale, order="C")  # (3, size, size)
        values += offset
        return values

    return preprocess


def center_crop(picture: Image.Image, size: int, resize: Resize) -> Image.Image:
    """Resize the shorter side to `size`, then crop the centre; a side is rounded down, an offset to the nearest."""
    picture = _without_far_ends(picture)
    width, height = picture.size
    short = min(width, height)
    new = (size, int(size * height / short)) if width <= height else (int(size * width / short), size)
    left, top = round((new[0] - size) / 2), round((new[1] - size) / 2)
    return resize(picture, new).crop((left, top, left + size, top + size))


def _without_far_ends(picture: Image.Image) -> Image.Image:
    """Crop extreme aspect ratios first: 1 x 50,000,000 pixels must not become 224 x 11,200,000,000."""
    width, height = picture.size
    longest = _WIDEST * min(width, height)
    if max(width, height) <= longest:
        return picture
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return picture.crop((left, top, width - left, height - top))


def _pad(picture: Image.Image, size: int, resize: Resize) -> Image.Image:
    """Resize the longer side to `size` and pad with black."""
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    canvas = Image.new("RGB", (size, size))
    canvas.paste(resize(picture, (width, height)), ((size - width) // 2, (size - height) // 2))
    return canvas


def _squash(picture: Image.Image, size: int, resize: Resize) -> Image.Image:
    """Resize both sides to `size`, ignoring the aspect ratio."""
    return resize(picture, (size, size))


class Preparer:
    """Converts untrusted pictures, bytes or base64, to a model's input (3, S, S); thread-safe.

    Every method raises InvalidImage, UnsupportedImage or ImageTooLarge. Giants are decoded one at a time.
    """

    def __init__(
        self,
        form: ImageForm,
        limits: ImageLimits,
        decode: Callable[..., Decoded] = decode,
        library: str = LIBRARY,  # the library that resizes
    ) -> None:
        self.limits = limits
        self.blank: Pixels = np.zeros((3, form.size, form.size), dtype=np.float32)
        """A grey picture to test an encoder with."""
        self._decode = decode
        self._preprocess = preprocessor(form, library)
        self._enough = max(ENOUGH * form.size, THUMBNAIL)
        self._giants = threading.Lock()

    def read_header(self, picture: Picture) -> Header:
        """Check a picture against the limits by its header, without decoding."""
        if isinstance(picture, Header):
            return picture
        return read_header(as_bytes(picture), self.limits)

    def pixels(self, picture: Picture) -> Pixels:
        """Return the model's input for a picture."""
        return self._preprocess(*self._whole(self.read_header(picture)))

    def pixels_and_thumbnail(self, picture: Picture) -> tuple[Pixels, bytes]:
        """Return the model's input and a JPEG of at most THUMBNAIL pixels a side, from one decode."""
        whole, convert = self._whole(self.read_header(picture))
        pixels = self._preprocess(whole, convert)
        whole.thumbnail((THUMBNAIL, THUMBNAIL))
        file = io.BytesIO()
        convert(whole).save(file, "JPEG", quality=80)
        return pixels, file.getvalue()

    def pixels_and_grey(self, picture: Picture) -> tuple[Pixels, Image.Image, tuple[int, int]]:
        """Return the model's input, a grey picture large enough for barcodes, and the upright width and height.

        All from one decode: a large JPEG is decoded with less reduction than for the model alone, and then reduced to
        that.
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
        """Return the boxes from `boxes_in`, given upright width and height, and the inputs of the whole and of each.

        Also raises what `boxes_in` raises.
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
        """Let the next giant be decoded although the previous one has not returned."""
        self._giants = threading.Lock()

    def _whole(self, header: Header) -> Decoded:
        with self._turn(header):
            return self._decode(header, lambda size: reduction(header, min(size), self._enough))

    @contextmanager
    def _turn(self, header: Header) -> Iterator[None]:
        """For a giant, wait until no other is being decoded: each may take hundreds of megabytes."""
        if header.is_giant:
            with self._giants:
                yield
        else:
            yield


def _pyramid(picture: Image.Image, times: int) -> dict[int, Image.Image]:
    """Return a picture reduced by `times` and further reductions of it, by their factors."""
    levels = {times: picture}
    while times < 8 and min(picture.size) > 1:
        times, picture = 2 * times, picture.reduce(2)
        levels[times] = picture
    return levels


def _cut(levels: dict[int, Image.Image], box: Box, enough: int) -> Image.Image:
    """Crop a box of the original from the smallest level that keeps `enough` pixels of it, or from the largest."""
    side = min(box[2] - box[0], box[3] - box[1])
    times = max((times for times in levels if side // times >= enough), default=min(levels))
    left, top, right, bottom = box
    if right - left >= levels[times].width * times and bottom - top >= levels[times].height * times:
        return levels[times]  # the whole picture: no copy
    return levels[times].crop((left // times, top // times, -(-right // times), -(-bottom // times)))


def fingerprint(pixels: npt.NDArray[np.float32]) -> str:
    """Return the perceptual hash (dHash) of a model's input (3, S, S) as 64 hex digits, "" if S is less than 17.

    Each of its 256 bits tells whether one of 16 x 17 cells is brighter than the last. A copy, saved again or resized,
    shares nearly all bits; two photographs of one thing do not.

    >>> ramp = np.tile(np.arange(34, dtype=np.float32), (3, 34, 1))
    >>> set(fingerprint(ramp)), set(fingerprint(-ramp))
    ({'f'}, {'0'})
    """
    if pixels.shape[1] <= HASH_SIDE:
        return ""
    grey = pixels.mean(axis=0)
    cells = _means(_means(grey, HASH_SIDE).T, HASH_SIDE + 1)  # (17, 16): columns, then rows
    return np.packbits((cells[1:] > cells[:-1]).T).tobytes().hex()


def _means(grey: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """Average rows (S, W) to (count, W)."""
    starts = np.linspace(0, len(grey), count, endpoint=False).astype(int)
    sizes = np.diff(starts, append=len(grey)).astype(np.float32)
    return np.asarray(np.add.reduceat(grey, starts, axis=0) / sizes[:, None], dtype=np.float32)
