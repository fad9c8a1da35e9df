"""Train the tokenizer: byte-level BPE that turns any text into rows of equal length."""

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PADDING = "<pad>"  # token 0, which the text tower masks


def train_tokenizer(texts: list[str], vocabulary: int, context: int) -> Tokenizer:
    """Learn the merges on texts, then fix truncation and padding to `context` tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PADDING], initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.enable_truncation(context)
    tokenizer.enable_padding(length=context, pad_id=0, pad_token=PADDING)
    return tokenizer
