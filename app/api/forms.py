"""Bodies of multipart/form-data: pictures as files, other fields as texts; bounded before parsing."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidRequest

MAX_PARTS = 64  # of a multipart body; the calls accept at most 32 pictures
MAX_BOUNDARY = 70  # characters: RFC 2046, section 5.1.1
MAX_SEMICOLONS = 32  # in a header with parameters: the parser's time grows with their square
_BINARY = {"", "7bit", "8bit", "binary"}  # Content-Transfer-Encoding, RFC 7578, section 4.7
_FILES = ("image", "images")


def read_form(body: bytes, boundary: bytes) -> tuple[list[bytes], list[tuple[str, str]]]:
    """Return the pictures of a multipart/form-data body (files `image` or `images`), and its other fields as texts.

    Raises InvalidRequest.
    """
    pictures, fields = [], []
    for name, is_file, data in _parts(body, boundary):
        if name in _FILES:
            if data or not is_file:  # browsers send an empty file if none was chosen
                pictures.append(data)
        elif is_file:
            raise InvalidRequest(f"the file {name[:100]!r} was found; files are called image, or images")
        else:
            try:
                fields.append((name, data.decode()))
            except UnicodeDecodeError as error:
                raise InvalidRequest(f"{name[:100]}: the form field is not a text in UTF-8") from error
    return pictures, fields


def parse_header(value: str) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the value of a header in lower case, and its parameters. Raises InvalidRequest for too many.

    >>> parse_header("Multipart/Form-Data; boundary=x")
    (b'multipart/form-data', {b'boundary': b'x'})
    """
    if value.count(";") > MAX_SEMICOLONS:
        raise InvalidRequest(f"{value[:100]!r} has more than {MAX_SEMICOLONS} semicolons, the most that are accepted")
    return parse_options_header(value)


def _parts(body: bytes, boundary: bytes) -> list[tuple[str, bool, bytes]]:
    """Return each part of a multipart body: its name, whether it is a file, and its bytes. Raises InvalidRequest."""
    _check_delimiters(body, boundary)
    parts: list[tuple[dict[bytes, bytes], bytes]] = []
    header: list[bytes] = []
    ends: list[bool] = []

    def header_piece(data: bytes, start: int, end: int) -> None:
        header.append(data[start:end])

    def header_end() -> None:
        name, *value = header
        parts[-1][0][name.strip().lower()] = b"".join(value).strip()
        header.clear()

    def part_data(data: bytes, start: int, end: int) -> None:
        parts[-1] = parts[-1][0], parts[-1][1] + data[start:end]  # once per part: the whole body is parsed in one call

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": lambda: parts.append(({}, b"")),
            "on_header_field": header_piece,
            "on_header_value": header_piece,
            "on_header_end": header_end,
            "on_part_data": part_data,
            "on_end": lambda: ends.append(True),
        },
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise InvalidRequest(f"the body is not multipart/form-data: {error}") from error
    if not ends:
        raise InvalidRequest("the multipart body is cut short: its last boundary is missing")
    return [_named(headers, data) for headers, data in parts]


def _check_delimiters(body: bytes, boundary: bytes) -> None:
    """Check the boundary and count the parts before the parser runs, which takes a microsecond per byte of both.

    Raises InvalidRequest.
    """
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise InvalidRequest(f"multipart/form-data needs a boundary of 1 to {MAX_BOUNDARY} characters")
    delimiter = b"\r\n--" + boundary
    at = -2 if body.startswith(delimiter[2:]) else body.find(delimiter)  # the first one needs no preceding line break
    found = 0
    while at != -1:
        found += 1
        if found > MAX_PARTS + 1:
            raise InvalidRequest(f"the multipart body has more than {MAX_PARTS} parts, the most that are accepted")
        after = at + len(delimiter)
        if body[after : after + 2] not in (b"\r\n", b"--"):
            raise InvalidRequest("the body is not multipart/form-data: a boundary is not followed by a line break")
        at = body.find(delimiter, after)


def _named(headers: dict[bytes, bytes], data: bytes) -> tuple[str, bool, bytes]:
    """Return a part's name, whether it is a file, and its bytes; raises InvalidRequest for one without a name."""
    disposition, parameters = parse_header(headers.get(b"content-disposition", b"").decode("latin-1"))
    name = parameters.get(b"name", b"").decode("utf-8", "replace")
    if disposition != b"form-data" or not name:
        raise InvalidRequest("a part of the multipart body has no Content-Disposition: form-data with a name")
    coding = headers.get(b"content-transfer-encoding", b"").decode("latin-1").lower()
    if coding not in _BINARY:
        raise InvalidRequest(f"{name[:100]}: Content-Transfer-Encoding: {coding[:100]!r} is not accepted; send bytes")
    return name, b"filename" in parameters, data
