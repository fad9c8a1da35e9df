"""Broken and hostile pictures and requests, generated deterministically from a seed.

Pictures are truncated at every kilobyte, have flipped bits, or a false header. Requests have wrong types, huge numbers,
deep nesting and invalid texts.
"""

import base64
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

FLIPS = 12  # pictures with flipped bits per format
LIES = ((0, 0), (1, 0), (1, 65535), (65535, 1), (65535, 65535), (7000, 7000), (7200, 7200), (200, 151), (100, 75))


def photograph(width: int = 200, height: int = 150) -> Image.Image:
    """Generate noise with some structure, so that each format takes tens of kilobytes."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), np.int16)
    return Image.fromarray((smooth + rng.integers(-30, 30, smooth.shape)).clip(0, 255).astype(np.uint8))


def files() -> dict[str, bytes]:
    """Return a valid file of each format and of its uncommon variants."""
    picture = photograph()
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "JPEG": (picture, "JPEG", {"quality": 92}),
        "progressive JPEG": (picture, "JPEG", {"quality": 92, "progressive": True}),
        "CMYK JPEG": (picture.convert("CMYK"), "JPEG", {"quality": 80}),
        "PNG": (picture, "PNG", {}),
        "PNG with transparency": (picture.convert("RGBA"), "PNG", {}),
        "palette PNG": (picture.convert("P"), "PNG", {}),
        "WebP": (picture, "WEBP", {"quality": 90}),
        "lossless WebP": (picture.resize((100, 75)), "WEBP", {"lossless": True}),
        "GIF": (picture, "GIF", {}),
        "BMP": (picture.resize((100, 75)), "BMP", {}),
        "AVIF": (picture, "AVIF", {"quality": 80}),
        "AVIF with transparency": (picture.convert("RGBA"), "AVIF", {"quality": 50}),
        "HEIC": (picture, "HEIC", {"quality": 80}),
        "HEIC with transparency": (picture.convert("RGBA"), "HEIC", {"quality": 50}),
    }
    return {name: saved(image, form, **options) for name, (image, form, options) in kinds.items()}


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """Encode a picture as a file."""
    file = io.BytesIO()
    if form == "HEIC":
        import pillow_heif

        pillow_heif.from_pillow(image).save(file, **options)
    else:
        image.save(file, form, **options)
    return file.getvalue()


def pictures(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield each broken picture with a description."""
    rng = np.random.default_rng(seed)
    for name, data in files().items():
        for end in range(0, len(data), 1024):
            yield f"{name} cut at {end}", data[:end]
        for number in range(FLIPS):
            yield f"{name} with turned bits {number}", turned(data, rng)
        for width, height in LIES:
            if lie := _LIARS.get(name.rpartition(" ")[2]):
                yield f"{name} that says {width} x {height}", lie(data, width, height)
        yield f"{name} with an end that is not its own", data + b"\0" * 5000
        yield f"{name} inside out", data[len(data) // 2 :] + data[: len(data) // 2]
    yield "PNG with a bomb of text", png([(b"zTXt", b"note\0\0" + zlib.compress(b"\0" * 50_000_000, 9))])
    yield "PNG with a bomb of colours", png([(b"iCCP", b"note\0\0" + zlib.compress(b"\0" * 50_000_000, 9))])
    yield "PNG of a thousand empty parts", png([(b"IDAT", b"")] * 1000)
    yield "PNG of 49 megapixels", png([(b"IDAT", zlib.compress(b"\0" * 7000 * (7000 * 3 + 1), 9))], 7000, 7000)
    clear = zlib.compress(b"\0" * 7000 * (7000 * 4 + 1), 9)
    yield "PNG of 49 clear megapixels", png([(b"IDAT", clear)], 7000, 7000, colours=6)


def costly() -> Iterator[tuple[str, bytes]]:
    """Yield pictures whose decoding costs far more time or memory than their size suggests, with a description."""

    def plain(mode: str, size: tuple[int, int], form: str, **options: Any) -> bytes:
        return saved(Image.new(mode, size), form, **options)

    grey = plain("L", (2000, 2000), "JPEG", progressive=True, quality=10)
    last, small = grey.rfind(b"\xff\xda"), plain("RGB", (8, 8), "JPEG")
    yield "JPEG of 20,000 scans", grey[:last] + grey[last:-2] * 20_000 + grey[-2:]
    small_heic = plain("RGB", (64, 64), "HEIC")
    restart, length = (
        b"\xff\xdd\0\4\0\1",
        b"\xff\x02\xfe\xfe",
    )  # the decoder discards a restart marker and nothing more
    yield (
        "JPEG of 20,000 hidden scans",
        grey[:last] + restart + grey[last:-2] + length + grey[last:-2] * 20_000 + grey[-2:],
    )
    yield "JPEG of a million empty segments", small[:2] + b"\xff\xe5\0\2" * 1_000_000 + small[2:]
    yield "JPEG of a million starts", small[:2] + b"\xff\xd8" * 1_000_000 + small[2:]
    yield "JPEG of 50 progressive megapixels", plain("RGB", (7071, 7071), "JPEG", progressive=True, quality=10)
    yield "JPEG of 50 megapixels of print", plain("CMYK", (7071, 7071), "JPEG", progressive=True, quality=10)
    yield "PNG of 300,000 chunks", png([(b"abCd", b"")] * 300_000)
    yield "PNG of 50,000,000 x 1", png([(b"IDAT", zlib.compress(bytes(50_000_001), 9))], 50_000_000, 1, colours=0)
    profile = zlib.compress(_endless_profile(4000), 9)
    yield (
        "PNG with a profile of 4,000 elements",
        png([(b"iCCP", b"a\0\0" + profile), (b"IDAT", zlib.compress(bytes(200)))]),
    )
    clear = zlib.compress(bytes(7000 * (7000 * 4 + 1)), 9)
    yield "PNG of 49 clear megapixels", png([(b"IDAT", clear)], 7000, 7000, colours=6)
    yield (
        "WebP of 50 megapixels",
        bytes.fromhex("524946461e000000574542505650384c110000002ffebffa020750da2297a2ff8188e87f0000"),
    )
    yield "WebP of 16 megapixels", plain("RGB", (4080, 4080), "WEBP", lossless=True, quality=0, method=0)
    yield "WebP of 8,100 groups of codes and 8 megapixels", riff(vp8l(2880, 2880, 5))
    yield "WebP of 10,000 lossless pictures", riff(*[vp8l(8, 8)] * 10_000)
    yield "WebP of 65,536 groups of codes", riff(vp8l(1024, 1024))
    yield "WebP of 65,536 groups of codes in its transparency", transparent(1024, 1024)
    yield "WebP of 65,536 groups of codes in a frame", animated(1024, 1024)
    gif = plain("L", (8, 8), "GIF")
    frame = gif.index(b",")
    yield "GIF of a million sub-blocks", gif[:frame] + b"\x21\xfe" + b"\1a" * 1_000_000 + b"\0" + gif[frame:]
    yield "GIF of 50 megapixels", plain("L", (7071, 7071), "GIF")
    yield "BMP of 50 megapixels", plain("1", (7071, 7071), "BMP")
    coded = bytearray(plain("L", (8, 8), "BMP"))
    coded[18:26], coded[30:34] = struct.pack("<ii", 1400, 1400), struct.pack("<I", 1)
    rows = (b"\1\x12" * 1400 + b"\0\0") * 1400
    yield "BMP of two million runs of one pixel", bytes(coded[:1078]) + rows + b"\0\1"
    yield "HEIC of 24 megapixels", plain("RGB", (4896, 4896), "HEIC", quality=10)
    yield "HEIC of 12 clear megapixels", plain("RGBA", (3456, 3456), "HEIC", quality=10)
    yield "AVIF of 24 megapixels", plain("RGB", (4896, 4896), "AVIF", quality=10, speed=10)
    yield "AVIF of 60 megapixels", plain("RGB", (7800, 7800), "AVIF", quality=10, speed=10)
    yield "HEIC of a hundred thousand boxes", small_heic[:24] + b"\0\0\0\x08free" * 100_000 + small_heic[24:]


def _endless_profile(elements: int) -> bytes:
    """An ICC profile whose multi-process elements are a curve and a matrix, over and over."""
    matrix = b"matf" + struct.pack(">4xHH12f", 3, 3, *[0.99, 0, 0, 0, 0.99, 0, 0, 0, 0.99], 0, 0, 0)
    segment = struct.pack(">4s4xHH4s4xHH4f", b"curf", 1, 0, b"parf", 0, 0, 1.01, 1, 0, 0)
    curves = b"cvst" + struct.pack(">4xHH", 3, 3) + struct.pack(">II", 36, len(segment)) * 3 + segment
    start = 16 + 8 * elements
    places = struct.pack(">4I", start, len(matrix), start + len(matrix), len(curves)) * (elements // 2)
    element = b"mpet" + struct.pack(">4xHHI", 3, 3, elements) + places + matrix + curves
    table = struct.pack(">I4sII", 1, b"D2B0", 144, len(element))
    head = struct.pack(">I4s4s4s4s4s", 144 + len(element), b"lcms", b"\4\x30\0\0", b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s28x3i", 2026, 1, 1, 0, 0, 0, b"acsp", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + element


class Call(NamedTuple):
    """A request."""

    method: str
    path: str
    body: bytes
    media_type: str = "application/json"


def as_form(data: bytes, *names: str) -> Call:
    """Encode a picture as the files of a form for `/process-image`."""
    part = b'--edge\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n'
    body = b"".join(part % (name.encode(), data) for name in names or ("image",)) + b"--edge--\r\n"
    return Call("POST", "/process-image", body, "multipart/form-data; boundary=edge")


def by_media_type(data: bytes) -> list[Call]:
    """Yield a picture as JSON, as raw bytes, and in a form."""
    body = json.dumps({"image_data": base64.b64encode(data).decode()}).encode()
    path = "/process-image"
    return [Call("POST", path, body), Call("POST", path, data, "application/octet-stream"), as_form(data)]


def calls(data: bytes, model: str) -> Iterator[Call]:
    """Yield every call that takes a picture, with this one, as JSON and as raw bytes."""
    text = base64.b64encode(data).decode()
    uri = f"data:image/png;base64,{text}"
    boxes = [[number, 0, number + 1, 1] for number in range(16)] + [[0, 0, 1000, 1000]] * 16
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/process-image", {"image_data": text}),
        ("POST", "/process-image", {"image_data": text, "tiles": "auto"}),
        ("POST", "/process-image", {"image_data": text, "regions": boxes}),
        ("POST", "/process-image", {"images": [text] * 4 if len(text) < 500_000 else [text, text]}),
        ("POST", "/classify", {"image_data": text, "labels": ["a", "b"]}),
        ("POST", "/v1/embeddings", {"input": [uri] * (200 if len(text) < 5_000 else 1)}),
        ("POST", f"/models/{model}", {"inputs": text, "parameters": {"candidate_labels": ["a", "b"]}}),
        ("PUT", "/contents/hostile", {"type": "image", "image_data": text}),
        ("PUT", "/contents/hostile", {"type": "image", "image_data": text, "thumbnail": True}),
        ("POST", "/contents/search", {"image_data": text}),
        ("POST", "/pantry/hostile/examples", {"images": [text]}),
    ]
    for method, path, body in bodies:
        yield Call(method, path, json.dumps(body).encode())
    for method, path in (
        ("POST", "/process-image?tiles=auto"),
        ("POST", "/process-image?regions=[[0,0,1,1]]"),
        ("POST", "/classify?labels=a&labels=b"),
        ("POST", "/v1/embeddings"),
        ("POST", f"/models/{model}"),
        ("PUT", "/contents/hostile?thumbnail=true"),
        ("POST", "/contents/search"),
        ("POST", "/pantry/hostile/examples"),
        ("POST", "/mv_retrieval/v0.1/add_content?id=hostile&type=image"),
        ("POST", "/mv_retrieval/v0.1/retrieve_contents?k=1&type=image"),
    ):
        yield Call(method, path, data, "application/octet-stream")
    yield as_form(data, *["images"] * (4 if len(data) < 500_000 else 2))


def turned(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip eight random bits."""
    changed = bytearray(data)
    for place in rng.integers(0, len(data), 8):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def png(parts: list[tuple[bytes, bytes]], width: int = 8, height: int = 8, colours: int = 2) -> bytes:
    """Build a PNG of these chunks, with valid checksums."""

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join(part(*each) for each in [header, *parts, (b"IEND", b"")])


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Build a WebP of these chunks."""
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def vp8l(width: int, height: int, side: int = 2) -> tuple[bytes, bytes]:
    """Build a lossless WebP in which each block has its own group of Huffman codes, in 4.5 bytes each.

    Blocks are squares with a side of two to the power of `side` pixels, at least 4.

    RFC 9649, section 3: bits, the lowest first; every code of a group has one symbol, so its pixels take no bits.
    """
    size = f"{width - 1:014b}"[::-1] + f"{height - 1:014b}"[::-1]
    return b"VP8L", b"\x2f" + packed(size + "0000" + _groups(width, height, side))


def transparent(width: int, height: int) -> bytes:
    """Build a lossy WebP whose alpha channel is such a lossless picture."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "WEBP")
    lossy = file.getvalue()[20:]
    alpha = b"\1" + packed(_groups(width, height))
    return riff((b"VP8X", _canvas(0x10, width, height)), (b"ALPH", alpha), (b"VP8 ", lossy))


def animated(width: int, height: int) -> bytes:
    """Build an animation whose first frame is such a picture."""
    kind, data = vp8l(width, height)
    place = bytes(6) + _canvas(0, width, height)[4:] + bytes(4)
    inside = place + kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return riff((b"VP8X", _canvas(0x02, width, height)), (b"ANIM", bytes(6)), (b"ANMF", inside))


def _canvas(flags: int, width: int, height: int) -> bytes:
    return struct.pack("<I", flags) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def _groups(width: int, height: int, side: int = 2) -> str:
    """Return the bits of a lossless picture without its header: no transform, no colour cache."""
    blocks = -(-width >> side) * -(-height >> side)
    one = "1000"  # a simple code with one symbol
    # code lengths by a code of two symbols, 0 and 8: 256 of 8 bits, then none up to the size of the alphabet
    lengths = ["000"] * 12
    lengths[2] = lengths[11] = "100"
    head = "0" + f"{len(lengths) - 4:04b}"[::-1] + "".join(lengths) + "0"
    green, red = head + "1" * 256 + "0" * 24, head + "1" * 256
    numbers = np.minimum(np.arange(blocks), 65_535)
    rows = np.stack([numbers % 256, numbers // 256], axis=1).astype(np.uint8)
    groups = "".join(map(str, np.unpackbits(rows, axis=1).ravel().tolist()))
    return (
        "0" + "0" + "1" + f"{side - 2:03b}"[::-1] + "0" + green + red + 3 * one + groups + 5 * one * min(blocks, 65_536)
    )


def packed(bits: str) -> bytes:
    """Pack bits, the lowest of each byte first, with eight bytes of padding."""
    return np.packbits(np.frombuffer(bits.encode(), np.uint8) - ord("0"), bitorder="little").tobytes() + bytes(8)


def _png_lie(data: bytes, width: int, height: int) -> bytes:
    header = struct.pack(">II", width, height) + data[24:29]
    return data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + data[33:]


def _jpeg_lie(data: bytes, width: int, height: int) -> bytes:
    place = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))  # the frame header: marker, length, bits, height, width
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


def _gif_lie(data: bytes, width: int, height: int) -> bytes:
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def _bmp_lie(data: bytes, width: int, height: int) -> bytes:
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def _heif_lie(data: bytes, width: int, height: int) -> bytes:
    place = data.find(b"ispe") + 8  # the size of an item, after version and flags
    return data[:place] + struct.pack(">II", width, height) + data[place + 8 :]


_LIARS: dict[str, Callable[[bytes, int, int], bytes]] = {
    "PNG": _png_lie,
    "JPEG": _jpeg_lie,
    "GIF": _gif_lie,
    "BMP": _bmp_lie,
    "HEIC": _heif_lie,
    "AVIF": _heif_lie,
}


def bodies() -> Iterator[tuple[str, bytes]]:
    """Yield each broken request body with a description."""
    file = io.BytesIO()
    photograph(32, 32).save(file, "PNG")
    good = base64.b64encode(file.getvalue()).decode()
    values: list[Any] = [None, True, False, 0, -1, 0.5, 10**30, -(10**30), "", "5", "\0", [], {}, [[]], {"a": 1}]
    values += ["\ud800", "‮", "💥" * 100, "A" * 100_000, "../../etc/passwd", "'; DROP TABLE items; --", "%s%n"]
    for field in ("image_data", "top_k", "threshold", "pantry_update", "unknown"):
        for value in values:
            yield f"{field} is {str(value)[:20]!r}", json.dumps({"image_data": good, field: value}).encode()
    for value in values:
        update = {"operation": "add", "quantity": value}
        yield f"quantity is {str(value)[:20]!r}", json.dumps({"image_data": good, "pantry_update": update}).encode()
    for text in (
        good[:-1],
        good + "!",
        good[:9] + " " + good[9:],
        "data:image/png;base64," + good * 2,
        "data:,x",
        "=" * 99,
    ):
        yield f"base64 {text[:24]!r} of {len(text)}", json.dumps({"image_data": text}).encode()
    for depth in (100, 1000, 100_000):
        yield f"lists {depth} deep", b"[" * depth
        yield f"objects {depth} deep", b'{"image_data":' * depth + b"1" + b"}" * depth
    yield "a number of 100,000 digits", b'{"image_data": "YQ==", "top_k": ' + b"9" * 100_000 + b"}"
    yield "100,000 fields", json.dumps({f"field {number}": 1 for number in range(100_000)}).encode()
    yield "a field a thousand times", b"{" + b",".join([b'"image_data": "YQ=="'] * 1000) + b"}"
    for body in (
        b"",
        b"{",
        b"null",
        b"NaN",
        b"\xff\xfe{",
        b"\0" * 1000,
        b"\xef\xbb\xbf{}",
        b"{}" * 500,
        b"'a'",
        b"\x1f\x8b",
    ):
        yield f"the bytes {body[:12]!r}", body


def forms() -> Iterator[tuple[str, bytes]]:
    """Yield each broken form with a description."""
    sound = as_form(saved(photograph(32, 32), "PNG")).body
    yield "a form without its end", sound[:-12]
    yield "a form of 100,000 parts", as_form(b"", *["image"] * 100_000).body
    yield "a form of boundaries", b"--edge\r\n" * 500_000
    yield "a form of blanks after a boundary", sound[:-4] + b" " * 5_000_000
    yield "a form of almost boundaries", as_form(b"\r\n--edg\r\n--edge-" * 300_000).body
    yield "a form whose header has no end", b"--edge\r\nContent-Disposition: " + b"a" * 5_000_000
    yield "a form of a million headers", b"--edge\r\n" + b"a: b\r\n" * 1_000_000
    yield "a form of line breaks", b"\r\n" * 2_000_000
    for field in (b"[" * 100_000, b"1" * 1_000_000, b"[1" + b",1" * 1_000_000 + b"]", b"\xff", b"\0" * 1000):
        other = b'--edge\r\nContent-Disposition: form-data; name="regions"\r\n\r\n' + field + b"\r\n"
        yield f"a form with the field {field[:4]!r} of {len(field)}", other + sound


def requests() -> Iterator[tuple[str, Call]]:
    """Yield every broken body, and every broken picture as each media type."""
    for name, body in bodies():
        yield name, Call("POST", "/process-image", body)
    for name, body in forms():
        yield name, Call("POST", "/process-image", body, "multipart/form-data; boundary=edge")
    for name, data in pictures():
        for call in by_media_type(data):
            yield f"{name} as {call.media_type}", call
