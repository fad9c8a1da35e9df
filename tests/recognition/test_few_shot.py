"""Few-shot labels: fast code against slow reference code, and invariants."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.encoder import unit
from app.recognition.few_shot import (
    KAPPA,
    KNOWN_BY_EXAMPLES,
    LACKING,
    LEAD,
    ImageAlignment,
    apply_affine,
    bounded_lead,
    fit_few_shot,
)
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import Recogniser

SIZE = 8


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, SIZE)).astype(np.float32))


@pytest.fixture
def alignment():
    """Return random maps."""
    rng = np.random.default_rng(5)
    pictures, texts = (rng.normal(size=(SIZE + 1, 6)).astype(np.float32) for _ in range(2))
    return ImageAlignment(pictures, texts, margins=(0.1,), scale=0.7)


def test_the_cosines_are_those_of_the_definition(alignment):
    """They equal the density of a label's examples against the nearest text, computed one by one."""
    prototypes, picture, shown = vectors(5), vectors(1, 1)[0], vectors(6, 2)
    examples = list(zip([3, 1, 3, 3, 1, 4], shown, strict=True))

    def among(vector, affine):
        moved = [
            sum(float(vector[i]) * float(affine[i][e]) for i in range(SIZE)) + float(affine[-1][e]) for e in range(6)
        ]
        return [value / math.sqrt(sum(each * each for each in moved)) for value in moved]

    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True))

    view = among(picture, alignment.images)
    rival = max(cosine(view, among(text, alignment.texts)) for text in prototypes)
    expected = [cosine(picture, text) for text in prototypes]
    best = max(expected)
    for place in {1, 3, 4}:
        own = [cosine(view, among(vector, alignment.images)) for where, vector in examples if where == place]
        near = math.log(sum(math.exp(KAPPA * each) for each in own) / len(own)) / KAPPA
        lead = 0.7 * (near - rival + 0.1)
        ahead = best + lead if lead < 0 else best + (1 - best) * (1 - math.exp(-lead / (1 - best)))
        expected[place] = max(expected[place], ahead)
    adjusted = fit_few_shot(examples, prototypes, alignment).adjusted_similarities(prototypes @ picture, picture)
    assert adjusted.tolist() == pytest.approx(expected, abs=1e-5)
    assert adjusted.dtype == np.float32


def test_the_order_of_examples_is_all_the_same(alignment):
    """Examples belong to their labels in any order."""
    prototypes, picture = vectors(5), vectors(1, 1)[0]
    examples = list(zip([0, 2, 0, 4, 2, 2], vectors(6, 2), strict=True))
    first, second = (fit_few_shot(each, prototypes, alignment) for each in (examples, examples[::-1]))
    cosines = prototypes @ picture
    assert first.adjusted_similarities(cosines, picture).tolist() == pytest.approx(
        second.adjusted_similarities(cosines, picture).tolist(), abs=1e-6
    )


@pytest.mark.parametrize("fitted", [True, False])
def test_no_cosine_falls(alignment, fitted):
    """Examples can only raise a label's cosine; labels without examples keep theirs bit for bit."""
    prototypes, pictures = vectors(5), vectors(200, 3)
    index = fit_few_shot(list(zip([1, 1, 4], vectors(3, 2), strict=True)), prototypes, alignment if fitted else None)
    for picture in pictures:
        cosines = prototypes @ picture
        adjusted = index.adjusted_similarities(cosines, picture)
        assert (adjusted >= cosines).all()
        assert adjusted[[0, 2, 3]].tobytes() == cosines[[0, 2, 3]].tobytes()


def test_nothing_taught_is_nothing(alignment):
    """Without examples the few-shot index is absent."""
    assert fit_few_shot([], vectors(3), alignment) is None


def test_without_an_alignment_one_example_is_a_prototype_on_the_scale_of_texts():
    """It wins if its cosine, times 1.2 of the example's own cosine to the nearest text, is above all others."""
    prototypes, example = vectors(4), vectors(1, 2)[0]
    scale = LEAD * (prototypes @ example).max()
    index, won = fit_few_shot([(2, example)], prototypes, None), []
    for picture in vectors(300, 3):
        cosines = prototypes @ picture
        own = max(cosines[2], scale * (example @ picture))
        won.append(bool(own > np.delete(cosines, 2).max()))
        assert (index.adjusted_similarities(cosines, picture).argmax() == 2) == won[-1]
    assert 50 < sum(won) < 250


def test_what_leads_most_stays_first_and_is_a_cosine():
    """For any lead a cosine is at most 1, and the nearer of two labels stays ahead."""
    lead = np.linspace(-2, 3, 60, dtype=np.float32)
    for best in np.float32([-0.5, 0.0, 0.6, 0.9, 1.0]):
        cosines = bounded_lead(best, lead)
        assert cosines.max() <= 1
        assert (np.diff(cosines) >= 0).all()
        assert (cosines[lead < 0] < best).all()
        assert (cosines[lead > 0] > best).all() or best == 1


def test_an_alignment_is_read_as_it_was_written(tmp_path, alignment):
    """Only its maps are rounded to 16 bits."""
    alignment.save(tmp_path / "likeness.npz")
    read = ImageAlignment.load(tmp_path / "likeness.npz")
    assert (read.margins, read.scale, read.means, read.known) == ((0.1,), 0.7, False, KNOWN_BY_EXAMPLES)
    for mine, its in ((alignment.images, read.images), (alignment.texts, read.texts)):
        assert its.dtype == np.float32
        assert its.tolist() == mine.astype(np.float16).tolist()


