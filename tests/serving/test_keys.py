"""Keys from the settings and from a file that changes."""

import hashlib

import pytest

from app.errors import SettingsError
from app.serving.keys import Keys


def have(keys, *names):
    return [keys.name(name.encode()) is not None for name in names]


def settle(keys):
    """Poll twice, as the service does within a second; returns whether the file was read."""
    keys.refresh()
    return keys.refresh()


def test_without_keys_none_is_needed():
    """Open to all, but no key is right."""
    keys = Keys([], None)
    assert not keys.needed
    assert have(keys, "") == [False]
    assert keys.refresh() is False


def test_a_file_adds_keys_and_takes_them_away(tmp_path):
    """Each non-blank line is a key; a change counts once two checks have seen it, and the settings' keys stay."""
    file = tmp_path / "keys"
    file.write_text("first\n\n  second \n")
    keys = Keys(["fixed"], file)
    assert keys.needed
    assert have(keys, "fixed", "first", "second", "", "third") == [True, True, True, False, False]
    assert settle(keys) is False
    file.write_text("third")
    assert settle(keys) is True
    assert have(keys, "fixed", "first", "third") == [True, False, True]


def test_keys_in_other_letters_match_as_utf_8():
    """A key in the settings may have any characters; in a header it is UTF-8."""
    assert have(Keys(["schlüssel"], None), "schlüssel", "schlussel") == [True, False]


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path, start):
    """Editors of Windows write one, and lines that end in CR LF."""
    file = tmp_path / "keys"
    file.write_bytes(start + b"first\r\nsecond\r\n")
    assert have(Keys([], file), "first", "second") == [True, True]


@pytest.mark.parametrize(
    "line", ["# old", "key # mine", '"key"', "'key'", "`key`", "two words", "schlüssel", "a\tb", "a\x00"]
)
def test_a_file_has_nothing_but_keys(tmp_path, line):
    """Comments, quotes, blanks and other letters than ASCII are refused by line, and the line is not repeated."""
    file = tmp_path / "keys"
    file.write_text(f"first\n\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=f"line 3 of {file} is not a key") as refused:
        Keys([], file)
    assert line not in str(refused.value)
    file.write_text("first\n")
    keys = Keys([], file)
    file.write_text(f"{line}\nsecond\n", encoding="utf-8")
    keys.refresh()
    with pytest.raises(SettingsError, match="line 1"):
        keys.refresh()
    assert have(keys, "first", "second") == [True, False]


def test_bytes_that_are_no_text_are_refused(tmp_path):
    """A file in UTF-16 is named as unreadable."""
    file = tmp_path / "keys"
    file.write_text("first\n", encoding="utf-16")
    with pytest.raises(SettingsError, match="it is not UTF-8"):
        Keys([], file)


def test_a_file_that_is_being_written_changes_nothing(tmp_path):
    """A partially written file gives no keys; the complete file counts."""
    file = tmp_path / "keys"
    file.write_text("first\nsecond\n")
    keys = Keys([], file)
    for text in ("", "th", "third\nfou", "third\nfourth\n"):
        file.write_text(text)
        assert keys.refresh() is False
        assert have(keys, "first", "second", "th", "fou") == [True, True, False, False]
    assert keys.refresh() is True
    assert have(keys, "first", "third", "fourth") == [False, True, True]


def test_a_file_that_becomes_empty_changes_nothing(tmp_path):
    """The error is reported until the file has keys; a file that is empty at the start admits no caller."""
    file = tmp_path / "keys"
    file.write_text("first\n")
    keys = Keys([], file)
    file.write_text("\n")
    keys.refresh()
    for _ in range(2):
        with pytest.raises(SettingsError, match="is empty; the keys stay as they were"):
            keys.refresh()
    assert have(keys, "first") == [True]
    empty = Keys([], file)
    assert empty.needed
    assert have(empty, "first", "") == [False, False]
    file.write_text("second\n")
    assert settle(empty) is True
    assert have(empty, "second") == [True]


def test_a_file_that_is_away_changes_nothing(tmp_path):
    """Missing at the start it stops the start; missing later it leaves the keys as they were."""
    file = tmp_path / "keys"
    with pytest.raises(SettingsError, match="LARDER_API_KEYS_FILE: .* cannot be read"):
        Keys([], file)
    file.write_text("first\n")
    keys = Keys([], file)
    file.unlink()
    with pytest.raises(SettingsError):
        keys.refresh()
    assert have(keys, "first") == [True]


def test_keys_have_names(tmp_path):
    """`NAME:KEY` names a key, in the settings too; two keys may have one name. Others are named by a checksum."""
    file = tmp_path / "keys"
    file.write_text("robot:0123456789abcdef\nrobot:a-new:key-of-the-robot\nplain\n")
    keys = Keys(["kitchen.page:fedcba9876543210"], file)
    names = {key: keys.name(key.encode()) for key in ("0123456789abcdef", "a-new:key-of-the-robot", "fedcba9876543210")}
    assert list(names.values()) == ["robot", "robot", "kitchen.page"]
    assert keys.name(b"plain") == f"key-{hashlib.sha256(b'plain').hexdigest()[:8]}"
    assert keys.name(b"robot") is keys.name(b"robot:") is keys.name(b"") is None


@pytest.mark.parametrize("line", ["old:key", "4:0123456789abcdef", ":0123456789abcdef", "a/b:0123456789abcdef"])
def test_a_key_with_a_colon_stays_the_key_that_it_was(tmp_path, line):
    """With a short part after the colon, or no name before it, the whole text is one key, and the part is none."""
    file = tmp_path / "keys"
    file.write_text(line)
    keys = Keys([], file)
    assert keys.name(line.encode()) == f"key-{hashlib.sha256(line.encode()).hexdigest()[:8]}"
    assert keys.name(line.partition(":")[2].encode()) is None


def test_a_named_key_opens_as_a_whole_too(tmp_path):
    """A file of an earlier release may have it as one key."""
    file = tmp_path / "keys"
    file.write_text("robot:0123456789abcdef")
    assert Keys([], file).name(b"robot:0123456789abcdef") == "robot"
