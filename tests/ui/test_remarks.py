"""The service's warnings on examples, in words."""

import pytest
from larder_client import Example

from app.ui.screens.teach import remark

ID, OTHER = "0" * 32, "1234567890" * 3


@pytest.mark.parametrize(
    ("used", "near", "contradicts", "words"),
    [
        (True, None, None, ""),
        (True, OTHER, None, "nearly the same as 12345678"),
        (True, None, "*soy* milk", "looks like \\*soy\\* milk"),
        (True, OTHER, "lemon", "nearly the same as 12345678, looks like lemon"),
        (False, None, None, "of another model, not used"),
    ],
)
def test_it_says_what_speaks_against_an_example(used, near, contradicts, words):
    """Without a warning there is no text."""
    assert remark(Example(ID, "2026-01-31T12:00:00Z", used, near, contradicts)) == words
