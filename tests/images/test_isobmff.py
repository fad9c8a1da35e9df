"""HEIC and AVIF: decoded as viewers show them, and bounded by the sizes in their streams."""

import io
import re
import tracemalloc

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from app.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.images.codec_headers import av1_stream, hevc_stream
from app.images.decode import open_picture
from app.images.header import ImageLimits, format_of, read_header
from app.images.isobmff import still_picture
from tests.fakes import as_bytes
from tests.images.heif import Coded, box, coded, heif

LIMITS = ImageLimits()
KINDS = ["HEIC", "AVIF"]
TOLERANCE = 6  # grey levels that the conversion to YCbCr and back, and quality 100, may cost


def quadrants(size: tuple[int, int] = (128, 96)) -> Image.Image:
    """Red, green, blue and white, so that no two orientations look alike."""
    pixels = np.full((size[1], size[0], 3), 255, np.uint8)
    half = size[1] // 2, size[0] // 2
    pixels[: half[0], : half[1]], pixels[: half[0], half[1] :] = (200, 30, 30), (30, 200, 30)
    pixels[half[0] :, : half[1]] = (30, 30, 200)
    return Image.fromarray(pixels)


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    return as_bytes(
        image, kind, quality=100, **({"chroma": 444} if kind == "HEIC" else {"subsampling": "4:4:4"}), **options
    )


def close(found: Image.Image, expected: Image.Image, tolerance: int = TOLERANCE) -> bool:
    """Return whether two pictures are equal except at their edges, where codecs ring."""
    difference = np.abs(np.asarray(found, np.int16) - np.asarray(expected.convert("RGB"), np.int16)).max(axis=2)
    return found.size == expected.size and float(np.quantile(difference, 0.95)) <= tolerance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(128, 96), (1, 1), (333, 77)])
def test_colours_are_those_of_the_picture(kind, size):
    """At any size, with the decoder's padding cropped."""
    image = quadrants(size)
    assert close(open_picture(written(image, kind), LIMITS), image)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(kind, orientation):
    """The boxes irot and imir turn the picture, and EXIF data, which says the same, does not turn it again."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = open_picture(as_bytes(quadrants(), "PNG", exif=exif.tobytes()), LIMITS)
    assert close(open_picture(written(quadrants(), kind, exif=exif.tobytes()), LIMITS), upright)


@pytest.mark.parametrize("kind", KINDS)
def test_transparency_is_flattened_on_white(kind):
    """Transparency is flattened as in every other format."""
    image = quadrants().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    image.paste((10, 20, 30, 255), (0, 0, 64, 96))
    expected = Image.new("RGB", image.size, "white")
    expected.paste((10, 20, 30), (0, 0, 64, 96))
    data = written(image, kind)
    assert close(open_picture(data, LIMITS), expected)
    assert still_picture(data).pixels >= 2 * 128 * 96


def test_ten_bits_are_shown_as_eight():
    """Phones and cameras write 10 bits a channel."""
    expected = quadrants()
    deep = np.asarray(expected, np.uint16) * 257
    file = io.BytesIO()
    ten = pillow_heif.from_bytes("RGB;16", expected.size, deep.astype("<u2").tobytes())
    ten.save(file, quality=100, chroma=444)
    assert close(open_picture(file.getvalue(), LIMITS), expected)


def test_of_several_pictures_the_primary_one_counts():
    """Its position in the file does not matter; its size is the one that is checked."""
    file = io.BytesIO()
    several = pillow_heif.from_pillow(Image.new("RGB", (64, 64), "black"))
    several.add_from_pillow(quadrants())
    several.save(file, quality=100, chroma=444, primary_index=1)
    assert close(open_picture(file.getvalue(), LIMITS), quadrants())
    one = coded(as_bytes(Image.new("RGB", (64, 64), "black"), "HEIC"), (64, 64))
    two = coded(written(quadrants(), "HEIC"), (128, 96))
    assert close(open_picture(heif([one, two], primary=2), LIMITS), quadrants())


@pytest.mark.parametrize("kind", KINDS)
def test_a_grid_is_one_picture(kind):
    """Its tiles are joined, the last ones cropped, and rotated as its box says."""
    image = quadrants((120, 100))
    canvas = Image.new("RGB", (128, 128), "white")
    canvas.paste(image)
    boxes = [(left, top, left + 64, top + 64) for top in (0, 64) for left in (0, 64)]
    tiles = [coded(written(canvas.crop(each), kind), (64, 64)) for each in boxes]
    data = heif(tiles, grid=(2, 2, 120, 100), tiles=[1, 2, 3, 4], rotation=1)
    assert close(open_picture(data, LIMITS), image.transpose(Image.Transpose.ROTATE_90))
    assert still_picture(data).pixels == 128 * 128


def test_formats_are_told_by_all_brands():
    """`mif1` alone says neither; a file called .jpg is what its bytes are."""
    avif = as_bytes(quadrants(), "AVIF").replace(b"ftypavif", b"ftypmif1", 1)
    assert format_of(avif, LIMITS) == "AVIF"
    assert close(open_picture(avif, LIMITS), quadrants(), 30)
    assert format_of(as_bytes(quadrants(), "HEIC").replace(b"ftypheic", b"ftypmif1", 1), LIMITS) == "HEIC"


def sps(width: int, height: int) -> bytes:
    """An HEVC sequence parameter set of this size, up to the last field that is read."""

    def exp_golomb(value: int) -> str:
        return "0" * ((value + 1).bit_length() - 1) + f"{value + 1:b}"

    bits = "0" * 4 + "000" + "1" + "0" * 96 + exp_golomb(0) + exp_golomb(1) + exp_golomb(width) + exp_golomb(height)
    bits += "1" * (-len(bits) % 8)
    raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return b"\x42\x01" + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", raw)  # emulation prevention


def unit(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("size", [(16, 16), (4096, 2304), (65535, 65535), (7, 30000)])
def test_sizes_of_streams_are_read_bit_by_bit(size):
    """This includes HEVC's emulation prevention and AV1's reduced header."""
    assert hevc_stream(b"", unit(sps(*size)), 9)[:2] == size
    width, height = size
    bits = "000" + "11" + "00000" + "1111" * 2 + f"{width - 1:016b}{height - 1:016b}"
    bits += "0" * (-len(bits) % 8)
    header = int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert av1_stream(b"\x0a" + bytes([len(header)]) + header, 9)[:2] == size


def tile(kind: str, size: tuple[int, int] = (64, 64)) -> Coded:
    return coded(as_bytes(Image.new("RGB", size, "red"), kind), size)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_larger_than_its_item_says_is_refused(kind):
    """Decoders allocate by the stream's size, not by the size that the file declares."""
    small = tile(kind)._replace(size=(8, 8))
    assert read_header(heif([small]), LIMITS).cost >= 64 * 64
    data = heif([_giant(kind)])
    with pytest.raises(ImageTooLarge, match=f"would be decoded; at most 25,000,000 are accepted of a {kind}"):
        read_header(data, LIMITS)


