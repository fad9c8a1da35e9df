"""Models of the Hugging Face hub become bundles without PyTorch, equal to open_clip, even over bad connections."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save
from tokenizers import Tokenizer, models

from app.components import open_model
from app.errors import ExportError
from app.exporter.clip_graph import write_text, write_visual
from app.exporter.clip_vit import make_clip, read_clip_config
from app.exporter.gate import check, onnxruntime
from app.exporter.hub import NOT_STATED, fetch, licence_of, parse_name
from app.exporter.open_clip_import import import_open_clip
from app.exporter.published import export_published, read_tokenizer, recheck_published
from app.exporter.recipe import read_recipe
from app.exporter.weights import Original, ask_original, build
from app.model.bundle import external_files, open_bundle
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.settings import Settings
from tests.exporter.conftest import ARCHITECTURES, silence
from tests.exporter.hub_stand_in import COMMIT, StandIn, serving
from tests.exporter.test_tokenizer import varied

ROOT = Path(__file__).parents[2]
REPO = "someone/tiny"
CARD = "---\nlicense: mit\n---\n# A model\n"
FORM = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear", "resize_mode": "squash"}


@pytest.fixture(scope="module")
def hub_tokenizer() -> bytes:
    """CLIP's tokenizer as the hub's repositories have it: its special tokens are written with bars."""
    original = import_open_clip().get_tokenizer("ViT-B-32")
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {names.get(token, token): number for token, number in original.encoder.items()}
    return Tokenizer(models.BPE(vocabulary, list(original.bpe_ranks), end_of_word_suffix="</w>")).to_str().encode()


@pytest.fixture(scope="module")
def original() -> Original:
    """The model Tiny with random weights, as the torch exporter builds it."""
    return build(read_recipe("Tiny", "none"), silence)


@pytest.fixture
def hub(hub_tokenizer, original, tmp_path, monkeypatch):
    """A local fake of the hub with one model, which huggingface_hub uses as the hub."""
    config = {"model_cfg": ARCHITECTURES["Tiny"], "preprocess_cfg": {}}
    files = {
        "open_clip_config.json": json.dumps(config).encode(),
        "open_clip_model.safetensors": save(original.model.state_dict()),
        "tokenizer.json": hub_tokenizer,
        "README.md": CARD.encode(),
    }
    with serving(StandIn(REPO, files)) as stand_in:
        monkeypatch.setattr(constants, "ENDPOINT", stand_in.address)
        addresses = stand_in.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", addresses)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 65536)  # what is kept when a connection breaks off
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("time.sleep", lambda _: None)
        yield stand_in


def asked(hub: StandIn, method: str = "GET") -> list[str]:
    return [name for how, name, _ in hub.requests if how == method]


def test_a_bundle_without_torch_is_the_torch_exporters(hub, shared, tmp_path):
    """Embeddings are equal bit for bit, and the tokenizer file is the same."""
    lines: list[str] = []
    row = export_published(f"hf:{REPO}", tmp_path / "tiny", lines.append)
    ours, theirs = open_bundle(tmp_path / "tiny"), open_bundle(shared)
    assert row.passed
    assert ours.config.sha256["tokenizer.json"] == theirs.config.sha256["tokenizer.json"]
    pixels = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    tokens = ours.tokenize(["an apple", "", "a long text about many things " * 20])
    one, other = OnnxRuntimeEngine(ours, 1), OnnxRuntimeEngine(theirs, 1)
    assert np.array_equal(one.encode_pixels(pixels), other.encode_pixels(pixels))
    assert np.array_equal(one.encode_tokens(tokens), other.encode_tokens(tokens))
    assert "licence of the weights: mit" in lines


def test_a_bundle_says_where_it_comes_from(hub, tmp_path):
    """Repository, commit, checksum and licence are in config.json; a later check finds the same weights again."""
    export_published(f"hf:{REPO}", tmp_path / "tiny", silence)
    bundle = open_bundle(tmp_path / "tiny")
    config = bundle.config
    assert (config.name, config.licence, config.logit_scale) == ("tiny", "mit", pytest.approx(1 / 0.07))
    assert config.source.model_dump() | {"sha256": ""} == {
        "model": f"hf:{REPO}", "pretrained": COMMIT, "seed": None, "sha256": "",
    }  # fmt: skip
    assert f"{REPO} of the Hugging Face hub, commit {COMMIT}" in config.origin
    assert recheck_published(bundle, [onnxruntime], silence)[0].passed
    assert len(asked(hub)) == 4  # each file once: the check takes them from the cache


def small(name: str) -> dict:
    """An architecture of open_clip's with its sizes and heads, two layers and an eighth of its width."""
    config = import_open_clip().get_model_config(name)
    vision, text = config["vision_cfg"], config["text_cfg"]
    vision |= {"layers": 2, "width": vision["width"] // 8, "head_width": vision.get("head_width", 64) // 8}
    text |= {"layers": 2, "width": text["width"] // 8}
    return config


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-32-quickgelu", "ViT-B-16", "ViT-L-14"])
def test_the_plain_computation_and_the_graphs_are_open_clips(name, tmp_path, monkeypatch):
    """Both towers of each form, with non-trivial weights, have a cosine of 0.999999 to open_clip."""
    open_clip, config = import_open_clip(), small(name)
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Small", config)
    torch.manual_seed(0)
    model = open_clip.create_model("Small", pretrained_text=False).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter += torch.randn_like(parameter) / 8
    clip = make_clip(read_clip_config(config), {key: value.numpy() for key, value in model.state_dict().items()})
    size = clip.config.image_size
    pixels = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype(np.float32)
    tokens = open_clip.get_tokenizer(name)(["an apple", "milk " * 30])
    expected = model.encode_image(torch.from_numpy(pixels)).numpy(), model.encode_text(tokens).numpy()
    write_visual(clip, tmp_path / "visual.onnx")
    write_text(clip, tmp_path / "text.onnx")
    for found in (
        (clip.encode_pixels(pixels), clip.encode_tokens(tokens.numpy())),
        (run(tmp_path / "visual.onnx", pixels), run(tmp_path / "text.onnx", tokens.numpy())),
    ):
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def run(path: Path, values: np.ndarray) -> np.ndarray:
    """Run a graph by the plain interpreter of ONNX Runtime."""
    import onnxruntime as library

    session = library.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: values})[0]


