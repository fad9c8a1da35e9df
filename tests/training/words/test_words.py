"""The space of pictures and texts, and the text tower, on a small WordNet and small numbers."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch")

from app.errors import TrainingError  # noqa: E402
from app.training.words import kinds as kinds_module  # noqa: E402
from app.training.words import space as space_module  # noqa: E402
from app.training.words.kinds import Kinds, read_kinds  # noqa: E402
from app.training.words.minilm import PACKAGE, EightBits, FourBits, open_minilm  # noqa: E402
from app.training.words.space import Head, Space, fit_space  # noqa: E402
from app.training.words.text_tower import Embedder, fit_tower, write_text  # noqa: E402
from app.training.words.texts import Texts, collect  # noqa: E402
from app.training.words.wordnet import WordNet, read_wordnet  # noqa: E402

DATA = """  1 This line is of the licence
00001930 03 n 01 physical_entity 0 000 | what there is
00021265 03 n 01 food 0 001 @ 00001930 n 0000 | what is eaten
00000010 05 n 02 dog 0 domestic_dog 0 001 @ 00001930 n 0000 | barks
00000011 05 n 01 beagle 0 001 @ 00000010 n 0000 | a dog
00000012 05 n 01 pug 0 001 @ 00000010 n 0000 | a dog
00000013 05 n 01 puppy 0 001 @ 00000010 n 0000 | a young dog
00000020 13 n 01 apple 0 001 @ 00021265 n 0000 | a fruit
00000021 13 n 01 Granny_Smith 0 001 @ 00000020 n 0000 | a green one
00000022 13 n 01 banana 0 001 @ 00021265 n 0000 | a yellow fruit
"""
INDEX = "  1 licence\n" + "\n".join(
    f"{name} n 1 1 @ 1 0 {offset}  "
    for name, offset in [
        ("physical_entity", "00001930"), ("food", "00021265"), ("dog", "00000010"), ("domestic_dog", "00000010"),
        ("beagle", "00000011"), ("pug", "00000012"), ("puppy", "00000013"), ("apple", "00000020"),
        ("granny_smith", "00000021"), ("banana", "00000022"),
    ]
)  # fmt: skip
CLASSES = "label,name,coarse_name\n0,Granny-Smith,Apple\n1,Royal-Gala,Apple\n2,Banana,Banana\n"
BEAGLE, PUG, BANANA, SHOP_GRANNY, SHOP_GALA, SHOP_BANANA = range(6)


@pytest.fixture
def wordnet(tmp_path: Path) -> WordNet:
    (tmp_path / "data.noun").write_text(DATA)
    (tmp_path / "index.noun").write_text(INDEX)
    return read_wordnet(tmp_path)


@pytest.fixture
def kinds(wordnet: WordNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kinds:
    monkeypatch.setattr(kinds_module, "imagenet_synsets", lambda: ["n00000011", "n00000012", "n00000022"])
    (tmp_path / "classes.csv").write_text(CLASSES)
    return read_kinds(wordnet, tmp_path / "classes.csv")


@pytest.fixture
def space(kinds: Kinds, monkeypatch: pytest.MonkeyPatch) -> Space:
    for name, size in {"LOOKS": 5, "GOODS": 3, "KINDS": 4}.items():
        monkeypatch.setattr(space_module, name, size)
    rng = np.random.default_rng(0)
    classifier = rng.normal(size=(3, 8)).astype(np.float32)
    labels = np.arange(30) % 3
    features = rng.normal(size=(3, 16))[labels] * 3 + rng.normal(size=(30, 16)) * 0.3
    return fit_space(
        features.astype(np.float32), labels, np.zeros(8, np.float32), classifier, np.zeros(3, np.float32),
        kinds.tree(4), kinds.food,
    )  # fmt: skip


def test_wordnet_is_read_with_names_parents_and_senses(wordnet: WordNet):
    """Underscores become spaces, ancestors are counted in steps, and a name leads to its synset."""
    assert wordnet.synsets["n00000010"].names == ("dog", "domestic dog")
    assert wordnet.above("n00000011") == {"n00000011": 0, "n00000010": 1, "n00001930": 2}
    assert wordnet.senses["domestic dog"] == ["n00000010"]


def test_a_folder_without_wordnet_says_how_to_get_it(tmp_path: Path):
    """The error names the package."""
    with pytest.raises(TrainingError, match="apt-get install wordnet-base"):
        read_wordnet(tmp_path / "missing")


def test_a_grocery_is_the_food_of_its_name_or_a_new_kind_below_its_coarse_class(kinds: Kinds):
    """The shop's banana is ImageNet's, a Granny Smith is WordNet's, a Royal Gala is a new kind of apple."""
    assert kinds.synsets[SHOP_BANANA] == kinds.synsets[BANANA]
    assert kinds.synsets[SHOP_GRANNY] == "n00000021"
    assert kinds.wordnet.above(kinds.synsets[SHOP_GALA])["n00000020"] == 1


def test_a_kind_consists_of_its_classes_in_equal_shares(kinds: Kinds):
    """A dog is half beagle and half pug; a puppy, which is no class, is most like a dog."""
    assert kinds.shares("n00000010").tolist() == [0.5, 0.5, 0, 0, 0, 0]
    shares, sure = kinds.near("n00000013")
    assert shares[[BEAGLE, PUG]].sum() > 0.8
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert 0 < sure < 1
    assert kinds.food.tolist() == [0, 0, 1, 1, 1, 1]


def test_the_tree_is_the_nearer_the_more_ancestry_two_classes_share(kinds: Kinds):
    """Two apples are nearer than an apple and a banana, and these than an apple and a dog."""
    near = (tree := kinds.tree(6)) @ tree.T
    assert near[SHOP_GRANNY, SHOP_GALA] > near[SHOP_GRANNY, SHOP_BANANA] > near[SHOP_GRANNY, BEAGLE]
    assert np.allclose(np.diag(near), 1, atol=1e-4)


