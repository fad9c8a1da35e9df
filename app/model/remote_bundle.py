"""Download a model bundle from an s3:// prefix."""

import hashlib
import tempfile
from pathlib import Path

from app.errors import BundleError
from app.log import get_logger
from app.model.bundle import FILES, open_bundle, read_config
from app.s3 import S3, Place


def fetch_bundle(s3: S3, prefix: Place, kept: Path) -> Path:
    """Return the folder under `kept` with the current bundle of `prefix`, downloading it if it is not there.

    It is named after its config.json, which has the checksum of every other file, and is written atomically. Raises
    BundleError if it cannot be downloaded or does not match its config.
    """
    try:
        config = s3.read(prefix.under("config.json"))
        folder = kept / hashlib.sha256(config).hexdigest()[:32]
        if not folder.exists():
            kept.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept, prefix="fetching-") as staging:
                _fetch(s3, prefix, config, Path(staging) / "bundle", folder)
    except OSError as error:
        raise BundleError(f"no model bundle at {prefix}: {error.filename}: {error.strerror}") from error
    return folder


def _fetch(s3: S3, prefix: Place, config: bytes, staging: Path, folder: Path) -> None:
    """Download all files into `staging`, verify their checksums, then move them to `folder` at once."""
    staging.mkdir()
    (staging / "config.json").write_bytes(config)
    for name in dict.fromkeys((*FILES, *read_config(staging).sha256)):
        if Path(name).name != name:
            raise BundleError(f"{prefix}: config.json names the file {name!r}, which would lie outside of the bundle")
        get_logger().info("fetching", file=str(prefix.under(name)))
        s3.copy(prefix.under(name), staging / name)
    open_bundle(staging)
    try:
        staging.rename(folder)
    except OSError:
        if not folder.exists():  # otherwise another process was first, with the same files
            raise
