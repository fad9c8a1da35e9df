"""Fit of the alignment for few-shot labels: on random vectors with a known result, and into a bundle."""

import json

import numpy as np

from app.evaluation.__main__ import main
from app.evaluation.likeness import fit
from app.model.bundle import open_bundle
from app.model.encoder import unit
from app.recognition.few_shot import ImageAlignment, apply_affine

SIZE, CLASSES, EACH = 16, 8, 40


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures of classes, their labels and prototypes: pictures share one mean, and texts share another.

    Pictures of one class differ most along the last direction, which does not separate any classes.
    """
    rng, axes = np.random.default_rng(0), np.eye(SIZE, dtype=np.float32)
    labels = np.repeat(np.arange(CLASSES), EACH)
    pictures = 3 * axes[CLASSES] + axes[labels] + rng.normal(0, 0.05, (len(labels), SIZE))
    pictures[:, -1] += rng.normal(0, 1.5, len(labels))
    texts = 3 * axes[CLASSES + 1] + 0.5 * np.roll(axes, 3, axis=0)[:CLASSES]
    return unit(pictures.astype(np.float32)), labels, unit(texts.astype(np.float32))


def test_texts_come_to_lie_where_their_pictures_are():
    """A text is nearer to the mean of its own pictures than to any other's."""
    pictures, labels, texts = drawn()
    alignment = fit(pictures, labels, texts, margin=0.1)
    views = apply_affine(pictures, alignment.images)
    means = unit(np.stack([views[labels == label].mean(axis=0) for label in range(CLASSES)]))
    cosines = apply_affine(texts, alignment.texts) @ means.T
    assert np.diag(cosines).min() > 0.95
    assert (cosines - np.eye(CLASSES)).max() < 0.5


def test_directions_that_tell_no_class_count_for_less():
    """Pictures of one class lie further from those of others than plain cosines without the common mean say."""
    pictures, labels, texts = drawn()
    same = labels[:, None] == labels

    def gap(vectors):
        cosines = vectors @ vectors.T
        return cosines[same].mean() - cosines[~same].mean()

    plain = unit(pictures - pictures.mean(axis=0))
    assert gap(apply_affine(pictures, fit(pictures, labels, texts, margin=0.1).images)) > gap(plain) + 0.2


def test_classes_without_pictures_are_left_out():
    """A label file has more lines than there are classes with pictures."""
    pictures, labels, texts = drawn()
    some = labels > 1
    fitted = fit(pictures[some], labels[some], texts, margin=0.1)
    again = fit(pictures[some], labels[some] - 2, texts[2:], margin=0.1)
    assert fitted.texts.tobytes() == again.texts.tobytes()


def test_the_likeness_is_written_into_the_bundle(tmp_path, monkeypatch, bundle, parquet, class_list, prompts, capsys):
    """With its checksum; the checksum of the embedding space is unchanged, so earlier examples stay valid."""
    monkeypatch.chdir(tmp_path)  # compiled models are kept under the working folder
    before = open_bundle(bundle)
    words = [str(bundle), "--data", str(parquet("val.parquet", 10)), "--classes", str(class_list), *prompts[:2]]
    assert main(["likeness", *words, "--margin", "0.25", "--scale", "2"]) == 0
    assert "fitted on 40 pictures of 4 classes" in capsys.readouterr().out
    after = open_bundle(bundle)
    assert (before.likeness, after.likeness) == (None, bundle / "likeness.npz")
    assert before.checksum == after.checksum
    read = ImageAlignment.load(after.likeness)
    assert (read.margins, read.scale) == ((0.25,), 2)
    assert read.images.shape == (4, 3)
    assert "likeness.npz" in json.loads((bundle / "config.json").read_text())["sha256"]
