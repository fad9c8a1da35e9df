"""Read the header of an untrusted picture, base64 or bytes, and check it against limits without decoding."""

import binascii
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import pi_heif
import pybase64
from pi_heif.as_plugin import HeifImageFile
from PIL import AvifImagePlugin, Image
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from app.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.images.isobmff import still_picture
from app.images.structure import (
    MAX_PROFILE,
    MAX_RUN_LENGTH_PIXELS,
    gif_frame,
    jpeg_frame,
    png_essentials,
    run_length_size,
    webp_groups,
)

_WEBP_MEMORY = 3  # factor: libwebp and Pillow together hold 16 bytes per pixel, other formats 4 to 6
_HEIF_MEMORY = 2  # factor: libheif, libavif and Pillow together hold 8 to 10 bytes per pixel
_LOSSLESS_WEBP_MEMORY = 6  # factor, without its groups of codes
_GROUP_COST = 400  # pixels of a PNG per group of Huffman codes of a lossless WebP
_MAX_GROUPS = 8_192  # of a lossless WebP, 7 KB of memory each; libwebp writes 2,600 at most
_RUN_LENGTH_COST = 30  # factor: Pillow decodes them in Python

_DATA_PREFIX = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


def _open_heic(file: io.BytesIO) -> ImageFile:
    """Open with one thread per decoder, and without thumbnails and depth maps."""
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    picture: ImageFile = HeifImageFile(file)
    return picture


def _open_avif(file: io.BytesIO) -> ImageFile:
    """Open with one thread per decoder."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    return AvifImageFile(file)


_DECODERS: dict[str, Callable[[io.BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "HEIC": _open_heic,
    "AVIF": _open_avif,
}
# formats by their first bytes; those that are not accepted are distinguished from "not a picture"
_SIGNATURES = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM.{4}", re.DOTALL),
    "TIFF": re.compile(rb"II\*\0|MM\0\*"),
    "AVIF": re.compile(rb"....ftyp(?:.{4}){0,20}?avi[fs]", re.DOTALL),  # one of the file's brands
    "HEIC": re.compile(rb"....ftyp(?:hei|hev|mif|msf)", re.DOTALL),
    "JPEG 2000": re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
    "JPEG XL": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "),
    "PSD": re.compile(rb"8BPS"),
    "ICO": re.compile(rb"\x00\x00\x01\x00"),
    "PDF": re.compile(rb"%PDF-"),
    "SVG": re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<svg", re.DOTALL),
}


@dataclass(frozen=True)
class ImageLimits:
    """Limits of a picture: bytes of the file, pixels of the picture, names of formats.

    A picture with more pixels than `giant` takes so much memory that only one is decoded at a time.
    """

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 50_000_000
    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIC", "AVIF")
    giant: int = 16_000_000


@dataclass(frozen=True)
class Header:
    """A picture whose header is read and whose pixels are not."""

    picture: ImageFile
    format: str
    cost: int
    """The decoding cost in pixels of a PNG, some 15 ns each."""
    is_giant: bool = False
    profile: bytes = b""
    """The ICC profile; empty if there is none or it is implausibly large."""
    frame: tuple[int, int, int, int] | None = None
    """The box of a GIF's first frame, if it does not cover the whole canvas."""


