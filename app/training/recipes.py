"""Options that go together, by name."""

from app.training.options import Options

RECIPES = {
    "groceries": Options(),
    "photos": Options(task="captions", pictures_per_step=64),
    "cifar": Options(
        task="captions", changes="shift", epochs=8, pictures_per_step=128, mix_share=0.0,
        sizes=(32,), image_size=32, stored_size=32, stem_stride=1, widths=(48, 128, 256), depths=(2, 2, 1),
        embedding_size=128, text_width=64, context_length=16, vocabulary_size=320,
    ),
}  # fmt: skip