def test_examples_count_by_their_mean_with_a_margin_for_their_number(tmp_path):
    """A label with means leads by the picture's cosine to them, plus the margin for its number of examples."""
    ImageAlignment(None, None, margins=(0.3, 0.2), means=True, known=0.6).save(tmp_path / "likeness.npz")
    alignment = ImageAlignment.load(tmp_path / "likeness.npz")
    prototypes, shown, picture = vectors(5), vectors(4, 2), vectors(1, 1)[0]
    cosines = prototypes @ picture
    for count, margin in ((1, 0.3), (2, 0.2), (3, 0.2), (4, 0.2)):
        index = fit_few_shot([(2, vector) for vector in shown[:count]], prototypes, alignment)
        own = float(unit(shown[:count].sum(axis=0)) @ picture)
        lead = np.float32([own - float(cosines.max()) + margin])
        expected = max(float(cosines[2]), float(bounded_lead(cosines.max(), lead)[0]))
        assert float(index.adjusted_similarities(cosines, picture)[2]) == pytest.approx(expected, abs=1e-5)
        assert index.is_known(picture) == (own > 0.6)
        assert index.is_known(unit(shown[:count].sum(axis=0)))


def test_what_no_text_fits_is_known_by_examples_alone_when_it_is_very_near():
    """For a taught thing far from all labels, similar pictures are known; those merely nearer to it are not."""
    label, thing, background = np.eye(SIZE, dtype=np.float32)[:3]
    prototypes = np.stack([label, -thing])  # the second label's text says nothing of its pictures
    same = ImageAlignment(None, None, margins=(0.0,))
    labels = (Label("tea"), Label("frog"))

    def known(picture, examples):
        label_set = LabelSet(labels, prototypes, "1", fit_few_shot(examples, prototypes, same), rivals=background[None])
        recogniser = Recogniser(label_set, 10.0, known_margin=0.1)
        return recogniser.recognise(unit(picture), top_k=1, threshold=0.8)

    picture = thing + 0.2 * background
    assert known(picture, []).known is False
    answer = known(picture, [(1, thing)])
    assert (answer.item, answer.known) == ("frog", True)
    answer = known(thing + 0.6 * background, [(1, thing)])
    assert (answer.item, answer.known) == ("frog", False)
    assert known(label, [(1, thing)]).item == "tea"


def test_a_taught_name_says_less_where_the_examples_disagree():
    """The name "cloth" also fits a coat, which is far from the examples, so its cosine is lowered there.

    It is not lowered for pictures like the examples, for labels without examples, and without an alignment.
    """
    cloth, coat, towel = np.eye(SIZE, dtype=np.float32)[:3]
    prototypes = np.stack([unit(cloth + coat + towel), -cloth])
    same = ImageAlignment(None, None, margins=(0.0,), means=True, known=0.8)
    cosines = prototypes @ coat
    index = fit_few_shot([(0, towel)], prototypes, same)
    assert index.names_as_evidence(cosines, coat).tolist() == pytest.approx([cosines[0] - 0.8 * LACKING, cosines[1]])
    assert index.names_as_evidence(prototypes @ towel, towel).tolist() == (prototypes @ towel).tolist()
    unaligned = fit_few_shot([(0, towel)], prototypes, None)
    assert unaligned.names_as_evidence(cosines, coat).tolist() == cosines.tolist()
    for few_shot, known in ((None, True), (index, False)):
        label_set = LabelSet((Label("cloth"), Label("tea")), prototypes, "1", few_shot, rivals=-towel[None])
        recogniser = Recogniser(label_set, 10.0, known_margin=0.2)
        assert recogniser.recognise(coat, top_k=1, threshold=0.8).known is known


def test_vectors_are_mapped_to_unit_vectors(alignment):
    """One vector or several are mapped."""
    assert np.linalg.norm(apply_affine(vectors(3), alignment.images), axis=1).tolist() == pytest.approx(
        [1, 1, 1], abs=1e-6
    )
    assert apply_affine(vectors(3), alignment.images)[1].tolist() == pytest.approx(
        apply_affine(vectors(3)[1], alignment.images).tolist(), abs=1e-6
    )


LEADS = st.lists(st.floats(-2, 2, width=32), min_size=2, max_size=8)


@given(st.floats(-1, 1, width=32), LEADS)
def test_a_lead_stays_a_cosine_and_keeps_its_order(best, leads):
    """The result rises with the lead, is at most 1, and a negative lead is subtracted in full."""
    leads = np.sort(np.float32(leads))
    cosines = bounded_lead(np.float32(best), leads)
    assert (np.diff(cosines) >= 0).all()
    assert (cosines <= 1).all()
    behind = leads <= 0
    assert np.allclose(cosines[behind], best + leads[behind], atol=1e-6)
    assert (cosines[~behind] >= np.float32(best)).all()


def test_factors_weigh_numbers_before_the_length_is_made_1():
    """A map of factors, saved and read, equals a diagonal matrix without an offset."""
    factors, shown = np.float32([2, 1, 0, 1, 0.5, 1, 1, 3]), vectors(5)
    diagonal = np.vstack([np.diag(factors), np.zeros(SIZE, np.float32)])
    assert apply_affine(shown, factors) == pytest.approx(apply_affine(shown, diagonal), abs=1e-6)
