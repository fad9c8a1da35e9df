"""A model and its weights are selected by name, and the right activation follows."""

from pathlib import Path

import pytest

from app.errors import ExportError
from app.exporter.open_clip_import import import_open_clip
from app.exporter.recipe import read_recipe

SIGLIP = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "interpolation": "bicubic", "resize_mode": "squash"}


@pytest.mark.parametrize("model", ["ViT-B-32", "ViT-B-32-quickgelu", "ViT-B/32"])
def test_openais_weights_have_quickgelu(model):
    """The tag decides, for either of the two names."""
    recipe = read_recipe(model, "openai")
    assert recipe.quick_gelu
    assert recipe.download["hf_hub"] == "timm/vit_base_patch32_clip_224.openai/"


@pytest.mark.parametrize("model", ["ViT-B-32", "ViT-B-32-quickgelu"])
def test_other_weights_have_gelu(model):
    """Weights trained with GELU get it, even under the name with quickgelu."""
    recipe = read_recipe(model, "laion2b_s34b_b79k")
    assert (recipe.architecture, recipe.quick_gelu) == ("ViT-B-32", False)


def test_every_tag_of_open_clip_can_be_built():
    """Each published pair gives a recipe whose final activation is the one its tag was trained with."""
    open_clip = import_open_clip()
    for model, tag in open_clip.list_pretrained():
        recipe = read_recipe(model, tag)
        own = bool(open_clip.get_model_config(recipe.architecture).get("quick_gelu"))
        trained = bool(open_clip.get_pretrained_cfg(model, tag).get("quick_gelu"))
        assert (recipe.quick_gelu or own) == trained or model == "roberta-ViT-B-32", (model, tag)


def test_preprocessing_comes_from_the_tag():
    """SigLIP's pictures are squashed and scaled to -1..1."""
    assert read_recipe("ViT-B-16-SigLIP", "webli").form == SIGLIP


def test_without_a_tag_it_is_what_all_tags_share(tmp_path: Path):
    """Random or own weights of SigLIP are preprocessed as SigLIP; where tags differ, open_clip's default holds."""
    (tmp_path / "own.safetensors").touch()
    assert read_recipe("ViT-B-16-SigLIP", "none").form == SIGLIP
    assert read_recipe("ViT-B-16-SigLIP", str(tmp_path / "own.safetensors")).form == SIGLIP
    assert read_recipe("RN50", "none").form["resize_mode"] == "shortest"
    assert read_recipe("ViT-B-32-plus-256", "none").form == {}


def test_a_bundle_is_named_after_both(tmp_path: Path):
    """It is MODEL-PRETRAINED, or MODEL and the file's stem, without characters invalid in folder names."""
    (tmp_path / "my run (3).pt").touch()
    assert read_recipe("ViT-B-32", "openai").name == "ViT-B-32-openai"
    assert read_recipe("ViT-B/32", "none").name == "ViT-B-32-none"
    assert read_recipe("ViT-B-32", str(tmp_path / "my run (3).pt")).name == "ViT-B-32-my-run-3"


@pytest.mark.parametrize(
    ("model", "pretrained", "message"),
    [
        ("ViT-B-33", "openai", "no model 'ViT-B-33'; close to it are ViT-B-32"),
        ("vit-b-32-quikgelu", "openai", "close to it are ViT-B-32-quickgelu"),
        ("§§§§§§", "openai", "no model '§§§§§§'$"),
        ("ViT-B-32", "openia", "no weights 'openia'; known are openai, .*none, or a checkpoint's path"),
        ("ViT-B-32-quickgelu", "x", "known are openai, laion400m_e31, .*laion2b_s34b_b79k"),
        ("ViT-B-32", "nowhere.safetensors", "no checkpoint nowhere.safetensors"),
    ],
)
def test_an_unknown_name_lists_what_is_known(model, pretrained, message):
    """The line says what was found and what is allowed."""
    with pytest.raises(ExportError, match=message) as raised:
        read_recipe(model, pretrained)
    assert "\n" not in str(raised.value)
