"""Barcodes of items: validation, and a canonical form of each code."""

from app.errors import InvalidRequest, NotFound

MAX_BARCODES = 100_000
MAX_CODE = 500  # characters
_GTIN = (8, 12, 13, 14)  # digits of EAN-8, UPC-A, EAN-13 and GTIN-14; the last is the check digit


def barcode(text: str) -> str:
    """Return the canonical form of a code: EAN-8 with 8 digits, UPC-A, UPC-E and EAN-13 with 13, others unchanged.

    Eight digits that are valid both as EAN-8 and as UPC-E are an EAN-8.

    Raises InvalidRequest for blank, too long or unprintable codes, and for digits with a wrong check digit.

    >>> barcode("036000291452"), barcode("04252614"), barcode("96385074"), barcode("larder:rice")
    ('0036000291452', '0042100005264', '96385074', 'larder:rice')
    """
    text = text.strip()
    if not 0 < len(text) <= MAX_CODE or not text.isprintable():
        raise InvalidRequest(f"invalid barcode {text[:50]!r}: 1 to {MAX_CODE} printable characters are allowed")
    if not (len(text) in _GTIN and text.isascii() and text.isdecimal()):
        return text
    if _check_digit(text[:-1]) != text[-1]:
        upc = _upc_of_upc_e(text) if len(text) == 8 and text[0] in "01" else ""
        if not upc or _check_digit(upc[:-1]) != upc[-1]:
            right = _check_digit(text[:-1])
            raise InvalidRequest(
                f"invalid barcode {text}: its last digit checks the others, and would have to be {right}"
            )
        text = upc
    number = text.lstrip("0")
    return number.zfill(8 if len(number) <= 8 else 13)


def barcode_read(text: str) -> str:
    """Return the canonical form of a code read from a picture; a QR code's digits may be no article number."""
    try:
        return barcode(text)
    except InvalidRequest:
        return text


def _check_digit(digits: str) -> str:
    """Compute the check digit of some digits: every other one has weight 3, starting from the last."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def _upc_of_upc_e(text: str) -> str:
    """Expand a UPC-E of 8 digits to its UPC-A: the last but one digit encodes where zeros were omitted."""
    system, digits, how, check = text[0], text[1:6], text[6], text[7]
    if how in "012":
        body = digits[:2] + how + "0000" + digits[2:]
    elif how == "3":
        body = digits[:3] + "00000" + digits[3:]
    elif how == "4":
        body = digits[:4] + "00000" + digits[4]
    else:
        body = digits + "0000" + how
    return system + body + check


def not_tied(code: str) -> NotFound:
    """Return the error for a code without an item."""
    return NotFound(f"the barcode {code[:100]!r} is tied to no item")


def check_room_for_barcode(have: int) -> None:
    """Raise InvalidRequest if `have` codes leave no room for a new one."""
    if have >= MAX_BARCODES:
        raise InvalidRequest(f"{have:,} barcodes are tied to items, the most that are kept: delete some before")
