"""Train the tokenizer: byte-level BPE that turns any text into rows of equal length."""

import random

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from app.training.captions import Captions

PADDING = "<pad>"  # token 0, which the text tower masks


def train_tokenizer(captions: Captions, vocabulary: int, context: int, seed: int) -> Tokenizer:
    """Learn the merges on a few rounds of captions, then fix truncation and padding to `context` tokens."""
    dice = random.Random(seed)
    texts = list(captions.things)
    for _ in range(30):
        texts += (
            captions.fine_step(dice) + captions.coarse_step(dice) + captions.other_step(dice) + captions.kind_step(dice)
        )
        texts += captions.foreign_step(40, 0, dice)
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
