"""The single entry point: one embedding for a picture, one decode for a request, one huge picture at a time."""

import base64
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from app.errors import InvalidImage, InvalidRequest
from app.images.decode import decode
from app.images.header import ImageLimits
from app.images.prepare import ImageForm, Preparer
from tests.fakes import as_bytes, picture

FORM = ImageForm(size=64, resize_mode="shortest", interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
GIANT = ImageLimits(giant=100_000)


def noise(width, height, mode="RGB"):
    """A picture whose regions are all different, but smooth enough to be compared when shrunk."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


class Counting:
    """Decodes, and counts how many do so at a time; waits inside until `together` are there or `wait_s` are over."""

    def __init__(self, together=2, wait_s=0.2):
        self.calls = self.inside = self.most = 0
        self._lock = threading.Lock()
        self._wait_s = wait_s
        self._company = threading.Barrier(together)

    def __call__(self, *arguments):
        with self._lock:
            self.calls += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        with suppress(threading.BrokenBarrierError):
            self._company.wait(self._wait_s)
        try:
            return decode(*arguments)
        finally:
            with self._lock:
                self.inside -= 1


@pytest.mark.parametrize("way", ["pixels", "pixels_and_thumbnail", "crops"])
def test_giants_are_decoded_one_at_a_time(way):
    """This holds for any number of threads and for every kind of output."""
    counting = Counting()
    preparer = Preparer(FORM, GIANT, decode=counting)
    data = as_bytes(picture(size=(400, 300)))
    arguments = [lambda _size: [(0, 0, 9, 9)]] if way == "crops" else []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: getattr(preparer, way)(data, *arguments), range(4)))
    assert (counting.calls, counting.most) == (4, 1)


def test_other_pictures_are_decoded_side_by_side():
    """Smaller pictures do not wait for each other."""
    counting = Counting(wait_s=60)
    preparer = Preparer(FORM, GIANT, decode=counting)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(preparer.pixels, [as_bytes(picture())] * 2))
    assert counting.most == 2


def test_the_next_giant_need_not_wait_for_one_that_was_given_up():
    """A decoder that does not come back holds the lock; it is left to it."""
    inside, leave = threading.Event(), threading.Event()

    def hanging(*arguments):
        inside.set()
        assert leave.wait(240)
        return decode(*arguments)

    data = as_bytes(picture(size=(400, 300)))
    preparer = Preparer(FORM, GIANT, decode=hanging)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(preparer.pixels, data)
        assert inside.wait(240)
        inside.clear()
        preparer.give_up_giant()
        second = pool.submit(preparer.pixels, data)
        assert inside.wait(240)
        leave.set()
        assert (first.result() == second.result()).all()


@pytest.mark.parametrize("form", [bytes, base64.b64encode, lambda data: base64.b64encode(data).decode()])
def test_bytes_and_base64_are_the_same(form):
    """A file and its base64 give the same input; base64 passed as bytes is not a picture."""
    data = as_bytes(noise(100, 80))
    preparer = Preparer(FORM, ImageLimits())
    if form is base64.b64encode:
        with pytest.raises(InvalidImage):
            preparer.pixels(form(data))
        return
    assert (preparer.pixels(form(data)) == preparer.pixels(preparer.read_header(data))).all()


@pytest.mark.parametrize("size", [(100, 80), (1600, 1200)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_thumbnail_and_the_input_come_from_one_decode(kind, size):
    """The input is the same as without a thumbnail, and the thumbnail shows the picture."""
    counting = Counting(together=1)
    data = as_bytes(noise(*size), kind)
    pixels, thumbnail = Preparer(FORM, ImageLimits(), decode=counting).pixels_and_thumbnail(data)
    assert counting.calls == 1
    assert (pixels == Preparer(FORM, ImageLimits()).pixels(data)).all()
    small = Image.open(io.BytesIO(thumbnail))
    assert max(small.size) == min(256, max(size))
    assert abs(np.asarray(small, int) - np.asarray(noise(*size).resize(small.size), int)).mean() < 6


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("limits", [ImageLimits(), GIANT], ids=["usual", "giant"])
def test_crops_are_what_cropping_the_whole_picture_gives(limits, kind, orientation):
    """Crops of the upright picture come from one decode; for a huge picture within a few grey levels."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    quickly = {"JPEG": {"quality": 95}, "PNG": {"compress_level": 1}}
    data = as_bytes(noise(1600, 1200), kind, exif=exif, **quickly[kind])
    counting = Counting(together=1)
    boxes = [(0, 0, 800, 600), (601, 403, 1033, 1199), (3, 5, 1199, 1190), (700, 900, 760, 960)]
    found, inputs = Preparer(FORM, limits, decode=counting).crops(data, lambda _size: boxes)
    turned = {1: 0, 3: 180, 6: 270, 8: 90}[orientation]
    upright = noise(1600, 1200).rotate(turned, expand=True)
    assert (counting.calls, found) == (1, boxes)
    slow = Preparer(FORM, ImageLimits())
    for pixels, box in zip(inputs, [(0, 0, *upright.size), *boxes], strict=True):
        expected = slow.pixels(as_bytes(upright.crop(box), "BMP"))
        assert 127.5 * abs(pixels - expected).mean() < 2


def test_boxes_are_chosen_by_the_upright_size():
    """An exception of the choice is passed on."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG", "WEBP"):
        sizes = []
        data = as_bytes(picture(size=(40, 30)), kind, exif=exif)
        Preparer(FORM, ImageLimits()).crops(data, lambda size, sizes=sizes: sizes.append(size) or [])
        assert sizes == [(30, 40)]

    def refuse(_size):
        raise InvalidRequest("no such box")

    with pytest.raises(InvalidRequest):
        Preparer(FORM, ImageLimits()).crops(data, refuse)


def test_a_giant_is_reduced_once_for_all_its_crops():
    """Sixty-four crops of nearly all of it come from pictures at most a few times as large as the model's input."""
    seen = []

    def watched(*arguments):
        decoded = decode(*arguments)
        seen.append(decoded.picture.size)
        return decoded

    data = as_bytes(Image.new("RGB", (4000, 3000)))
    boxes = [(n, n, 3900 + n, 2900 + n) for n in range(64)]
    Preparer(FORM, GIANT, decode=watched).crops(data, lambda _size: boxes)
    assert seen == [(500, 375)]
