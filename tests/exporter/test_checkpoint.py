"""Weights are read from any form of checkpoint, and code in a checkpoint is never run."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from app.errors import ExportError
from app.exporter.checkpoint import is_torchscript, read_checkpoint
from app.exporter.recipe import read_recipe
from app.exporter.weights import build
from tests.exporter.conftest import silence


def random_model(name: str = "Tiny", seed: int = 7):
    return build(read_recipe(name, "none", seed), silence).model


def save_torchscript(path: Path, **beside: torch.Tensor) -> torch.nn.Module:
    """A model as OpenAI publishes CLIP: traced, in half precision, with its sizes `beside` the weights."""
    model = random_model("Tiny-quickgelu")
    for name, tensor in beside.items():
        model.register_buffer(name, tensor)
    traced = torch.jit.trace(model, (torch.zeros(1, 3, 32, 32), torch.ones(1, 77, dtype=torch.int64)))
    torch.jit.save(traced.half(), path)
    return model


class Harm:
    """An object whose unpickling runs a command that creates a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize(
    "write",
    [
        lambda weights, folder: save_file(weights, folder / "a.safetensors") or folder / "a.safetensors",
        lambda weights, folder: torch.save(weights, folder / "a.pt") or folder / "a.pt",
        lambda weights, folder: torch.save({"epoch": 3, "state_dict": weights}, folder / "a.bin") or folder / "a.bin",
        lambda weights, folder: (
            torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in weights.items()}}, folder / "a.pth")
            or folder / "a.pth"
        ),
    ],
    ids=["safetensors", "state dict", "training checkpoint", "of several devices"],
)
def test_weights_come_back(tmp_path, write):
    """A saved and loaded model is unchanged."""
    weights = random_model().state_dict()
    path = write(weights, tmp_path)
    assert not is_torchscript(path)
    loaded = build(read_recipe("Tiny", str(path)), silence).model.state_dict()
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)


@pytest.mark.parametrize(
    "wrapped",
    [
        "_orig_mod.{}".format,
        "module._orig_mod.{}".format,
        "_orig_mod.module.{}".format,
        "model.{}".format,
        "lightning.model.{}".format,
        lambda name: name.replace("visual.", "visual._orig_mod."),
        lambda name: "module." + name.replace("resblocks.", "resblocks._orig_mod."),
    ],
)
def test_what_wrappers_add_to_names_is_taken_off(tmp_path, wrapped):
    """Prefixes of torch.compile, DistributedDataParallel and Lightning are removed from the names of weights."""
    weights = random_model().state_dict()
    torch.save({"state_dict": {wrapped(name): tensor for name, tensor in weights.items()}}, tmp_path / "a.pt")
    assert read_checkpoint(tmp_path / "a.pt").keys() == weights.keys()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_openais_form_has_quickgelu_and_float32(tmp_path):
    """A TorchScript archive is read without torch.jit, and its activation is always QuickGELU."""
    saved = save_torchscript(tmp_path / "openai.pt", input_resolution=torch.tensor(32)).float().state_dict()
    recipe = read_recipe("Tiny", str(tmp_path / "openai.pt"))
    assert recipe.quick_gelu
    model = build(recipe, silence).model
    assert type(model.visual.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"
    assert all(torch.equal(tensor, saved[name]) for name, tensor in model.state_dict().items())
    save_torchscript(tmp_path / "openai.pt", surprise=torch.tensor(1.0))
    with pytest.raises(ExportError, match="does not fit the model: .*surprise"):  # nothing is overlooked
        build(recipe, silence)


def test_a_pickle_that_runs_something_is_refused(tmp_path):
    """Code in a checkpoint of any format is not executed, and the error says so."""
    trace = tmp_path / "trace"
    torch.save({"weight": torch.zeros(1), "harm": Harm(trace)}, tmp_path / "a.pt")
    (tmp_path / "b.bin").write_bytes(pickle.dumps(Harm(trace), protocol=2))
    with zipfile.ZipFile(tmp_path / "c.pt", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Harm(trace), protocol=2))
        archive.writestr("model/constants.pkl", b"")
    assert is_torchscript(tmp_path / "c.pt")
    for name in ("a.pt", "b.bin", "c.pt"):
        with pytest.raises(ExportError, match=f"{name} is refused: it contains more than weights"):
            read_checkpoint(tmp_path / name)
    assert not trace.exists()
    pickle.loads((tmp_path / "b.bin").read_bytes())
    assert trace.exists()  # it would have


def test_a_torchscript_archive_that_lies_about_its_tensors_is_refused(tmp_path):
    """A tensor larger than its bytes is an error, not an out-of-bounds read."""
    file = io.BytesIO()
    torch.save({"w": torch.zeros(4)}, file)
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        [index] = [name for name in source.namelist() if name.endswith("data.pkl")]
        archive.writestr("model/data.pkl", source.read(index))
        archive.writestr("model/constants.pkl", b"")
        archive.writestr("model/data/0", b"\0\0\0\0")
    with pytest.raises(ExportError, match="a.pt cannot be read as a checkpoint"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04", b"\x80\x02}q\x00."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_damaged_checkpoint_is_one_line(tmp_path, content, suffix):
    """Every error of a damaged file names the file."""
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(ExportError, match=f"bad{suffix}") as raised:
        read_checkpoint(path)
    assert "\n" not in str(raised.value)


def test_weights_of_another_model_do_not_fit(tmp_path):
    """Missing and unexpected names are reported in one line, three of each."""
    save_file(random_model("TinyResNet").state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(ExportError, match="other.safetensors does not fit the model: ") as raised:
        build(read_recipe("Tiny", str(tmp_path / "other.safetensors")), silence)
    said = str(raised.value)
    assert "\n" not in said
    assert said.index("Missing key(s)") < said.index("Unexpected key(s)")


def test_a_prefix_that_nobody_knows_is_told(tmp_path):
    """The error quotes the names in the file and those of the model."""
    weights = {f"teacher/{name}": tensor for name, tensor in random_model().state_dict().items()}
    save_file(weights, tmp_path / "odd.safetensors")
    with pytest.raises(ExportError, match='Unexpected key.*"teacher/'):
        build(read_recipe("Tiny", str(tmp_path / "odd.safetensors")), silence)


def test_random_weights_follow_the_seed():
    """A seed always gives the same weights, and the global random generator is not changed."""
    one = random_model(seed=1).state_dict()
    state = torch.random.get_rng_state()
    torch.manual_seed(5)
    again, other = random_model(seed=1).state_dict(), random_model(seed=2).state_dict()
    assert torch.equal(one["visual.proj"], again["visual.proj"])
    assert not torch.equal(one["visual.proj"], other["visual.proj"])
    assert torch.initial_seed() == 5
    torch.random.set_rng_state(state)