def test_all_nouns_that_can_be_seen_are_texts(kinds: Kinds):
    """Classes, their kinds, nouns near them and the shop's names are texts; the last count in full."""
    texts = collect(kinds, [("granny smith apple",), ("royal gala apple", "royal gala"), ("banana",)])
    assert {"beagle", "dog", "domestic dog", "puppy", "royal gala", "Granny Smith"} <= set(texts.texts)
    assert texts.weights[texts.texts.index("puppy")] < texts.weights[texts.texts.index("royal gala")] == 1
    assert np.allclose(texts.shares.sum(1), 1, atol=1e-5)


def test_a_picture_lies_where_its_class_is_named(space: Space):
    """Features of a grocery are nearest to that grocery's name, and the space survives its file."""
    rng = np.random.default_rng(0)
    rng.normal(size=(3, 8))
    features = rng.normal(size=(3, 16)).astype(np.float32) * 3
    names = space.names(np.eye(6, dtype=np.float32)[3:])
    assert (space.pictures(features) @ names.T).argmax(1).tolist() == [0, 1, 2]
    assert np.allclose(np.linalg.norm(names, axis=1), 1, atol=1e-5)


def test_what_is_no_food_has_no_goods(space: Space):
    """The length of goods is the posterior probability of food, so a dog has none."""
    features = torch.zeros(1, 16)
    features[0, :8] = 50 * torch.from_numpy(space.classifier[BEAGLE])
    parts = Head(space)(features)[0].split([5, 3, 4])
    assert parts[1].norm() < 1e-3
    assert parts[0].norm() > 0.1


def test_a_picture_of_nothing_sure_says_little_of_its_kind(space: Space):
    """Kinds are centred, and the kind of an undecided posterior is shorter than that of a decided one."""
    assert np.abs(space.kinds.mean(0)).max() < 1e-6
    features = torch.zeros(2, 16)
    features[1, :8] = 50 * torch.from_numpy(space.classifier[BEAGLE])
    undecided, decided = Head(space)(features).split([5, 3, 4], dim=-1)[2].norm(dim=-1).tolist()
    assert undecided < decided


def test_a_space_is_read_as_it_was_written(space: Space, tmp_path: Path):
    """Every array survives the file."""
    space.save(tmp_path / "space.npz")
    read = Space.load(tmp_path / "space.npz")
    assert all(np.array_equal(value, vars(read)[name]) for name, value in vars(space).items())


@pytest.mark.parametrize(("kind", "least"), [(EightBits, 0.9999), (FourBits, 0.99)])
def test_small_weights_are_nearly_the_weights(kind: type, least: float):
    """8-bit weights keep the directions of rows nearly exactly, 4-bit weights within one percent."""
    weight = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32))
    small = kind(weight)(torch.arange(20)) if kind is FourBits else kind(weight)()
    assert torch.nn.functional.cosine_similarity(small, weight).min() > least


@pytest.mark.skipif(not __import__("importlib").util.find_spec(PACKAGE), reason=f"the package {PACKAGE} is missing")
def test_minilm_reads_a_prompt_as_its_subject(tmp_path: Path):
    """Case, padding and a prompt's words around its subject change nothing; other scripts are read without error."""
    encoder, tokenizer = open_minilm()
    embed = Embedder(encoder, tokenizer)
    dog, *same = embed(["dog", "DOG", "a photo of a dog.", "The picture of a dog", "a dog"])
    assert min(float(dog @ other) for other in same) > 0.999
    long = embed(["dog", "a very long text about something else " * 20])
    assert float(dog @ long[0]) > 0.999
    odd = embed(["狗", "собака", "", "🐕"])
    assert np.isfinite(odd).all()
    puppy, chair = embed(["puppy", "chair"])
    assert float(dog @ puppy) > float(dog @ chair) + 0.2


@pytest.mark.skipif(not __import__("importlib").util.find_spec(PACKAGE), reason=f"the package {PACKAGE} is missing")
def test_the_exported_tower_lands_texts_where_they_were_put(tmp_path: Path):
    """text.onnx maps fitted texts to their targets, alone or in a batch, and a similar word near them."""
    encoder, tokenizer = open_minilm()
    texts = Texts(["dog", "cat", "chair", "banana"], np.eye(4, dtype=np.float32), np.ones(4, np.float32))
    targets = np.eye(4, 8, dtype=np.float32)
    tower = fit_tower(encoder, Embedder(encoder, tokenizer)(texts.texts), texts, targets)
    write_text(tower, tokenizer, tmp_path)
    session = onnxruntime.InferenceSession(str(tmp_path / "text.onnx"), providers=["CPUExecutionProvider"])

    def run(words: list[str]) -> np.ndarray:
        tokens = np.array([encoding.ids for encoding in tokenizer.encode_batch(words)])
        found = session.run(["embedding"], {"tokens": tokens})[0]
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    together = run(["dog", "cat", "chair", "banana", "puppy"])
    assert together.argmax(1).tolist() == [0, 1, 2, 3, 0]
    assert np.abs(together[2] - run(["chair"])[0]).max() < 1e-4


def test_what_is_taught_is_weighed_part_by_part(space: Space):
    """There is one factor per dimension, and goods have less weight than looks."""
    alignment = space_module.taught()
    assert alignment.images.shape == alignment.texts.shape == (5 + 3 + 4,)
    assert alignment.images[0] > alignment.images[5] > alignment.images[8]
    assert list(alignment.margins) == sorted(alignment.margins, reverse=True)
