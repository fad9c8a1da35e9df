"""The outcome of a correction, in words."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.conftest import said, whole

SCRIPT = """
from larder_client import Correction, Example
from app.ui.screens.recognise import told
told(Correction("r1", "quince", {answered!r}, {right}, {kept}, {taught}))
"""


@pytest.mark.parametrize(
    ("answered", "kept", "taught", "words"),
    [
        ("*pear*", 0, None, "Noted: **quince**, not *pear*."),
        ("quince", 0, None, "Noted: **quince**, as was answered."),
        ("pear", 2, None, "Noted: **quince**, not pear. The service keeps what was shown, to train on."),
        (
            "pear",
            0,
            'Example("1", "", True, None, None)',
            "Noted: **quince**, not pear. It was taught at once, and the answer above is the new one. The page Teach "
            "undoes it.",
        ),
    ],
)
def test_it_says_what_was_kept_and_taught(answered, kept, taught, words):
    """The message says nothing else."""
    examples = f"[{taught}]" if taught else None
    script = SCRIPT.format(answered=answered, right=answered == "quince", kept=kept, taught=examples)
    assert said(whole(AppTest.from_string(script).run())) == words
