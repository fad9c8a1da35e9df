"""An export puts a complete, verified bundle in its place, or changes nothing."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from app.errors import BundleError, EngineError, ExportError
from app.exporter import graph
from app.exporter.export import export
from app.exporter.gate import check, installed_engines, onnxruntime
from app.exporter.open_clip_import import import_open_clip
from app.exporter.recipe import read_recipe
from app.exporter.staging import _put
from app.exporter.towers import PictureTower
from app.exporter.weights import ask_original, build, rebuild
from app.model.bundle import open_bundle, sha256_of
from app.model.encoder import Encoder
from app.model.engines.choice import open_engine
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from tests.exporter.conftest import silence

ROOT = Path(__file__).parents[2]


FULL_SIZE = pytest.param("ViT-B-32", marks=pytest.mark.full_size)


@pytest.fixture(scope="module", params=["Tiny", FULL_SIZE])
def pair(request, tmp_path_factory, written):
    """Bundles with GELU and with QuickGELU and the same random weights, and the rows of their gate."""
    models = tmp_path_factory.mktemp("pair")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.exporter.export.write_graph", written)
        names = request.param, f"{request.param}-quickgelu"
        return [export(read_recipe(name, "none"), models, onnxruntime, silence) for name in names]


def recheck(bundle, weights, engines, say):
    """Check a bundle as `models check` does."""
    return check(bundle, ask_original(rebuild(bundle, weights, say)), engines, say)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_clip_is_equal_from_jpeg_bytes_and_plain_text(pair):
    """With either activation: float32 keeps a cosine of 0.9999 and far more, and tokens are identical."""
    for folder, row in pair:
        assert row.passed
        assert min(row.pictures, row.prompts) > 0.999999
        size = open_bundle(folder).config.embedding_size
        assert size == (512 if "ViT-B-32" in folder.name else 32)


def test_every_engine_is_close_to_a_clip(pair):
    """A later check rebuilds the original; each installed engine passes in each of its precisions."""
    _, (quick, _) = pair
    rows = recheck(open_bundle(quick), None, installed_engines(), silence)
    assert rows[0].engine == "onnxruntime float32"
    assert all(row.passed for row in rows), rows


def test_the_wrong_activation_is_caught(pair):
    """The two activations give two bundles, and neither passes as the other, even with random weights."""
    right, wrong = (open_bundle(folder) for folder, _ in pair)
    assert wrong.config.sha256["tokenizer.json"] == right.config.sha256["tokenizer.json"]
    assert wrong.checksum != right.checksum
    recipe = read_recipe(right.config.source.model, "none")
    [row] = check(wrong, ask_original(build(recipe, silence)), [onnxruntime], silence)
    assert not row.passed
    assert row.same_tokens


@pytest.mark.parametrize("pair", [FULL_SIZE], indirect=True)  # two layers of random weights differ too little
def test_the_wrong_activation_is_refused_at_start(pair, tmp_path):
    """A tower with the other activation and a checksum that fits: the service does not start with it, and says why."""
    right, wrong = (folder for folder, _ in pair)
    assert open_engine("onnxruntime", open_bundle(right), 2, tmp_path).name == "onnxruntime float32"
    config = json.loads((right / "config.json").read_text())
    for tower in ("visual.onnx", "text.onnx"):
        mixed = tmp_path / tower
        mixed.mkdir()
        for path in right.iterdir():
            (mixed / path.name).symlink_to((wrong if path.name == tower else right) / path.name)
        (mixed / "config.json").unlink()
        theirs = open_bundle(wrong).config.sha256[tower]
        (mixed / "config.json").write_text(json.dumps(config | {"sha256": config["sha256"] | {tower: theirs}}))
        with pytest.raises(EngineError, match="is not the model that it says it is") as raised:
            open_engine("onnxruntime", open_bundle(mixed), 2, tmp_path)
        assert "\n" not in str(raised.value)


def test_a_resnet_needs_no_special_case(make):
    """Convolutions with attention pooling pass the same gate."""
    assert open_bundle(make("TinyResNet")).config.image_size == 64


def test_a_siglip_needs_no_special_case(make):
    """A picture tower of timm's and texts that are not causal pass with every engine; the bias is a cosine."""
    bundle = open_bundle(make("TinyTimm"))
    assert all(row.passed for row in recheck(bundle, None, installed_engines(), silence))
    config = bundle.config
    assert config.calibration.label_cosine == pytest.approx(10 / config.logit_scale)
    assert config.calibration.temperature is None
    assert "| logit bias | -10.0000: a label is as likely shown" in (bundle.folder / "MODEL_CARD.md").read_text()