def _giant(kind: str) -> Coded:
    """A tile that declares 64 x 64 while its stream contains a larger size."""
    picture = tile(kind)
    if kind == "HEIC":
        return picture._replace(stream=picture.stream + unit(sps(16000, 16000)))
    bits = "000" + "11" + "00000" + "1111" * 2 + f"{15999:016b}" * 2 + "0000"
    header = int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")
    return picture._replace(stream=b"\x0a" + bytes([len(header)]) + header + picture.stream)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        {"grid": (256, 256, 16384, 16384), "tiles": [1] * 65535},
        {"grid": (32, 32, 2048, 2048), "tiles": [1] * 1001},
        {"grid": (1, 1, 64, 64), "tiles": []},
        {"grid": (1, 1, 64, 64), "tiles": [2]},
        {"grid": (1, 1, 64, 64), "tiles": [7]},
        {"extents": 33},
        {"extents": 32},
        {"primary": 9},
    ],
    ids=str,
)
def test_what_a_file_may_ask_for_is_bounded(kind, change):
    """Excessive tiles and extents, and circular or dangling references, are rejected without the decoder."""
    picture = tile(kind)._replace(stream=tile(kind).stream + bytes(100_000))
    data = heif([picture], **change)
    tracemalloc.start()
    with pytest.raises((ImageTooLarge, InvalidImage, UnsupportedImage)):
        read_header(data, LIMITS)
    assert tracemalloc.get_traced_memory()[1] < 20 * len(data)
    tracemalloc.stop()


def test_the_pixels_of_all_tiles_count():
    """A thousand tiles of one stream are a thousand times its work, and as large as that."""
    picture = tile("HEIC", (128, 128))
    header = read_header(heif([picture] * 900, grid=(30, 30, 3840, 3840), tiles=range(1, 901)), LIMITS)
    assert header.cost > 3 * 3840 * 3840
    with pytest.raises(ImageTooLarge):
        read_header(heif([tile("HEIC", (256, 256))] * 900, grid=(30, 30, 64, 64), tiles=range(1, 901)), LIMITS)


