"""Barcodes: the normalised form of each code, and the codes of every pantry store."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.errors import InvalidRequest, NotFound
from app.pantry.barcodes import MAX_CODE, barcode, barcode_read
from harness.packages import symbol
from tests.conftest import wait_until

RICE, OATS = "4006381333931", "5901234123457"


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("0036000291452", ["036000291452", "00036000291452", " 036000291452 "]),
        ("0042100005264", ["04252614", "042100005264"]),
        ("01234565", ["0000001234565"]),
        ("96385074", ["0000096385074", "000096385074", "00000096385074"]),
        ("4006381333931", ["04006381333931"]),
        ("14006381333938", []),
        ("https://example.org/a?b=c", []),
        ("1234567", []),
        ("Ω 12", []),
    ],
)
def test_a_code_has_one_form(one, same):
    """UPC-A and UPC-E are EAN-13, an EAN-8 has 8 digits, and other codes are unchanged."""
    assert {barcode(text) for text in [one, *same]} == {one}


@pytest.mark.parametrize("text", ["4006381333932", "96385075", "036000291453", "14006381333930", "00000001"])
def test_a_wrong_check_digit_is_refused(text):
    """The error has the correct digit; a QR code of digits may have any."""
    with pytest.raises(InvalidRequest, match=f"invalid barcode {text}: .*would have to be [0-9]"):
        barcode(text)
    assert barcode_read(text) == text


@pytest.mark.parametrize("text", ["", "  ", "a\x07b", "x" * (MAX_CODE + 1), "a\nb"])
def test_what_is_no_code_is_refused(text):
    """Blank, unprintable and too long codes are rejected."""
    with pytest.raises(InvalidRequest, match="1 to 500 printable characters"):
        barcode(text)


@given(st.integers(0, 10**6 - 1), st.sampled_from("01"))
def test_a_short_upc_is_what_the_reader_says_it_is(number, system):
    """Each UPC-E with a right check digit, drawn and read again, is the code that we make of its 8 digits."""
    import numpy as np
    import zxingcpp

    try:
        drawn = symbol(f"{system}{number:06}", "UPCE")
    except ValueError:  # another short form is right for this number
        assume(False)
    (read,) = zxingcpp.read_barcodes(np.asarray(drawn))
    short = f"{system}{number:06}{read.text[-1]}"
    assert barcode(short) in (barcode(read.text), short)  # itself where it is an EAN-8 as well, which goes first


@given(st.text())
def test_the_one_form_is_its_own(text):
    """Normalisation of a code is idempotent."""
    assert barcode_read(barcode_read(text)) == barcode_read(text)


def test_a_code_is_tied_to_an_item(store, opened):
    """A code is assigned to any item, also an unknown one, and reassigned; other clients see it."""
    store.tie(RICE, "basmati rice")
    store.tie("https://example.org/a/b", "oats")
    store.tie(RICE, "rice")
    expected = {RICE: "rice", "https://example.org/a/b": "oats"}
    for client in (store, opened()):
        wait_until(lambda: client.barcodes() == (expected, None))  # noqa: B023 - asked before the next round
        assert client.items_of([OATS, RICE]) == {RICE: "rice"}
        assert client.items_of([]) == {}
    assert store.items() == {}


def test_a_code_is_untied(store):
    """Afterwards it is not found, and deleting it again is an error."""
    store.tie(RICE, "rice")
    store.untie(RICE)
    assert store.barcodes() == ({}, None)
    assert store.items_of([RICE]) == {}
    with pytest.raises(NotFound, match=f"the barcode '{RICE}' is tied to no item"):
        store.untie(RICE)


def test_codes_come_by_page(store):
    """Pages are in order, each code once, also when an earlier one is deleted in between."""
    codes = [f"code {number}" for number in range(5)]
    for code in codes:
        store.tie(code, "rice")
    first, cursor = store.barcodes(limit=2)
    store.untie(codes[0])
    second, cursor = store.barcodes(cursor, limit=2)
    third, end = store.barcodes(cursor, limit=2)
    assert [*first, *second, *third] == codes
    assert end is None


def test_only_so_many_codes_are_kept(store, monkeypatch):
    """One more is refused; an existing one may get another item."""
    monkeypatch.setattr("app.pantry.barcodes.MAX_BARCODES", 1)
    store.tie(RICE, "rice")
    store.tie(RICE, "basmati rice")
    with pytest.raises(InvalidRequest, match="1 barcodes are tied"):
        store.tie(OATS, "oats")
    assert store.barcodes() == ({RICE: "basmati rice"}, None)


def test_codes_stay_when_their_item_goes(store):
    """A barcode keeps its item when the count is 0; and codes are not labels."""
    store.put("rice", 1)
    stamp = store.stamp()
    store.tie(RICE, "rice")
    assert store.stamp() == stamp
    store.delete("rice")
    assert store.items_of([RICE]) == {RICE: "rice"}