def test_graphs_are_valid_onnx(original, tmp_path):
    """The ONNX checker accepts them, shapes included; large weights are in a separate file."""
    tensors = {key: value.numpy() for key, value in original.model.state_dict().items()}
    clip = make_clip(read_clip_config(ARCHITECTURES["Tiny"]), tensors)
    write_visual(clip, tmp_path / "visual.onnx")
    write_text(clip, tmp_path / "text.onnx", largest=1_000_000)
    for name in ("visual.onnx", "text.onnx"):
        onnx.checker.check_model(str(tmp_path / name), full_check=True)
    assert external_files(tmp_path / "visual.onnx") == set()
    assert external_files(tmp_path / "text.onnx") == {"text.onnx.data"}


def test_ids_equal_open_clips(hub_tokenizer, tmp_path):
    """5,000 varied texts give open_clip's ids by the tokenizer of the hub's vocabulary and merges."""
    from app.text import clean

    (tmp_path / "tokenizer.json").write_bytes(hub_tokenizer)
    tokenizer = read_tokenizer(tmp_path / "tokenizer.json", 49408, 77)
    texts = varied(5000)
    found = [encoding.ids for encoding in tokenizer.encode_batch([clean(text) for text in texts])]
    assert found == import_open_clip().get_tokenizer("ViT-B-32")(texts).tolist()


def test_a_connection_that_breaks_off_is_taken_up_again(hub, tmp_path):
    """Only the rest is requested, as often as needed."""
    hub.break_off_after = 3_000_000
    assert export_published(f"hf:{REPO}", tmp_path / "tiny", silence).passed
    ranges = [range_ for how, name, range_ in hub.requests if how == "GET" and name.endswith(".safetensors")]
    assert ranges[0] is None
    assert len(ranges) > 3
    starts = [int(range_.removeprefix("bytes=").rstrip("-")) for range_ in ranges[1:]]
    assert starts == sorted(set(starts))


def test_a_connection_that_stalls_is_taken_up_again(hub, tmp_path, monkeypatch):
    """After HF_HUB_DOWNLOAD_TIMEOUT the rest is requested."""
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    hub.stalls = 2
    assert fetch(f"hf:{REPO}", silence).revision == COMMIT
    assert hub.stalls == 0


