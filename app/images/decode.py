"""Untrusted base64 or bytes to a fully decoded, upright RGB picture within limits."""

import base64
import binascii
import io
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from app.errors import ImageTooLarge, InvalidImage, UnsupportedImage

_DATA_PREFIX = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/", "\r\n")  # line breaks are part of MIME's base64; spaces are a lost "+"

_GIANT = 16_000_000  # pixels
_STRIP = 256  # rows

# EXIF 2.32, tag 0x0112: what has to be done to show the picture upright
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Formats that people do send, told apart from "not a picture" by their first bytes
_OTHER_FORMATS = {
    "TIFF": rb"II\*\0|MM\0\*",
    "HEIC": rb"....ftyp(?:hei|hev|mif|msf)",
    "AVIF": rb"....ftypavi",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM.{4}\0\0\0\0",
    "PSD": rb"8BPS",
    "ICO": rb"\x00\x00\x01\x00",
    "PDF": rb"%PDF-",
    "SVG": rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<svg",
}


@dataclass(frozen=True)
class ImageLimits:
    """What a picture may be at most: bytes of the file, pixels of the picture, names of Pillow's formats."""

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 50_000_000
    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "GIF", "BMP")


def decode_base64(text: str) -> bytes:
    """The bytes of a base64 string: plain or URL-safe, padded or not, with or without a `data:` prefix.

    Raises InvalidImage for anything else.

    >>> decode_base64("data:text/plain;base64,SGVsbG8=")
    b'Hello'
    """
    prefix = _DATA_PREFIX.match(text)
    body = text[prefix.end() :] if prefix else text
    if ("-" in body or "_" in body) and ("+" in body or "/" in body):
        raise InvalidImage("the picture mixes the plain and the URL-safe base64 alphabets")
    body = body.translate(_URL_SAFE).rstrip("=")
    try:
        data = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(
            "the picture is not base64: send its bytes in base64, with or without a data: prefix"
        ) from error
    if not data:
        raise InvalidImage("the picture is empty")
    return data


def open_picture(data: bytes, limits: ImageLimits, enough: int | None = None) -> Image.Image:
    """The picture in `data`: first frame, fully decoded, upright, RGB, transparency flattened on white.

    Raises InvalidImage, UnsupportedImage or ImageTooLarge; see `decode` for `enough`.
    """
    return decode(read_header(data, limits), enough)


def read_header(data: bytes, limits: ImageLimits) -> Image.Image:
    """The picture in `data`, not decoded: its size is judged by the header.

    Raises InvalidImage, UnsupportedImage or ImageTooLarge.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the picture has {len(data):,} bytes; at most {limits.max_bytes:,} are accepted")
    picture = _identify(data, limits)
    width, height = picture.size
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"the picture has {width} x {height} pixels; at most {limits.max_pixels:,} in all are accepted"
        )
    return picture


def decode(picture: Image.Image, enough: int | None = None) -> Image.Image:
    """The picture fully decoded, upright, RGB, transparency flattened on white; raises InvalidImage.

    With `enough`, a large JPEG, and a giant of any format, may come out a half, a quarter or an eighth as large, but no
    side below `enough`: see docs/decisions/large-pictures.md.
    """
    try:
        if enough:
            picture.draft(None, (enough, enough))
        picture.load()
        times = _times(min(picture.size) // enough) if enough and is_giant(picture) else 1
        return _upright(_rgb(picture, times), picture)
    except Exception as error:  # Pillow's decoders raise a dozen kinds of errors on damaged files
        raise InvalidImage(f"the picture is damaged or truncated: {error}") from error


def is_giant(picture: Image.Image) -> bool:
    """Whether it takes so much memory that two at a time would be too many."""
    return picture.width * picture.height > _GIANT


def _times(most: int) -> int:
    """How many times smaller a picture may be made: 1, 2, 4 or 8."""
    return max(times for times in (1, 2, 4, 8) if times <= max(most, 1))


def thumbnail(data: bytes, limits: ImageLimits) -> bytes:
    """The picture in `data` as a JPEG of at most 256 pixels a side; raises as `open_picture` does."""
    picture = open_picture(data, limits)
    picture.thumbnail((256, 256))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def _identify(data: bytes, limits: ImageLimits) -> Image.Image:
    """The picture with its header read and nothing decoded."""
    try:
        return Image.open(io.BytesIO(data), formats=limits.formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"the picture has more than {limits.max_pixels:,} pixels") from error
    except Exception as error:  # the same: a lying header fails in many ways
        accepted = ", ".join(limits.formats)
        for name, start in _OTHER_FORMATS.items():
            if name not in limits.formats and re.match(start, data[:512], re.DOTALL):
                raise UnsupportedImage(f"{name} pictures are not accepted; send one of {accepted}") from error
        raise InvalidImage(f"the bytes are not a picture; send one of {accepted}") from error


def _upright(picture: Image.Image, file: Image.Image) -> Image.Image:
    """The picture turned as its file's EXIF orientation says; unreadable EXIF data is ignored, as viewers do."""
    try:
        orientation = file.getexif().get(_ORIENTATION_TAG)
    except Exception:  # EXIF is written by cameras of every make; the pixels are good all the same
        return picture
    return picture.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else picture


def _rgb(picture: Image.Image, times: int) -> Image.Image:
    """Any mode to RGB as viewers show it, so many times smaller; in strips, for the memory of it."""
    if times == 1 and picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    flat = Image.new("RGB", (-(-picture.width // times), -(-picture.height // times)))
    for top in range(0, picture.height, _STRIP):
        bottom = min(top + _STRIP, picture.height)
        strip = _strip(picture.crop((0, top, picture.width, bottom)))
        flat.paste(strip.reduce(times) if times > 1 else strip, (0, top // times))
    return flat


def _strip(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits of grey
        grey = np.asarray(picture).astype(np.uint32).clip(0, 65535) // 257  # (H, W), 0-65535 -> 0-255
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return picture.convert("RGB")
