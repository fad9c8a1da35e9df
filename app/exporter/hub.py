"""Download models in open_clip's form from the Hugging Face hub, through the hub's own client.

huggingface_hub resumes interrupted downloads, caches files, and respects HF_ENDPOINT, HF_HUB_OFFLINE, HF_HOME and
HF_TOKEN. Added here: the checksum of the weights, progress as lines, and errors of one line.
"""

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download, metadata_load
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm import tqdm

from app.errors import ExportError
from app.log import quiet
from app.model.bundle import sha256_of

PREFIX = "hf:"
CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors")
NOT_STATED = "not stated by its publisher"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Published:
    """The files of one published model, in the hub's cache."""

    repo: str
    """OWNER/NAME."""
    revision: str
    """The commit."""
    config: dict[str, Any]
    weights: Path
    sha256: str
    """SHA-256 of the weights."""
    tokenizer: Path
    licence: str


def parse_name(name: str) -> tuple[str, str | None]:
    """Split `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION` into repository and revision; raises ExportError.

    >>> parse_name("hf:timm/vit_base_patch32_clip_224.openai@main")
    ('timm/vit_base_patch32_clip_224.openai', 'main')
    """
    repo, at, revision = name.removeprefix(PREFIX).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo) or (at and not re.fullmatch(r"[\w./-]+", revision)):
        raise ExportError(f"{name!r} was found; hf:OWNER/NAME or hf:OWNER/NAME@REVISION is the form")
    return repo, revision or None


def fetch(name: str, say: Say) -> Published:
    """Download the files of `hf:OWNER/NAME`, or take them from the cache.

    Raises ExportError, one line, if the hub is unreachable, has no such model, or its checksum differs.
    """
    repo, revision = parse_name(name)
    place = _fetch(repo, CONFIG, revision, say)
    revision = place.parent.name  # the snapshot's folder: all files are of one commit
    try:
        config = json.loads(place.read_bytes())
    except ValueError as error:
        raise ExportError(f"{CONFIG} of {repo} is not JSON: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        raise ExportError(f"{CONFIG} of {repo} has no model_cfg")
    tokenizer = _fetch(repo, "tokenizer.json", revision, say)
    weights = _fetch_weights(repo, revision, say)
    return Published(repo, revision, config, weights, _verified(weights, repo), tokenizer, read_licence(repo, revision))


def read_licence(repo: str, revision: str | None = None) -> str:
    """Return the licence on a model's card on the hub."""
    try:
        return licence_of(_fetch(repo, "README.md", revision, lambda _: None))
    except ExportError:
        return NOT_STATED


def licence_of(card: Path) -> str:
    """Return the licence in the metadata of a model card, with the URL of its text if there is one."""
    try:
        facts = metadata_load(card) or {}
    except Exception:  # no file, or one of PyYAML's errors, which have no base but Exception
        return NOT_STATED
    licence, link = facts.get("license"), facts.get("license_link")
    licence = facts.get("license_name") or licence if licence in ("other", None) else licence
    return (f"{licence} ({link})" if link else str(licence)) if licence else NOT_STATED


def _fetch_weights(repo: str, revision: str, say: Say) -> Path:
    for name in WEIGHTS[:-1]:
        try:
            return _fetch(repo, name, revision, say)
        except ExportError as error:
            if not isinstance(error.__cause__, EntryNotFoundError) or isinstance(
                error.__cause__, LocalEntryNotFoundError
            ):
                raise
    return _fetch(repo, WEIGHTS[-1], revision, say)


def _fetch(repo: str, file: str, revision: str | None, say: Say) -> Path:
    class Progress(_Progress):
        told = staticmethod(say)

    constants.HF_HUB_DISABLE_TELEMETRY = True  # otherwise the hub is told what is installed and what runs it
    try:
        with quiet():
            return Path(hf_hub_download(repo, file, revision=revision, tqdm_class=Progress, library_name="larder"))
    except GatedRepoError as error:
        raise ExportError(f"{repo} asks for its terms to be accepted on the hub, and HF_TOKEN to be set") from error
    except RepositoryNotFoundError as error:
        raise ExportError(f"the hub has no model {repo}, or keeps it private: HF_TOKEN is then needed") from error
    except RevisionNotFoundError as error:
        raise ExportError(f"{repo} has no revision {revision!r}") from error
    except LocalEntryNotFoundError as error:
        raise ExportError(f"{file} of {repo} is not in the cache, and the hub cannot be reached") from error
    except EntryNotFoundError as error:
        raise ExportError(f"{repo} has no {file}: it is not published in open_clip's form") from error
    except (OSError, HFValidationError, ValueError) as error:
        raise ExportError(f"{file} of {repo} cannot be downloaded: {_line(error)}") from error
    except Exception as error:  # the HTTP client's own errors, which the library does not wrap
        raise ExportError(f"{file} of {repo} cannot be downloaded, try again: {_line(error)}") from error


class _Progress(tqdm):  # type: ignore[misc]
    """Prints a line for each tenth of a long download, because a bar would fill a log."""

    told: Callable[[str], None]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._tenth = 0
        super().__init__(*arguments, **options | {"file": io.StringIO(), "leave": False})

    def display(self, *_: Any, **__: Any) -> bool:
        tenth = int(10 * self.n / self.total) if self.total else 0
        if tenth > self._tenth and self.total > 10_000_000:
            self._tenth = tenth
            self.told(f"{self.desc}: {self.n / 1e6:.0f} of {self.total / 1e6:.0f} MB")
        return True


def _verified(path: Path, repo: str) -> str:
    """Verify and return the checksum of the weights; the hub and the cache name a large file by it.

    Raises ExportError if they differ, and removes the file, so that the next attempt downloads it again.
    """
    found, blob = sha256_of(path), path.resolve()
    if re.fullmatch("[0-9a-f]{64}", blob.name) and blob.name != found:
        blob.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise ExportError(
            f"{path.name} of {repo} is not the file that the hub names: sha256 {found[:12]}… was found, "
            f"{blob.name[:12]}… is wanted; try again"
        )
    return found


def _line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:300] + "…"
