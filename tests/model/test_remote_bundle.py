"""A bundle in S3 is downloaded once, completely, and verified."""

import pytest

from app.components import open_model
from app.errors import BundleError
from app.model.bundle import open_bundle
from app.model.remote_bundle import fetch_bundle
from app.s3 import S3, parse_place
from app.settings import Settings
from tests.bundles import write_bundle


@pytest.fixture
def folder(tmp_path):
    return write_bundle(tmp_path / "tiny")


def test_the_setting_may_be_a_prefix(bucket, folder, tmp_path):
    """LARDER_MODEL=s3://... opens the bundle that is there."""
    settings = Settings(model=bucket.put_folder("models/tiny", folder), data=tmp_path / "data")
    assert open_model(settings).name == "tiny"


def test_it_is_fetched_once(bucket, folder, tmp_path):
    """A second start requests only config.json."""
    prefix = parse_place(bucket.put_folder("models/tiny", folder))
    kept = fetch_bundle(S3(), prefix, tmp_path / "kept")
    assert {path.name for path in kept.iterdir()} == {path.name for path in folder.iterdir()}
    bucket.delete("models/tiny/visual.onnx")
    assert fetch_bundle(S3(), prefix, tmp_path / "kept") == kept
    assert open_bundle(kept).config.name == "tiny"


def test_another_bundle_is_another_folder(bucket, folder, tmp_path):
    """A bundle put in place of the first one is fetched at the next start."""
    prefix = parse_place(bucket.put_folder("models/tiny", folder))
    first = fetch_bundle(S3(), prefix, tmp_path / "kept")
    bucket.put_folder("models/tiny", write_bundle(tmp_path / "other", name="other"))
    second = fetch_bundle(S3(), prefix, tmp_path / "kept")
    assert (open_bundle(first).config.name, open_bundle(second).config.name) == ("tiny", "other")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda bucket: bucket.put("models/tiny/visual.onnx", b"half"), "visual.onnx is not the file of this bundle"),
        (lambda bucket: bucket.delete("models/tiny/text.onnx"), "models/tiny/text.onnx: "),
        (lambda bucket: bucket.delete("models/tiny/config.json"), "no model bundle at s3://pictures/models/tiny: "),
        (lambda bucket: bucket.put("models/tiny/config.json", b"{}"), "format_version None"),
    ],
)
def test_half_a_bundle_leaves_nothing(bucket, folder, tmp_path, spoil, message):
    """A missing or damaged file is a BundleError, and nothing is kept of the rest."""
    prefix = parse_place(bucket.put_folder("models/tiny", folder))
    spoil(bucket)
    with pytest.raises(BundleError, match=message):
        fetch_bundle(S3(), prefix, tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*"))


def test_no_file_lands_outside(bucket, tmp_path):
    """A config that names a file elsewhere is refused before that is fetched."""
    config = write_bundle(tmp_path / "bad", sha256={"../../outside": "0" * 64})
    prefix = parse_place(bucket.put_folder("models/bad", config))
    with pytest.raises(BundleError, match="'../../outside', which would lie outside"):
        fetch_bundle(S3(), prefix, tmp_path / "kept")
    assert not (tmp_path / "outside").exists()
