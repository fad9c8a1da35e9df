"""The tokenizer as training makes it and serving reads it."""

import pytest
from tokenizers import Tokenizer

from app.training.commands import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """A tokenizer of few words."""
    texts = ["green apple", "a photo of a green apple", "oat milk", "a carton of oat milk", "dog", "table", "chair"]
    return train_tokenizer(texts * 9, vocabulary=400, context=12)


def test_rows_have_equal_length(tokenizer):
    """Short texts are padded with 0 and long ones cut, inside the tokenizer file."""
    again = Tokenizer.from_str(tokenizer.to_str())
    rows = [row.ids for row in again.encode_batch(["", "apple", "a photo of a green apple " * 9])]
    assert [len(row) for row in rows] == [12, 12, 12]
    assert rows[0] == [0] * 12
    assert 0 not in rows[2]


def test_any_text_comes_back(tokenizer):
    """Unknown letters are encoded as bytes, so decoding gives the lower-case text."""
    for text in ("Green Apple", "smörgås", "日本"):
        assert tokenizer.decode(tokenizer.encode(text).ids).strip() == text.lower()
