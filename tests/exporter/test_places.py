"""Models of a folder or of the Hugging Face hub through open_clip: SigLIP's and MobileCLIP's kind, small."""

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from app.errors import ExportError
from app.exporter import towers
from app.exporter.export import export
from app.exporter.gate import check, onnxruntime
from app.exporter.open_clip_import import import_open_clip
from app.exporter.recipe import read_recipe
from app.exporter.weights import ask_original, rebuild
from app.model.bundle import Bundle, open_bundle
from tests.exporter.conftest import ARCHITECTURES, TEXT, silence
from tests.exporter.hub_stand_in import StandIn, serving

SIGLIP = ARCHITECTURES["TinyTimm"]
SIGLIP_TEXT = SIGLIP["text_cfg"] | {
    "context_length": 16, "hf_tokenizer_name": "tokenizer", "tokenizer_kwargs": {"clean": "canonicalize"},
}  # fmt: skip
MOBILE = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "timm_model_name": "tiny_fastvit", "timm_pool": "avg", "timm_proj": None},
    "text_cfg": TEXT,
}


@pytest.fixture(scope="module", autouse=True)
def small_fastvit() -> None:
    """Register tiny_fastvit in timm: a small picture tower of MobileCLIP's kind."""
    import_open_clip()  # first: it makes torchvision fit
    from timm.models import fastvit, is_model, register_model

    if is_model("tiny_fastvit"):  # this module is entered again where tests are shared out among processes
        return

    def tiny_fastvit(pretrained: bool = False, **options: object) -> torch.nn.Module:
        sizes = {"layers": (1, 1, 1, 1), "embed_dims": (16, 32, 64, 128), "mlp_ratios": (2, 2, 2, 2)}
        return fastvit._create_fastvit("fastvit_t8", pretrained=pretrained, **sizes, **options)

    tiny_fastvit.__module__ = fastvit.__name__
    register_model(tiny_fastvit)


def write_gemma_tokenizer(folder: Path) -> int:
    """A small tokenizer of Gemma's kind: pieces with "▁" for spaces, bytes for the rest, an end; returns its size."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(["a photo of a green apple", "two jars of oat milk on a shelf"] * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing("$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>",
        "padding_side": "right",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer.get_vocab_size()


def write_model(folder: Path, config: dict, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model of random weights in open_clip's form."""
    open_clip = import_open_clip()
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "Written", config)
    torch.manual_seed(0)
    model = open_clip.create_model("Written")
    form = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": form}))
    (folder / "README.md").write_text("---\nlicense: apple-amlr\n---\n")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def exported(name: str, models_folder: Path) -> Bundle:
    """The bundle of a model, compared with the original again."""
    place, row = export(read_recipe(name, ""), models_folder, onnxruntime, silence)
    assert row.passed
    return open_bundle(place)


def test_a_siglip_with_a_gemma_tokenizer_from_a_folder(tmp_path, monkeypatch):
    """Ids, embeddings and the bias are the original's; a later check wants the folder."""
    folder = tmp_path / "tiny-siglip"
    folder.mkdir()
    size = write_gemma_tokenizer(folder)
    write_model(folder, SIGLIP | {"text_cfg": SIGLIP_TEXT | {"vocab_size": size}}, monkeypatch)
    bundle = exported(f"local-dir:{folder}", tmp_path / "models")
    config = bundle.config
    assert (config.name, config.source.model, config.resize_mode) == ("tiny-siglip", "local-dir:tiny-siglip", "squash")
    assert config.calibration.label_cosine == pytest.approx(10 / config.logit_scale)
    assert str(tmp_path) not in (bundle.folder / "config.json").read_text()
    assert bundle.count_tokens("a photo of a green apple") < 12
    assert check(bundle, ask_original(rebuild(bundle, str(folder), silence)), [onnxruntime], silence)[0].passed
    with pytest.raises(ExportError, match="was made of the folder tiny-siglip: say where it is with --weights"):
        rebuild(bundle, None, silence)


def test_a_mobileclip_loses_its_training_branches(tmp_path, monkeypatch):
    """Reparameterised, its graph is the same function with fewer convolutions; the licence is printed prominently."""
    write_model(tmp_path, MOBILE, monkeypatch)
    bundle = exported(f"local-dir:{tmp_path}", tmp_path / "models")
    with monkeypatch.context() as patch:
        patch.setattr(towers, "_reparameterize", lambda module: None)
        branches = exported(f"local-dir:{tmp_path}", tmp_path / "branches")
    assert convolutions(bundle) < convolutions(branches)
    assert bundle.config.licence == "apple-amlr"
    assert "**Not for commercial use**" in (bundle.folder / "MODEL_CARD.md").read_text()


def convolutions(bundle: Bundle) -> int:
    import onnx

    return sum(node.op_type == "Conv" for node in onnx.load(bundle.folder / "visual.onnx").graph.node)


def test_a_model_of_the_hub_through_open_clip(tmp_path, monkeypatch):
    """hf-hub:OWNER/NAME brings configuration, weights and licence."""
    folder = write_model(tmp_path, ARCHITECTURES["Tiny"], monkeypatch)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with serving(StandIn("someone/tiny", files)) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        addresses = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", addresses)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        bundle = exported("hf-hub:someone/tiny", tmp_path / "models")
    assert (bundle.config.name, bundle.config.licence) == ("tiny", "apple-amlr")
    assert bundle.config.source.model == "hf-hub:someone/tiny"


@pytest.mark.parametrize("names", [[], ["open_clip_config.json"], ["open_clip_config.json", "a.bin", "b.bin"]])
def test_a_folder_without_a_model_is_refused(tmp_path, names):
    """A missing configuration, missing weights or several weights give a one-line error."""
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ExportError, match="has no open_clip_config|has no weights|has several files of weights"):
        read_recipe(f"local-dir:{tmp_path}", "")
