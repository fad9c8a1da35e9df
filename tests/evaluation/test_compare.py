"""From pictures to a report: the CNN is trained, every contestant answers, and a page has the figures."""

import json

import numpy as np
import pytest

from app.errors import EvaluationError
from app.evaluation.__main__ import command_line, main
from app.evaluation.cnn import Predictions
from app.evaluation.compare import pairs
from app.evaluation.figures import Answers

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own parts


@pytest.fixture
def splits(parquet, class_list) -> list[str]:
    """Options that name the three splits."""
    names = {"--train": 20, "--val": 5, "--test": 6}
    files = [[name, str(parquet(f"{name[2:]}.parquet", each, 1000 * each))] for name, each in names.items()]
    return [word for both in files for word in both] + ["--classes", str(class_list)]


def test_pairs_count_picture_by_picture():
    """Two contestants that are right equally often on different pictures differ by 0, with an error."""
    labels = np.array([0, 1, 0, 1])
    first, second = np.eye(2)[[0, 1, 1, 0]], np.eye(2)[[1, 0, 0, 1]]
    one, other = (Answers(name, "", first, logits, 1, 1) for name, logits in (("a", first), ("b", second)))
    [found] = pairs([one, other], labels)
    assert (found.first, found.second, found.difference, found.error) == ("a", "b", 0, 0.5)


def test_a_comparison_is_a_page_with_plots(tmp_path, monkeypatch, bundle, splits, prompts, capsys):
    """One command trains the CNN, one writes the report; its tables agree with the JSON file."""
    monkeypatch.chdir(tmp_path)
    small = ["--size", "32", "--train-size", "32", "--epochs", "1", "--batch", "8", "--threads", "1"]
    assert main(["baseline", *splits, *small, "--batch", "80", "--out", "cnn.npz"]) == 2
    assert "1 steps are too few to train" in capsys.readouterr().err
    assert main(["baseline", *splits, *small, "--out", "cnn.npz", "--weights", "kept/cnn.pt"]) == 0
    assert (tmp_path / "kept/cnn.pt").is_file()
    assert "24 pictures" in capsys.readouterr().out
    (tmp_path / "report").mkdir()
    (tmp_path / "report/colours-notes.md").write_text("Red is easy.\n")
    words = ["--model", str(bundle), "--cnn", "cnn.npz", "--out", "report/colours", "--title", "Colours", *prompts]
    assert main(["compare", *splits, *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "report/colours.json").read_text()) == found
    assert [each["name"] for each in found["contestants"]] == [
        "zero-shot (one prompt)", "zero-shot (templates)", "linear probe", "k-nearest", "CNN",
    ]  # fmt: skip
    assert found["contestants"][1]["top_1"] == 1
    assert [row["shots"] for row in found["shots"]] == [1, 2, 5, 10, 16]
    assert found["cnn"]["epochs"] == 1
    assert found["confidence"]["temperature"] is None
    page = (tmp_path / "report/colours.md").read_text()
    assert "# Colours" in page
    assert "## What they say\n\nRed is easy.\n" in page
    first, other = found["contestants"][:2]
    lead = 100 * (first["top_1"] - other["top_1"])
    assert f"| {first['name']} | {other['name']} | {lead:+.1f} | " in page
    assert "without a temperature.\nThe bundle has no margin for `known`." in page
    assert "| Zero-shot (templates) | 2 templates, 4 names | 100.0 % | 100.0 % |" in page
    for name in ("classes", "confusion", "reliability", "shots"):
        assert f"(colours-{name}.png)" in page
        picture = (tmp_path / f"report/colours-{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 150_000


def test_predictions_of_other_pictures_are_refused(tmp_path):
    """The predictions must be of these pictures; a file of another kind is reported."""
    logits = np.float32([[1, 2]])
    made = Predictions("resnet18", False, 32, 32, 1, 0.1, "python", "abc", logits, 2 * logits)
    made.save(tmp_path / "kept" / "cnn.npz")
    kept = Predictions.load(tmp_path / "kept" / "cnn.npz", "abc")
    assert kept.facts() == made.facts()
    np.testing.assert_array_equal(kept.test, made.test)
    with pytest.raises(EvaluationError, match="are of other pictures"):
        Predictions.load(tmp_path / "kept" / "cnn.npz", "abd")
    (tmp_path / "no.npz").write_bytes(b"nothing")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "kept" / "cnn.npz").read_bytes()[:-40])
    for name in ("no.npz", "cut.npz", "missing.npz"):
        with pytest.raises(EvaluationError, match="cannot be read"):
            Predictions.load(tmp_path / name, "abc")


def test_the_command_in_a_report_names_no_folders_of_this_machine():
    """Files outside of the checkout are named by their last two parts."""
    words = ["compare", "--train", "/home/me/data/fruit/train.parquet", "--test", "../x/test.parquet", "--out", "a/b"]
    assert command_line(words) == (
        "python -m app.evaluation compare --train DATA/fruit/train.parquet --test DATA/x/test.parquet --out a/b"
    )


def test_a_missing_file_is_one_line(tmp_path, capsys):
    """The exit status is 2, and the line has the file's name."""
    missing = str(tmp_path / "missing.parquet")
    words = ["--train", missing, "--test", missing, "--out", str(tmp_path / "x"), "--model", "larder-small"]
    assert main(["compare", *words, "--classes", "labels/pantry.txt"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("larder: ")
    assert "missing.parquet is neither a parquet file nor a folder" in error


def test_without_pretrained_weights_it_says_so(monkeypatch, capsys):
    """A failed download is reported, and the network starts from scratch."""
    from app.evaluation import cnn

    timm = cnn.timm()

    class Offline:
        @staticmethod
        def create_model(name: str, **options: object):
            if options.get("pretrained"):
                raise OSError("no network here")
            return timm.create_model(name, **options)

    monkeypatch.setattr(cnn, "timm", Offline)
    model, pretrained = cnn.build("resnet18", 3, 32, pretrained=True)
    assert pretrained is False
    assert "no pretrained weights, it starts from scratch: no network here" in capsys.readouterr().err
    assert model.conv1.kernel_size == (3, 3)