@pytest.mark.parametrize("more", [-1000, 1000])
def test_a_size_that_is_a_lie_is_refused(hub, tmp_path, more):
    """Weights of another size than the hub reports are refused; nothing is left, and the next attempt succeeds."""
    hub.said_size = len(hub.files["open_clip_model.safetensors"]) + more
    with pytest.raises(ExportError, match="open_clip_model.safetensors of someone/tiny cannot be downloaded"):
        export_published(f"hf:{REPO}", tmp_path / "tiny", silence)
    assert not (tmp_path / "tiny").exists()
    hub.said_size = None
    assert export_published(f"hf:{REPO}", tmp_path / "tiny", silence).passed


def test_other_bytes_than_the_hub_names_are_refused(hub, tmp_path):
    """The checksum decides, not the size; the file leaves the cache, so that the next try downloads it again."""
    weights = hub.files["open_clip_model.safetensors"]
    hub.sent = weights[:-1] + bytes([weights[-1] ^ 1])
    with pytest.raises(ExportError, match="is not the file that the hub names: sha256"):
        fetch(f"hf:{REPO}", silence)
    hub.sent = None
    assert fetch(f"hf:{REPO}", silence).revision == COMMIT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": 401, "error": "GatedRepo"}, "asks for its terms to be accepted"),
        ({"status": 404, "error": "RepoNotFound"}, "the hub has no model someone/tiny"),
        ({"status": 500}, "open_clip_config.json of someone/tiny"),
    ],
)
def test_a_hub_that_refuses_is_one_line(hub, change, message):
    """The hub's errors are reported, with what to do about them."""
    for name, value in change.items():
        setattr(hub, name, value)
    with pytest.raises(ExportError, match=message) as raised:
        fetch(f"hf:{REPO}", silence)
    assert "\n" not in str(raised.value)


def test_the_cache_serves_without_a_hub(hub, monkeypatch):
    """With HF_HUB_OFFLINE no request is made; if the files are missing the error says so."""
    fetch(f"hf:{REPO}", silence)
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(f"hf:{REPO}", silence).licence == "mit"
    assert hub.requests == []
    with pytest.raises(ExportError, match="is not in the cache, and the hub cannot be reached"):
        fetch("hf:someone/else", silence)


@pytest.mark.parametrize("name", ["hf:tiny", "hf:a/b/c", "hf:", "hf:a/b@", "hf:a b/c", "hf:../b@x y"])
def test_a_name_of_another_form_is_refused(name):
    """hf:OWNER/NAME or hf:OWNER/NAME@REVISION is the form."""
    with pytest.raises(ExportError, match="hf:OWNER/NAME or hf:OWNER/NAME@REVISION is the form"):
        parse_name(name)


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("---\nlicense: cc-by-nc-4.0\n---\n", "cc-by-nc-4.0"),
        ("---\nlicense: other\nlicense_name: apple-amlr\nlicense_link: LICENSE\n---\n", "apple-amlr (LICENSE)"),
        ("---\ntags: [clip]\n---\n", NOT_STATED),
        ("no metadata", NOT_STATED),
        ("---\n: [\n---\n", NOT_STATED),
    ],
)
def test_the_licence_is_the_publishers(tmp_path, text, licence):
    """If the card's metadata has a licence, it is used."""
    (tmp_path / "README.md").write_text(text)
    assert licence_of(tmp_path / "README.md") == licence