def test_a_bundle_says_what_it_is(make):
    """config.json has the values for serving and their origin; every other file is in its checksums."""
    folder = make(seed=1)
    config = json.loads((folder / "config.json").read_text())
    assert config["name"] == folder.name == "Tiny-none"
    assert (config["image_size"], config["context_length"], config["embedding_size"]) == (32, 77, 32)
    assert config["source"] == {"model": "Tiny", "pretrained": "none", "seed": 1, "sha256": None}
    assert config["logit_scale"] == pytest.approx(1 / 0.07)
    assert "random weights, seed 1" in config["origin"]
    assert set(config["sha256"]) | {"config.json"} == set(contents(folder))
    bundle = open_bundle(folder)
    vectors = Encoder(bundle.tokenize, OnnxRuntimeEngine(bundle, 1), 32).prompts(["an apple", "milk"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "tag"), [("Tiny", "quick"), ("Tiny-quickgelu", "quick"), ("Tiny-quickgelu", "plain")]
)
def test_published_weights_bring_their_activation_and_preprocessing(make, monkeypatch, tmp_path, model, tag):
    """The tag decides over the name; the file's checksum is kept; the check finds the same original again."""
    path = tmp_path / "open_clip_model.safetensors"
    save_file(build(read_recipe("Tiny", "none", 1), silence).model.state_dict(), path)
    asked = []
    monkeypatch.setattr(import_open_clip().pretrained, "download_pretrained", lambda entry: asked.append(entry) or path)
    monkeypatch.setattr("app.exporter.export.read_licence", {f"someone/{tag}": "mit"}.get)
    folder = make(model, tag)
    config = open_bundle(folder).config
    assert (config.name, config.licence) == (f"{model}-{tag}", "mit")
    assert (config.resize_mode, config.interpolation, config.mean) == ("squash", "bilinear", (0.5, 0.5, 0.5))
    assert config.source.sha256 == sha256_of(path)
    assert f"from someone/{tag} " in config.origin
    assert f"| activation | {'QuickGELU' if tag == 'quick' else 'GELU'} |" in (folder / "MODEL_CARD.md").read_text()
    assert all(row.passed for row in recheck(open_bundle(folder), None, [onnxruntime], silence))
    assert [entry["hf_hub"] for entry in asked] == [f"someone/{tag}/"] * 2


def test_a_bundle_of_a_file_is_checked_with_that_file(make, tmp_path):
    """It is named after the file's stem; the check wants the file, and no other."""
    path, other = tmp_path / "mine.v2.safetensors", tmp_path / "other.safetensors"
    save_file(build(read_recipe("Tiny", "none", 1), silence).model.state_dict(), path)
    save_file(build(read_recipe("Tiny", "none", 0), silence).model.state_dict(), other)
    bundle = open_bundle(make("Tiny", str(path)))
    assert bundle.config.name == "Tiny-mine.v2"
    assert str(tmp_path) not in (bundle.folder / "config.json").read_text()
    assert recheck(bundle, str(path), [onnxruntime], silence)[0].passed
    with pytest.raises(ExportError, match="made of the file mine.v2.safetensors: say where it is with --weights"):
        recheck(bundle, None, [onnxruntime], silence)
    with pytest.raises(ExportError, match="these are not the weights of Tiny-mine.v2: sha256"):
        recheck(bundle, str(other), [onnxruntime], silence)


def test_a_new_export_takes_the_old_ones_place(make):
    """The whole folder is replaced, and no other folder is left."""
    first = contents(make(seed=0))
    folder = make(seed=1)
    assert contents(folder)["visual.onnx"] != first["visual.onnx"]
    assert open_bundle(folder).config.source.seed == 1
    assert list(folder.parent.iterdir()) == [folder]
    assert contents(make(seed=0)) == first


def test_a_reader_finds_a_bundle_at_any_moment(tmp_path):
    """The exchange is atomic: a reader always finds the old bundle or the new one."""
    place, other = tmp_path / "bundle", tmp_path / "staging"
    for folder in (place, other):
        folder.mkdir()
        (folder / "config.json").write_text(folder.name)
    done, seen = threading.Event(), set()

    def look() -> None:
        while not done.is_set():
            seen.add((place / "config.json").read_text())

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(2001):
        _put(other, place)
    done.set()
    reader.join()
    assert seen == {"bundle", "staging"}
    assert (place / "config.json").read_text() == "staging"


def test_without_an_exchange_the_old_bundle_comes_back(tmp_path, monkeypatch):
    """Without an atomic exchange, a failed move is undone; a successful one has the same result."""
    monkeypatch.setattr("app.exporter.staging._exchange", lambda one, other: False)
    place, other = tmp_path / "bundle", tmp_path / "staging" / "bundle"
    for folder in (place, other):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(folder.parent.name)
    _put(other, place)
    assert (place / "config.json").read_text() == "staging"
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        _put(tmp_path / "empty" / "bundle", place)
    assert (place / "config.json").read_text() == "staging"


