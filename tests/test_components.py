"""The configured components are opened, or the start ends with a line that names the setting."""

import pytest

from app.components import label_file, open_model
from app.errors import LarderError
from app.main import create_app
from app.model.bundle import open_bundle, update_config
from app.settings import Settings
from tests.bundles import write_bundle
from tests.conftest import wait_until
from tests.fakes import colour_model


@pytest.mark.parametrize(
    ("setting", "content", "message"),
    [
        ("labels", None, "the label file .* cannot be read: No such file or directory"),
        ("labels", b"\xff\xfe", "the label file .* cannot be read: 'utf-8'"),
        ("labels", b"x" * 201, "line 1 of the label file: a label has at most 200 characters"),
        ("templates", None, "No such file or directory"),
        ("templates", b"a photo of {}.\na photo\n", "'a photo' was found; a template has {} where the label comes"),
        ("background", b"# nothing\n", "has no lines but comments"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(settings, encoder, tmp_path, setting, content, message):
    """A missing, binary or empty file gives a one-line error with the setting's name."""
    path = tmp_path / "file.txt"
    if content is not None:
        path.write_bytes(content)
    changed = settings.model_copy(update={setting: path})
    with pytest.raises(SystemExit, match=f"^larder cannot start: LARDER_{setting.upper()}: .*{message}") as raised:
        create_app(changed, colour_model(encoder, None))
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_used_stops_the_start(settings, encoder):
    """A data folder that cannot be created stops it too."""
    with pytest.raises(SystemExit, match="^larder cannot start: LARDER_DATA: .* cannot be opened"):
        create_app(settings.model_copy(update={"data": settings.labels}), colour_model(encoder, None))


def test_a_bundle_that_is_not_there_stops_the_start():
    """The line names the setting and the bundles that there are."""
    with pytest.raises(LarderError, match="^LARDER_MODEL: no model bundle 'huge': .* larder-small"):
        open_model(Settings(model="huge"))


def test_a_bundle_may_bring_its_labels(tmp_path, settings):
    """They are used if the settings name none, and are not part of the checksum of the vectors."""
    folder = write_bundle(tmp_path / "tiny")
    before = open_bundle(folder).checksum
    (folder / "labels.txt").write_text("red\nblue\n")
    update_config(folder, ["labels.txt"])
    assert open_bundle(folder).checksum == before
    named = settings.model_copy(update={"model": str(folder), "engine": "onnxruntime"})
    model = open_model(named)
    assert label_file(named, model) == settings.labels
    assert label_file(Settings(model=str(folder)), model) == folder / "labels.txt"
    (folder / "labels.txt").write_text("red\n")
    with pytest.raises(LarderError, match=r"labels\.txt is not the file of this bundle"):
        open_bundle(folder)


def test_labels_that_go_bad_are_one_line_in_the_log(start, settings, capsys):
    """The previous labels stay; the log has the reason and no traceback."""
    client = start()
    settings.labels.write_bytes(b"\xff")
    seen = ""

    def logged() -> bool:
        nonlocal seen
        seen += capsys.readouterr().err
        return "cannot be read" in seen

    wait_until(logged)
    assert "cannot refresh the labels" in seen
    assert "Traceback" not in seen
    assert client.get("/labels").json()["count"] == 3


def test_a_label_that_is_cut_is_told_in_the_log(start, capsys):
    """A label whose end the model does not read is served, as a pantry may have it, and named once."""
    client = start()
    client.put(f"/pantry/{'word ' * 30}", json={"count": 1})
    wait_until(lambda: client.get("/labels").json()["count"] == 4)
    told = [line for line in capsys.readouterr().err.splitlines() if "context length" in line]
    assert len(told) == 1
    assert '"count": 1, "first": "word word' in told[0]