def decode_base64(text: str) -> bytes:
    """Decode a base64 string: plain or URL-safe, padded or not, with or without a `data:` prefix.

    Raises InvalidImage for anything else.

    >>> decode_base64("data:text/plain;base64,SGVsbG8=")
    b'Hello'
    """
    prefix = _DATA_PREFIX.match(text)
    body = text[prefix.end() :] if prefix else text
    url_safe = "-" in body or "_" in body
    if url_safe and ("+" in body or "/" in body):
        raise InvalidImage("the picture mixes the plain and the URL-safe base64 alphabets")
    body = body.replace("\r", "").replace("\n", "").rstrip("=")  # MIME breaks lines; a space is a lost "+"
    try:
        data = pybase64.b64decode(body + "=" * (-len(body) % 4), "-_" if url_safe else None, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(
            "the picture is not base64: send its bytes in base64, with or without a data: prefix"
        ) from error
    if not data:
        raise InvalidImage("the picture is empty")
    return data


def media_type_of(data: bytes) -> str:
    """Return a picture's media type by its first bytes; that of arbitrary bytes if it is not a picture."""
    name = _format(data)
    return f"image/{name.lower()}" if name in _DECODERS else "application/octet-stream"


def looks_like_picture(data: bytes) -> bool:
    """Return whether the first bytes are those of a known picture format, accepted or not."""
    return _format(data) is not None


def as_bytes(picture: str | bytes) -> bytes:
    """Return the bytes of a picture that may be in base64; raises InvalidImage."""
    return decode_base64(picture) if isinstance(picture, str) else picture


def format_of(data: bytes, limits: ImageLimits) -> str:
    """Detect the format by the first bytes; raises InvalidImage or UnsupportedImage."""
    accepted = ", ".join(limits.formats)
    name = _format(data)
    if name is None:
        raise InvalidImage(f"the bytes are not a picture; send one of {accepted}")
    if name not in limits.formats:
        raise UnsupportedImage(f"{name} pictures are not accepted; send one of {accepted}")
    return name


def _format(data: bytes) -> str | None:
    return next((name for name, signature in _SIGNATURES.items() if signature.match(data[:512])), None)


def read_header(data: bytes, limits: ImageLimits) -> Header:
    """Read a picture's header and check the limits; nothing is decoded.

    Raises InvalidImage, UnsupportedImage or ImageTooLarge.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the picture has {len(data):,} bytes; at most {limits.max_bytes:,} are accepted")
    name = format_of(data, limits)
    asked = _walk(data, name, limits)
    picture = _identify(asked.data, name, limits)
    _check_size(picture.size, limits, "lossless WEBP" if asked.groups else name, asked.memory)
    profile = asked.profile or (b"" if name == "PNG" else picture.info.get("icc_profile", b""))
    pixels = max(picture.width * picture.height, asked.pixels)
    return Header(
        picture,
        name,
        cost=int((asked.pixels or pixels) * asked.cost) + asked.groups * _GROUP_COST,
        is_giant=pixels > limits.giant,
        profile=profile if len(profile) <= MAX_PROFILE else b"",
        frame=asked.frame if asked.frame != (0, 0, *picture.size) else None,
    )


@dataclass(frozen=True)
class _Asked:
    """The resources that decoding a file takes."""

    data: bytes
    cost: float = 1
    """Memory per pixel, relative to a PNG."""
    memory: float = 1
    """Time per pixel, relative to a PNG."""
    groups: int = 0
    """Groups of Huffman codes, at most."""
    profile: bytes = b""
    frame: tuple[int, int, int, int] | None = None
    pixels: int = 0
    """Pixels decoded, if they differ from the picture's size."""


def _walk(data: bytes, name: str, limits: ImageLimits) -> _Asked:
    if name == "JPEG":
        scans, components = jpeg_frame(data)
        several = scans > 1 and components > 3  # the coefficients of several scans stay in memory, 2 bytes each
        return _Asked(data, cost=max(scans, 1) / 8, memory=components / 3 if several else 1)
    if name == "PNG":
        essentials, profile = png_essentials(data)
        return _Asked(essentials, profile=profile)
    if name == "GIF":
        frame = gif_frame(data)
        if frame:
            _check_size(frame[2:], limits, name)  # Pillow allocates the frame before decoding is requested
        return _Asked(data, frame=frame)
    if name == "WEBP":
        groups = webp_groups(data)
        if groups > _MAX_GROUPS:
            raise ImageTooLarge(f"the WebP has {groups:,} groups of codes; at most {_MAX_GROUPS:,} are accepted")
        return _Asked(data, cost=2, memory=_LOSSLESS_WEBP_MEMORY if groups else _WEBP_MEMORY, groups=groups)
    if name in ("HEIC", "AVIF"):
        asked = still_picture(data)
        most = limits.max_pixels // _HEIF_MEMORY
        if asked.pixels > most:
            raise ImageTooLarge(f"{asked.pixels:,} pixels would be decoded; at most {most:,} are accepted of a {name}")
        cost = asked.cost / asked.pixels * (2 if name == "AVIF" else 3)
        return _Asked(data, cost=cost, memory=_HEIF_MEMORY, pixels=asked.pixels)
    if size := run_length_size(data):
        _check_size(size, limits, "run-length encoded BMP", limits.max_pixels / MAX_RUN_LENGTH_PIXELS)
        return _Asked(data, cost=_RUN_LENGTH_COST)
    return _Asked(data)


def _check_size(size: tuple[int, int], limits: ImageLimits, name: str, memory: float = 1) -> None:
    width, height = size
    most = int(limits.max_pixels / memory)
    if width * height > most:
        of = f" of a {name}" if most < limits.max_pixels else ""
        raise ImageTooLarge(f"the picture has {width} x {height} pixels; at most {most:,} in all are accepted{of}")


def _identify(data: bytes, name: str, limits: ImageLimits) -> ImageFile:
    """Let Pillow read the header."""
    Image.MAX_IMAGE_PIXELS = limits.max_pixels  # Pillow's own check, of allocations before ours
    try:
        return _DECODERS[name](io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"the picture has more than {limits.max_pixels:,} pixels, the most accepted") from error
    except Exception as error:  # an inconsistent header raises many kinds of errors
        raise InvalidImage(f"the bytes are not a picture; send one of {', '.join(limits.formats)}") from error
