"""A bundle matches its config, or it is rejected with one clear line."""

import hashlib
import json

import numpy as np
import onnx
import pytest

from app.errors import BundleError
from app.model.bundle import external_files, find_bundle, open_bundle
from app.text import clean
from tests.bundles import write_bundle


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "models" / "tiny")


def refusal(folder) -> str:
    with pytest.raises(BundleError) as raised:
        open_bundle(folder)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_good_bundle_opens(folder):
    """Config, tokenizer and the form of its pictures are there."""
    bundle = open_bundle(folder)
    assert bundle.config.name == "tiny"
    assert bundle.config.image_form.size == 8
    assert bundle.tokenize(["Red!", "blue " * 20]).shape == (2, 8)
    assert bundle.tokenize(["red"]).dtype == np.int64


@pytest.mark.parametrize(("text", "tokens"), [("red", 1), ("Red  green", 2), ("blue " * 8, 8)])
def test_tokens_are_counted(folder, text, tokens):
    """For a text that fits, all tokens are counted."""
    assert open_bundle(folder).count_tokens(text) == tokens


@pytest.mark.parametrize("name", ["tiny", "larder-small"])
def test_a_text_that_is_cut_has_more_tokens_than_the_context(folder, name):
    """One word too many, in a bundle made by hand and in the real one, and what is cut is what is counted."""
    bundle = open_bundle(find_bundle(name) if name != "tiny" else folder)
    length, texts = bundle.config.context_length, ["red " * words for words in range(1, 140)]
    fitting = [text for text in texts if bundle.count_tokens(text) <= length]
    assert bundle.count_tokens(fitting[-1]) == length
    tokens = bundle.tokenize([*fitting, texts[len(fitting)]])
    assert len(np.unique(tokens[:-1], axis=0)) == len(fitting)
    assert (tokens[-1] == tokens[-2]).all()


def test_the_checksum_names_the_vectors(folder, tmp_path):
    """Another name or calibration leaves it, another preprocessing changes it."""
    first = open_bundle(folder).checksum
    assert open_bundle(write_bundle(tmp_path / "a", name="other", calibration=None)).checksum == first
    assert open_bundle(write_bundle(tmp_path / "b", mean=[0.4, 0.5, 0.5])).checksum != first


def test_a_bundle_is_found_by_name_or_folder(folder, tmp_path):
    """A name is looked up under models/, a path is taken as it is, and an unknown one lists what there is."""
    assert find_bundle("tiny", tmp_path / "models") == folder
    assert find_bundle(str(folder), tmp_path / "nowhere") == folder
    with pytest.raises(BundleError, match="no model bundle 'huge'.*there are: tiny"):
        find_bundle("huge", tmp_path / "models")


@pytest.mark.parametrize("name", ["visual.onnx", "text.onnx", "tokenizer.json", "MODEL_CARD.md"])
def test_a_changed_file_is_refused(folder, name):
    """An extra byte, a truncated file and a missing file are each reported."""
    path = folder / name
    content = path.read_bytes()
    for broken in (content + b" ", content[:-1], b""):
        path.write_bytes(broken)
        assert f"{name} is not the file of this bundle" in refusal(folder)
    path.unlink()
    assert f"{name} cannot be read" in refusal(folder)


def test_swapped_graphs_are_refused(folder):
    """The picture tower in place of the text tower is noticed."""
    visual, text = folder / "visual.onnx", folder / "text.onnx"
    content = visual.read_bytes()
    visual.write_bytes(text.read_bytes())
    text.write_bytes(content)
    assert "visual.onnx is not the file of this bundle" in refusal(folder)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(tmp_path, version):
    """A bundle of a later Larder is reported as such, before anything else."""
    folder = write_bundle(tmp_path / "later", format_version=version, a_new_field=1)
    assert f"format_version {version!r}; this Larder reads 1" in refusal(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("logit_scale", -1), ("resize_mode", "stretch"), ("mean", [0.5]), ("embedding_size", "many"), ("extra", 1)],
)
def test_a_wrong_config_names_the_field(tmp_path, field, value):
    """The line says which field, what was found and what is wanted."""
    message = refusal(write_bundle(tmp_path / "wrong", **{field: value}))
    assert field in message
    assert repr(value)[1:-1] in message


def test_nothing_is_divided_by_zero(tmp_path):
    """A standard deviation has to be above 0."""
    assert "std.2: Input should be greater than 0, 0 was found" in refusal(
        write_bundle(tmp_path / "flat", std=[1, 1, 0])
    )


def test_a_config_without_a_field_names_it(folder):
    """The line has the field, and not the rest of the file."""
    config = json.loads((folder / "config.json").read_text())
    del config["image_size"]
    (folder / "config.json").write_text(json.dumps(config))
    assert refusal(folder).endswith("config.json: image_size: Field required")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_config_that_is_no_config_is_refused(folder, content):
    """Broken JSON is also a one-line error."""
    (folder / "config.json").write_bytes(content)
    assert "config.json" in refusal(folder)


def test_a_tokenizer_that_is_none_is_refused(folder):
    """A tokenizer file with a right checksum and wrong content is one line too."""
    import hashlib

    (folder / "tokenizer.json").write_text("{}")
    config = json.loads((folder / "config.json").read_text())
    config["sha256"]["tokenizer.json"] = hashlib.sha256(b"{}").hexdigest()
    (folder / "config.json").write_text(json.dumps(config))
    assert "tokenizer.json cannot be read" in refusal(folder)


def test_texts_are_cleaned_before_they_are_cut_into_tokens():
    """Broken unicode is mended, HTML entities are resolved twice, white space is single."""
    assert clean(" caf\u00c3\u00a9 &amp;amp; \n tea\u00a0") == "café & tea"


def with_external_weights(folder, name: str) -> None:
    """The bundle's text graph with its table in another file, and the graph's checksum corrected."""
    graph = onnx.load(folder / "text.onnx")
    (folder / "text.onnx").unlink()
    onnx.save(graph, folder / "text.onnx", save_as_external_data=True, location=name, size_threshold=0)
    record(folder, "text.onnx")


def record(folder, *names: str) -> None:
    """Put the checksums of files into config.json."""
    config = json.loads((folder / "config.json").read_text())
    config["sha256"] |= {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("name", ["text.onnx.data", "beside.bin", "w" * 200, "gewichte-ä.bin"])
def test_weights_in_a_file_without_a_checksum_are_refused(folder, name):
    """A weights file next to a graph is accepted only if config.json has its checksum."""
    with_external_weights(folder, name)
    assert f"text.onnx has weights in {name!r}, which has no checksum" in refusal(folder)
    record(folder, name)
    assert external_files(folder / "text.onnx") == {name}
    open_bundle(folder)
    (folder / name).write_bytes(b"other weights")
    assert f"{name} is not the file of this bundle" in refusal(folder)


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999"])
@pytest.mark.parametrize(
    "field", ["logit_scale", "mean", "std", "temperature", "known_margin", "label_cosine", "picture"]
)
def test_a_number_that_is_not_finite_is_refused(folder, number, field):
    """JSON lets such numbers in; scores made with them would be NaN."""
    config = json.loads((folder / "config.json").read_text())
    holder = config["calibration"] if field in ("temperature", "known_margin", "label_cosine") else config
    holder = config["proof"] if field == "picture" else holder
    holder[field] = ["mark", *holder[field][1:]] if isinstance(holder.get(field), list) else "mark"
    (folder / "config.json").write_text(json.dumps(config).replace('"mark"', number))
    assert field in refusal(folder)
