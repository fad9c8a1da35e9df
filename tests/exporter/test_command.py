"""The commands report to people and to programs, and their exit status tells success from failure."""

import json
import shutil

import pytest

from app.__main__ import main
from app.exporter import command, gate
from app.model.bundle import open_bundle
from app.model.engines.choice import open_engine
from tests.bundles import write_bundle


@pytest.fixture(autouse=True)
def one_engine(monkeypatch):
    """Other engines are covered by test_export.py."""
    monkeypatch.setattr(gate, "installed_engines", lambda: [gate.onnxruntime])


@pytest.fixture
def bundle(make):
    return make()


def run(capsys, *arguments: object) -> tuple[int, str, list[str]]:
    """Return the exit status, standard output and the lines of standard error."""
    status = main(["models", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err.splitlines()


def test_list_shows_every_bundle(capsys, bundle):
    """It shows name, size, embedding size and calibration; a damaged bundle is marked."""
    models = bundle.parent
    write_bundle(models / "colours")
    write_bundle(models / "broken", format_version=9)
    write_bundle(models / ".export-0" / "half")
    (models / "no bundle").mkdir()
    status, table, errors = run(capsys, "list", "--models", models)
    assert (status, errors) == (0, [])
    assert table.splitlines()[0].split() == ["bundle", "size", "embedding", "probabilities"]
    rows = dict(line.split(maxsplit=1) for line in table.splitlines()[1:])
    assert list(rows) == ["Tiny-none", "broken", "colours"]
    assert rows["colours"].endswith("3          calibrated")
    assert rows["Tiny-none"].endswith("32         not calibrated")
    assert "DAMAGED: " in rows["broken"]
    _, lines, _ = run(capsys, "list", "--models", models, "--json")
    answers = {answer["name"]: answer for answer in map(json.loads, lines.splitlines())}
    assert answers["Tiny-none"]["megabytes"] == pytest.approx(
        sum(p.stat().st_size for p in bundle.iterdir()) / 1e6, abs=0.1
    )
    assert (answers["colours"]["calibrated"], answers["broken"]["calibrated"]) == (True, None)


def test_no_bundles_are_a_heading(capsys, tmp_path):
    """A folder without bundles, or a missing folder, is not an error."""
    assert run(capsys, "list", "--models", tmp_path / "nowhere")[:2] == (0, "bundle  size  embedding  probabilities\n")
    assert run(capsys, "list", "--models", tmp_path, "--json")[1] == ""


def test_export_says_what_it_does_and_where_it_is(capsys, make, tmp_path):
    """Progress goes to standard error, the answer to standard output."""
    status, answer, progress = run(capsys, "export", "Tiny", "none", "--models", tmp_path / "models")
    assert status == 0
    assert answer.startswith(
        f"{tmp_path / 'models/Tiny-none'}: written, and equal to its original (least cosine 1.0000000"
    )
    assert progress == [
        "larder: building Tiny, random weights, seed 0",
        "larder: writing the picture tower",
        "larder: writing the text tower",
        "larder: comparing with open_clip",
        "larder: asking onnxruntime float32",
    ]
    _, answer, _ = run(capsys, "export", "Tiny", "none", "--models", tmp_path / "models", "--json")
    facts = json.loads(answer)
    assert facts["bundle"] == str(tmp_path / "models/Tiny-none")
    assert (facts["passed"], facts["same_tokens"], facts["wanted"]) == (True, True, 0.99999)


def test_check_prints_a_table(capsys, bundle):
    """Each engine and precision has a row with its cosines to float32 and the original; the status is the bundle's."""
    status, table, _ = run(capsys, "check", bundle.name, "--models", bundle.parent)
    head, exact, int8 = table.splitlines()
    assert (status, head.split()[:3]) == (0, ["engine", "least", "cosine"])
    assert exact.startswith("onnxruntime float32 ")
    assert exact.endswith("1.0000000  1.0000000  identical  passes (>= 0.99999 is wanted)")
    assert int8.startswith("onnxruntime int8 ")
    assert int8.endswith("(>= 0.999 is wanted)")
    status, lines, _ = run(capsys, "check", bundle, "--json")
    exact, int8 = map(json.loads, lines.splitlines())
    assert (status, exact["passed"], exact["least_cosine"]) == (0, True, pytest.approx(1))
    assert 0.9 < int8["least_cosine"] <= int8["mean_cosine"] < 1
    assert min(each[time] for each in (exact, int8) for time in ("one_ms", "batch_ms")) > 0


def test_check_says_what_auto_takes(capsys, bundle, monkeypatch):
    """The row of the engine that would serve here is marked."""
    monkeypatch.undo()  # every engine
    _, lines, _ = run(capsys, "check", bundle, "--json")
    rows = [json.loads(line) for line in lines.splitlines()]
    [taken] = [row["engine"] for row in rows if row["auto"]]
    assert taken == open_engine("auto", open_bundle(bundle), 1, bundle.parent).name
    assert "onnxruntime int8" in [row["engine"] for row in rows]


def test_a_check_that_fails_has_status_1(capsys, make, tmp_path):
    """For weights of another seed with correct checksums the table says FAILS."""
    good, other = make(), make(seed=1, models=tmp_path / "other")
    shutil.copy(other / "text.onnx", good / "text.onnx")
    config, others = (json.loads((folder / "config.json").read_text()) for folder in (good, other))
    config["sha256"]["text.onnx"] = others["sha256"]["text.onnx"]
    (good / "config.json").write_text(json.dumps(config))
    status, table, _ = run(capsys, "check", good)
    assert status == 1
    assert "FAILS (>= 0.99999 is wanted)" in table


def test_a_bundle_without_an_original_is_compared_with_float32(capsys, tmp_path):
    """A model that open_clip never had shows what its engines differ by, and the line says that this is all."""
    status, table, errors = run(capsys, "check", write_bundle(tmp_path / "tiny"))
    assert status == 0
    assert table.splitlines()[1].split()[:3] == ["onnxruntime", "float32", "1.000000"]
    assert "larder: tiny has no original in open_clip: float32 is what the engines are compared with" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "ViT-B-33", "none"], "larder: open_clip has no model 'ViT-B-33'; close to it are ViT-B-32"),
        (["export", "Tiny", "openai"], "larder: Tiny has no weights 'openai'; known are quick, plain, none, or a"),
        (["check", "nothing"], "larder: no model bundle 'nothing'"),
    ],
)
def test_mistakes_are_one_line(capsys, tmp_path, arguments, message):
    """The error names what was found and what is allowed, with status 2, and nothing is written."""
    status, answer, errors = run(capsys, *arguments, "--models", tmp_path / "models")
    assert (status, answer, len(errors)) == (2, "", 1)
    assert errors[0].startswith(message)
    assert not (tmp_path / "models").exists()


def test_exporting_needs_more_than_serving(capsys, monkeypatch, tmp_path):
    """Without torch the line says what to install; listing still works."""
    monkeypatch.setattr(command, "NEEDED", ("torch", "a_library_that_is_not_there"))
    _, _, errors = run(capsys, "export", "Tiny", "none", "--models", tmp_path)
    assert errors == ["larder: a_library_that_is_not_there not installed: pip install -r requirements-model.txt"]
    assert run(capsys, "list", "--models", tmp_path)[0] == 0


def test_listing_needs_no_torch():
    """The list works if only the serving requirements are installed."""
    import subprocess
    import sys

    script = "import sys, app.exporter.command; print([m for m in sys.modules if m in ('torch', 'open_clip', 'onnx')])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