def test_weights_for_research_alone_are_told_loudly(hub, tmp_path):
    """The export warns about a licence that forbids commercial use, and the card contains it."""
    hub.files["README.md"] = b"---\nlicense: cc-by-nc-4.0\n---\n"
    lines: list[str] = []
    export_published(f"hf:{REPO}", tmp_path / "tiny", lines.append)
    assert f"NOT FOR COMMERCIAL USE: the publisher of {REPO} states cc-by-nc-4.0" in lines
    assert "**Not for commercial use**" in (tmp_path / "tiny/MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("vision_cfg", {"timm_model_name": "fastvit_mci0"}, "vision_cfg.timm_model_name is 'fastvit_mci0'"),
        ("vision_cfg", {"pool_type": "avg"}, "vision_cfg.pool_type is 'avg': this is not a plain CLIP ViT"),
        ("vision_cfg", {"layers": [3, 4, 6, 3]}, "layers of the configuration is"),
        ("vision_cfg", {"image_size": [224, 320]}, "image_size of the configuration is"),
        ("vision_cfg", {"head_width": 128}, "0 heads"),
        ("text_cfg", {"hf_model_name": "xlm-roberta-base"}, "text_cfg.hf_model_name is 'xlm-roberta-base'"),
        ("text_cfg", {"no_causal_mask": True}, "text_cfg.no_causal_mask is True"),
        ("text_cfg", {"a_new_option": 1}, "text_cfg.a_new_option is 1"),
    ],
)
def test_another_architecture_is_refused(part, change, message):
    """Anything but a plain CLIP ViT is refused in one line that names the option."""
    config = ARCHITECTURES["Tiny"] | {part: ARCHITECTURES["Tiny"][part] | change}
    with pytest.raises(ExportError) as raised:
        read_clip_config(config)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_projection": None}, "the weights lack text_projection"),
        ({"visual.attn_pool.query": np.zeros(3)}, "visual.attn_pool.query, which a plain CLIP ViT does not have"),
        ({"visual.proj": np.zeros((64, 16), np.float32)}, "visual.proj is (64, 16)"),
        ({"ln_final.bias": np.full(64, np.nan, np.float32)}, "ln_final.bias are not finite"),
        ({"logit_scale": np.float32(np.inf)}, "not finite"),
        ({"logit_scale": np.float32(80)}, "logit_scale is exp(80)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(original, change, message):
    """Each weight that is missing, of another shape, not finite or of another model is named."""
    tensors = {key: value.numpy() for key, value in original.model.state_dict().items()} | change
    with pytest.raises(ExportError) as raised:
        make_clip(read_clip_config(ARCHITECTURES["Tiny"]), {k: v for k, v in tensors.items() if v is not None})
    assert message in str(raised.value)


def test_wrappers_and_other_precisions_are_read(original, hub, tmp_path):
    """Names with torch.compile's or DistributedDataParallel's prefix, and weights of 16 bits, give the same model."""
    halves = {f"module._orig_mod.{key}": value.half() for key, value in original.model.state_dict().items()}
    hub.files["open_clip_model.safetensors"] = save(halves)
    hub.files["open_clip_config.json"] = json.dumps(
        {"model_cfg": ARCHITECTURES["Tiny"], "preprocess_cfg": FORM}
    ).encode()
    export_published(f"hf:{REPO}", tmp_path / "tiny", silence)
    bundle = open_bundle(tmp_path / "tiny")
    assert (bundle.config.resize_mode, bundle.config.interpolation) == ("squash", "bilinear")
    original.model.visual.preprocess_cfg = dict(original.model.visual.preprocess_cfg) | FORM
    [row] = check(bundle, ask_original(original), [onnxruntime], silence)
    assert row.same_tokens
    assert min(row.pictures, row.prompts) > 0.9999


def test_the_service_takes_a_model_of_the_hub(hub, tmp_path):
    """The first start makes the bundle in the data folder; later ones ask the hub for nothing."""
    settings = Settings(model=f"hf:{REPO}", data=tmp_path / "data", engine="onnxruntime", threads=1)
    first = open_model(settings).encoder.texts(["an apple"])
    hub.requests.clear()
    assert np.array_equal(open_model(settings).encoder.texts(["an apple"]), first)
    assert hub.requests == []
    assert [path.name for path in (tmp_path / "data/models").iterdir()] == ["someone--tiny"]


def test_one_command_makes_a_bundle_without_torch(hub, tmp_path):
    """It uses HF_ENDPOINT and HF_HOME from the environment, and imports neither torch nor open_clip."""
    script = (
        "import sys; from app.__main__ import main; "
        f"status = main(['models', 'export', 'hf:{REPO}', '--models', {str(tmp_path / 'models')!r}]); "
        "print([name for name in ('torch', 'open_clip', 'onnxscript') if name in sys.modules]); sys.exit(status)"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, loaded = done.stdout.splitlines()
    assert answer.startswith(f"{tmp_path / 'models/tiny'}: written, and equal to its original")
    assert loaded == "[]"
    assert list((tmp_path / "home").rglob("open_clip_model.safetensors"))
