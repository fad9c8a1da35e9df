"""Keys from the settings and from a file that changes."""

import pytest

from app.errors import SettingsError
from app.serving.keys import Keys


def test_without_keys_none_is_needed():
    """Open to all, but no key is right."""
    keys = Keys([], None)
    assert not keys.needed
    assert not keys.have("")


def test_a_file_adds_keys_and_takes_them_away(tmp_path):
    """Each non-blank line is a key; a change counts at the next look, the settings' keys stay."""
    file = tmp_path / "keys"
    file.write_text("first\n\n  second \n")
    keys = Keys(["fixed"], file)
    assert keys.needed
    assert [keys.have(each) for each in ("fixed", "first", "second", "", "third")] == [True, True, True, False, False]
    assert keys.refresh() is False
    file.write_text("third")
    assert keys.refresh() is True
    assert [keys.have(each) for each in ("fixed", "first", "third")] == [True, False, True]


def test_an_empty_file_lets_nobody_in(tmp_path):
    """To take every key away does not open the doors."""
    file = tmp_path / "keys"
    file.write_text("first\n")
    keys = Keys([], file)
    file.write_text("")
    keys.refresh()
    assert keys.needed
    assert not keys.have("first")
    assert not keys.have("")


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
    assert keys.have("first")
