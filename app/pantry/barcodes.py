"""Barcodes that stand for items: one form of each code, and what is no code."""

from app.errors import InvalidRequest, NotFound

MAX_BARCODES = 100_000
MAX_CODE = 500  # characters
_GTIN = (8, 12, 13, 14)  # digits of EAN-8, UPC-A, EAN-13 and GTIN-14; the last of them checks the others


def barcode(text: str) -> str:
    """The one form of a code: EAN-8 with 8 digits, UPC-A, UPC-E and EAN-13 with 13, anything else as it is.

    Eight digits that are right as EAN-8 and as UPC-E are an EAN-8.

    Raises InvalidRequest for what is blank, too long or not printable, and for digits with a wrong check digit.

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
    """The one form of a code that was read from a picture; a QR code may be of digits that are no article number."""
    try:
        return barcode(text)
    except InvalidRequest:
        return text


def _check_digit(digits: str) -> str:
    """The check digit for the digits before it: every other one counts threefold, from the last on."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def _upc_of_upc_e(text: str) -> str:
    """The UPC-A that a UPC-E of 8 digits is short for: its last digit but one says where zeros were left out."""
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
    """The error for a code that is tied to no item."""
    return NotFound(f"the barcode {code[:100]!r} is tied to no item")


def check_room_for_barcode(have: int) -> None:
    """Raises InvalidRequest when `have` codes leave no room for a new one."""
    if have >= MAX_BARCODES:
        raise InvalidRequest(f"{have:,} barcodes are tied to items, the most that are kept: delete some before")
