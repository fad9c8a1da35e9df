"""From pictures to answers of the service, using only the commands."""

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.training.__main__ import main
from tests.conftest import wait_until
from tests.training.conftest import KINDS

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own parts


def test_from_pictures_to_the_service(words, folder: Path, tmp_path: Path, settings: Settings, capsys):
    """Train, test, infer and export; the service serves the bundle and recognises a training picture."""
    run, bundle = str(tmp_path / "run"), tmp_path / "models/mine"
    assert main(words("--set", "epochs=25", "--set", "mix_share=0.0")) == 0
    capsys.readouterr()

    assert main(["test", run, str(folder), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["all"]["pictures"] == 24
    assert figures["all"]["top_1"] > 0.9

    assert main(["infer", run, str(folder), "--idx", "9", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["picture"] == "picture 9: cucumber"
    assert answer["labels"][0]["label"] == "cucumber"
    assert sum(one["probability"] for one in answer["labels"]) == pytest.approx(1)

    assert main(["export", run, str(bundle), "--note", "Drawn by our own code.", "--licence", "Apache-2.0"]) == 0
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "Drawn by our own code.\n\nLicence of the weights: Apache-2.0.\n" in card
    assert str(tmp_path) not in card

    assert "| calibration | none: it takes 100 pictures held out |" in card
    assert json.loads((bundle / "config.json").read_text())["calibration"]["temperature"] is None

    changed = {"model": str(bundle), "engine": "onnxruntime", "pantry": "none"}
    named = settings.model_dump() | changed
    del named["labels"]  # the bundle has them
    with TestClient(create_app(Settings(**named))) as client:
        wait_until(lambda: client.get("/").status_code == 200)
        for kind in KINDS:
            answer = client.post("/process-image", json={"image_data": encoded(folder / kind / "0.png")}).json()
            assert (answer["item"], answer["known"]) == (kind.replace("-", " "), None)
            assert (answer["label_count"], answer["calibrated_probability"]) == (len(KINDS), None)


def encoded(path: Path) -> str:
    import base64

    return base64.b64encode(path.read_bytes()).decode()


def test_a_run_leaves_its_options_metrics_and_curves(words, tmp_path: Path, capsys):
    """The run keeps its options, every step, every score, and a plot of them; no checkpoint when it is over."""
    assert main(words()) == 0
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert found == {
        "options.json", "labels.txt", "tokenizer.json", "weights.pt", "metrics.jsonl", "curves.png", "run.json",
    }  # fmt: skip
    assert (tmp_path / "run/curves.png").read_bytes().startswith(b"\x89PNG")
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if "scores" in line] == [1, 2, 3]
    scores = json.loads((tmp_path / "run/run.json").read_text())["scores"]
    assert scores.keys() == {"pictures", "accuracy"}  # too few for a temperature
    assert scores["pictures"] == 6
    assert "not calibrated: 6 pictures were held out, and it takes 100" in capsys.readouterr().out


def test_captions_of_a_csv_file_stand_as_they_are(words, folder: Path, table: Path, tmp_path: Path, capsys):
    """Captions get no template, in training or later; a missing picture is reported."""
    arguments = [str(table) if word == str(folder) else word for word in words()]
    assert main(arguments) == 0
    assert json.loads((tmp_path / "run/options.json").read_text())["templates"] == ["{}"]
    assert (tmp_path / "run/labels.txt").read_text().splitlines()[0] == "a heap of banana"
    capsys.readouterr()
    assert main(["infer", str(tmp_path / "run"), str(folder / "banana/0.png"), "--among", "plum, a heap of figs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(folder / "banana/0.png")
    assert sorted(line.split("  ")[-1] for line in lines[1:]) == ["a heap of figs", "plum"]
    both = [str(folder / kind / "0.png") for kind in KINDS[:2]]
    assert main(["infer", str(tmp_path / "run"), *both, "--json"]) == 0
    assert [json.loads(line)["picture"] for line in capsys.readouterr().out.splitlines()] == both
    for picture, more, message in ((folder / "none.png", [], "cannot be read"), (folder, ["--idx", "24"], "0 to 23")):
        assert main(["infer", str(tmp_path / "run"), str(picture), *more]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{folder}", "--keep", "{tmp}/x", "--set", "epoch=3"], "'epoch' is not an option; there are: seed,"),
        (["train", "{folder}", "--keep", "{tmp}/x", "--set", "epochs=three"], "allowed is NAME=VALUE"),
        (["infer", "{tmp}", "{folder}/banana/0.png"], "has no finished run"),
        (["export", "{tmp}", "{tmp}/x"], "has no finished run"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, tmp_path: Path, arguments, message: str, capsys):
    """The exit status is 2, with only the message and no traceback."""
    assert main([word.format(folder=folder, tmp=tmp_path) for word in arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("larder: ")
    assert message in told
    assert "\n" not in told