def test_pieces_of_one_picture_are_counted():
    """Each slice and each frame may cover the whole picture: many of them are refused, some cost more."""
    picture = tile("HEIC")
    repeated = picture.stream * 30
    assert (
        read_header(heif([picture._replace(stream=repeated)]), LIMITS).cost > read_header(heif([picture]), LIMITS).cost
    )
    for kind, copies in (("HEIC", 100), ("AVIF", 100)):
        picture = tile(kind)
        with pytest.raises(ImageTooLarge, match="more than 64 pieces"):
            read_header(heif([picture._replace(stream=picture.stream * copies)]), LIMITS)
    with pytest.raises(ImageTooLarge, match="more than 64 pieces"):
        read_header(heif([tile("HEIC")._replace(stream=unit(b"\x7f\0") * 100_000)]), LIMITS)


@pytest.mark.parametrize("brand", [b"heic", b"avif", b"mif1", b"msf1", b"hevc"])
@pytest.mark.parametrize("boxes", [b"", box(b"meta", version=0), box(b"moov"), box(b"free") * 100_000, b"\0\0\0\1meta"])
def test_files_without_a_picture_are_refused(brand, boxes):
    """Sequences, empty boxes, a hundred thousand boxes and invalid sizes are rejected."""
    with pytest.raises((UnsupportedImage, ImageTooLarge, InvalidImage)):
        read_header(box(b"ftyp", brand, bytes(4)) + boxes, LIMITS)


@pytest.mark.parametrize("kind", KINDS)
def test_broken_files_raise_errors_of_ours(kind):
    """Truncated files and flipped bits are read or rejected; nothing else is raised."""
    data, rng = as_bytes(quadrants(), kind), np.random.default_rng(0)
    cut = [data[:end] for end in range(0, len(data), max(1, len(data) // 60))]
    for _ in range(200):
        broken = bytearray(data)
        for place in rng.integers(0, min(len(data), 700), 4):
            broken[place] ^= 1 << int(rng.integers(8))
        cut.append(bytes(broken))
    for each in cut:
        try:
            open_picture(each, LIMITS)
        except (InvalidImage, UnsupportedImage, ImageTooLarge):
            continue


def hvcc(units: int) -> bytes:
    """A HEVC configuration that has this many parameter sets, 64 to an array."""
    array = b"\x21" + (64).to_bytes(2, "big") + (len(sps(8, 8)).to_bytes(2, "big") + sps(8, 8)) * 64
    return box(b"hvcC", bytes(21) + b"\3" + bytes([units // 64]) + array * (units // 64))


@pytest.mark.parametrize(
    "change",
    [
        {"config": hvcc(128)},
        {"stream": unit(sps(8, 8)) * 17},
        {"stream": unit(b"\x4e\1") * 300},
        {"config": box(b"hvcC", bytes(20_000))},
    ],
    ids=["sets of the configuration", "sets of the stream", "units of no picture", "a long configuration"],
)
def test_what_is_read_of_each_tile_is_bounded(change):
    """A configuration may be shared by a thousand tiles, and encoders write one parameter set."""
    with pytest.raises(ImageTooLarge, match="most that are accepted"):
        still_picture(heif([tile("HEIC")._replace(**change)] * 2, grid=(1, 2, 128, 64), tiles=[1, 2]))


def test_sequence_headers_of_av1_are_bounded():
    """The bound covers a stream and its configuration together."""
    header = b"\x0a\x0b" + bytes.fromhex("000000024cfcb7fcbf9a01")
    assert av1_stream(header * 16, 64).repeats == 0
    assert av1_stream(header * 17, 64).repeats == 65


def test_references_and_properties_are_bounded():
    """A property of a megabyte may be named a million times."""
    many = box(b"iref", *[box(b"cdsc", b"\0\1\x08\0" + b"\0\2" * 2048)] * 3, version=0)
    with pytest.raises(ImageTooLarge, match="more than 4,096 references"):
        still_picture(box(b"meta", many, version=0))
    named = box(b"ipma", (1).to_bytes(4, "big"), b"\0\1", bytes([65]), bytes([1]) * 65, version=0)
    with pytest.raises(ImageTooLarge, match="more than 64 properties"):
        still_picture(box(b"meta", box(b"iprp", box(b"ipco", box(b"free")), named), version=0))
