"""Read a checkpoint file as named tensors, without running any code in it."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from app.errors import ExportError
from app.exporter.clip_vit import without_wrappers

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
_NO_WEIGHTS = {"input_resolution", "context_length", "vocab_size", "attn_mask"}  # other entries of OpenAI's archives
_TYPES = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "BoolStorage": torch.bool,
}


def is_torchscript(path: Path) -> bool:
    """Return whether a file is a TorchScript archive, the format in which OpenAI publishes CLIP."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the weights of a `.safetensors` file, a pickled state dict or a TorchScript archive.

    Raises ExportError if the file is damaged, has no weights, or contains anything that would have to be executed.
    """
    try:
        weights = _read(path)
    except ExportError:
        raise
    except pickle.UnpicklingError as error:
        raise ExportError(f"{path} is refused: it contains more than weights, which will not be executed") from error
    except Exception as error:  # damaged files raise whatever each reader raises
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(f"{path} cannot be read as a checkpoint: {reason}") from error
    if isinstance(weights, dict) and isinstance(weights.get("state_dict"), dict):  # open_clip's own training saves so
        weights = weights["state_dict"]
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()) or not weights:
        raise ExportError(f"{path} has no weights: a state dict of named tensors was expected")
    return without_wrappers({str(name): value for name, value in weights.items()})


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if is_torchscript(path):
        return _read_torchscript(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a TorchScript archive.

    torch.jit.load would compile the archive's code and run its __setstate__ methods, which may write files. The tensors
    do not need that: `data.pkl` names them, and their bytes are stored beside it.
    """
    with zipfile.ZipFile(path) as archive:
        [index] = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
        model = _Index(archive, index.removesuffix("data.pkl")).load()
    return {name: tensor for name, tensor in _tensors(model, "") if name not in _NO_WEIGHTS}


class _Module:
    """Stands for any scripted module: it has attributes and no behaviour."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state


class _Index(pickle.Unpickler):
    """Unpickles `data.pkl`; refuses every name except those of tensors and modules."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(root + "data.pkl")))
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        allowed = {("torch._utils", "_rebuild_tensor_v2"): _tensor, ("collections", "OrderedDict"): OrderedDict}
        if module == "torch.jit._pickle":  # typed lists and dicts are read as plain ones
            return lambda value, *_: value
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid  # "storage", type, file, device, number of elements
        data = bytearray(self._archive.read(f"{self._root}data/{int(key)}"))
        return torch.frombuffer(data, dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset).clone()


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Collect the tensors of modules by their dotted names."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, _Module):
        for key, child in value.state.items():
            yield from _tensors(child, f"{name}.{key}" if name else key)