def test_a_folder_that_cannot_be_written_is_one_line(make, tmp_path):
    """The line has the system's error message."""
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ExportError, match="Tiny-none cannot be written: File exists"):
        make()


def test_a_bundle_that_fails_is_not_written(make, monkeypatch):
    """A bundle that differs from open_clip is refused in one line, and the valid bundle of that name stays."""
    folder = make(seed=1)
    before = contents(folder)
    other = build(read_recipe("Tiny", "none", 1), silence).model
    monkeypatch.setattr("app.exporter.export.PictureTower", lambda model: PictureTower(other))
    with pytest.raises(ExportError, match="Tiny-none is refused.*least cosine -?0.* of pictures and 1.0") as raised:
        make(seed=0)
    assert "\n" not in str(raised.value)
    assert contents(folder) == before
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("place", ["tokenizer.json", "visual.onnx", "text.onnx", "config.json"])
def test_an_export_that_breaks_off_leaves_nothing(make, written, monkeypatch, tmp_path, place):
    """An interruption at any point leaves no folder, complete or partial."""

    def interrupt(*_):
        raise KeyboardInterrupt

    def write(*arguments):
        (interrupt if arguments[3].name == place else written)(*arguments)

    name, broken = {
        "tokenizer.json": ("make_tokenizer", interrupt),
        "config.json": ("write_config", interrupt),
    }.get(place, ("write_graph", write))
    monkeypatch.setattr(f"app.exporter.export.{name}", broken)
    with pytest.raises(KeyboardInterrupt):
        make()
    assert list((tmp_path / "models").iterdir()) == []


def test_a_stranger_is_not_overwritten(make, tmp_path):
    """A folder of the bundle's name that is not a bundle is left alone, before any work is done."""
    (tmp_path / "models/Tiny-none").mkdir(parents=True)
    (tmp_path / "models/Tiny-none/diary.txt").write_text("dear diary")
    with pytest.raises(ExportError, match="exists and is not a bundle"):
        make()
    assert contents(tmp_path / "models/Tiny-none") == {"diary.txt": b"dear diary"}


def test_a_model_without_a_graph_is_one_line(make, monkeypatch):
    """If torch's exporter fails, its pages of advice are suppressed."""

    def fail(*_, **__):
        raise RuntimeError("no such operator\nplease read on\nand on")

    monkeypatch.setattr("app.exporter.export.write_graph", fail)
    with pytest.raises(ExportError, match="torch cannot write visual.onnx of this model as a graph: no such operator$"):
        make()


def test_weights_too_large_for_one_file_lie_beside_it(make, monkeypatch):
    """Above 2 GB (forced here), a graph's weights are a separate file, which is also in the checksums."""
    monkeypatch.setattr(
        "app.exporter.export.write_graph", lambda *arguments: graph.write_graph(*arguments, external=True)
    )
    folder = make()
    bundle = open_bundle(folder)
    assert {"visual.onnx.data", "text.onnx.data"} <= bundle.config.sha256.keys()
    assert (folder / "visual.onnx").stat().st_size < 100_000
    assert recheck(bundle, None, installed_engines(), silence)[0].passed
    (folder / "visual.onnx.data").write_bytes(b"other weights")
    with pytest.raises(BundleError, match="visual.onnx.data is not the file of this bundle"):
        open_bundle(folder)


@pytest.mark.parametrize("logarithm", [1000.0, float("inf"), float("nan")])
def test_a_scale_that_is_not_finite_is_refused(make, tmp_path, logarithm):
    """Weights whose logit_scale overflows, or is not a number, give no bundle."""
    weights = build(read_recipe("Tiny", "none"), silence).model.state_dict()
    save_file(weights | {"logit_scale": torch.tensor(logarithm)}, tmp_path / "odd.safetensors")
    with pytest.raises(ExportError, match="logit_scale is exp"):
        make("Tiny", str(tmp_path / "odd.safetensors"))
    assert not list((tmp_path / "models").glob("*"))


def test_without_a_connection_nothing_is_left(tmp_path):
    """A tag that cannot be downloaded is one line that says what to do; no folder appears."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    command = [sys.executable, "-W", "error", "-m", "app", "models", "export", "ViT-B-32", "openai"]
    done = subprocess.run(
        [*command, "--models", str(tmp_path / "models")], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (2, "")
    progress, line = done.stderr.splitlines()
    assert progress.startswith("larder: fetching the weights openai of ViT-B-32")
    assert line.startswith("larder: the weights openai of ViT-B-32 cannot be downloaded; without a connection give ")
    assert not (tmp_path / "models").exists()
