"""Temperature and margin are fitted on data and written into the bundle, which opens as before."""

import json

import numpy as np
import pytest

from app.components import open_model
from app.evaluation.__main__ import main
from app.evaluation.confidence import Evidence, fit, judge
from app.model.bundle import Calibration, open_bundle, read_config, update_config
from app.recognition.zero_shot import softmax
from app.settings import Settings


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Keep compiled models below the working folder."""
    monkeypatch.chdir(tmp_path)


def evidence(seed: int = 0) -> Evidence:
    """Return logits that are twice too large, and leads separated by a margin of 0.2."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (3000, 4))
    labels = np.array([rng.choice(4, p=row) for row in softmax(logits)])
    others = {"noise": np.linspace(-1, 0.1, 50, dtype=np.float32)}
    return Evidence((2 * logits).astype(np.float32), 2.0, labels, np.linspace(0.3, 1, 3000, dtype=np.float32), others)


def test_fitting_finds_the_temperature_and_the_margin():
    """The fit recovers the values that the data was generated with, and improves the figures."""
    found = evidence()
    calibration = fit(found)
    assert calibration.temperature == pytest.approx(2, rel=0.1)
    assert calibration.known_margin == pytest.approx(0.2)
    before, after = judge(found, None), judge(found, calibration)
    assert after.calibration_error < 0.03 < before.calibration_error
    assert after.negative_log_likelihood < before.negative_log_likelihood
    assert (after.true_positive_rate, after.known[0].false_positive_rate, after.known[0].auroc) == (1, 0, 1)
    assert (before.true_positive_rate, before.known[0].false_positive_rate, before.known[0].auroc) == (None, None, 1)


def test_the_label_cosine_parts_shown_from_not_shown():
    """No other cosine threshold has a better mean of both hit rates."""
    found = evidence(2)
    shown = found.labels[:, None] == np.arange(4)
    cosines = found.logits / found.scale

    def rate(threshold: float) -> float:
        return float((cosines[shown] > threshold).mean() + (cosines[~shown] <= threshold).mean())

    assert rate(fit(found).label_cosine) >= max(map(rate, np.linspace(-6, 6, 400))) - 1e-9


def test_figures_agree_with_a_loop_over_the_pictures():
    """Likelihood and shares equal those computed one picture at a time."""
    found, calibration = evidence(1), Calibration(temperature=1.5, known_margin=0.5)
    judged = judge(found, calibration)
    rows = zip(found.logits, found.labels, strict=True)
    chances = [np.exp(row / 1.5)[label] / np.exp(row / 1.5).sum() for row, label in rows]
    assert judged.negative_log_likelihood == pytest.approx(-np.mean(np.log(chances)), rel=1e-4)
    assert judged.true_positive_rate == pytest.approx(sum(lead > 0.5 for lead in found.leads) / 3000)


def test_only_the_calibration_changes(bundle):
    """The rest of config.json stays, no temporary file is left, and the bundle opens."""
    before = json.loads((bundle / "config.json").read_text())
    update_config(bundle, calibration=Calibration(temperature=0.5, known_margin=0.25, label_cosine=0.5))
    after = json.loads((bundle / "config.json").read_text())
    assert after == before | {"calibration": {"temperature": 0.5, "known_margin": 0.25, "label_cosine": 0.5}}
    assert open_bundle(bundle).config.calibration == Calibration(**after["calibration"])
    assert sorted(path.name for path in bundle.iterdir()) == sorted(["config.json", *before["sha256"]])


def test_a_bundle_is_calibrated_from_pictures(here, bundle, parquet, class_list, prompts, capsys):
    """The command prints before and after, and the service serves the result."""
    words = [str(bundle), "--data", str(parquet("val.parquet", 10)), "--classes", str(class_list), *prompts]
    assert main(["calibrate", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["before"]["known_margin"] is None
    assert found["after"]["negative_log_likelihood"] <= found["before"]["negative_log_likelihood"]
    model = open_model(Settings(model=str(bundle)))
    assert model.config.calibration.temperature == found["after"]["temperature"]
    assert model.config.calibration.known_margin == found["after"]["known_margin"]


def test_confidence_is_measured_and_nothing_is_written(here, bundle, parquet, class_list, prompts, capsys):
    """It uses drawn and other pictures; the bundle is not modified."""
    update_config(bundle, calibration=Calibration(temperature=1.0, known_margin=0.1))
    before = (bundle / "config.json").read_bytes()
    others = parquet("others.parquet", 5)
    data = ["--data", str(others), "--classes", str(class_list), "--others", str(others)]
    assert main(["confidence", str(bundle), *data, *prompts]) == 0
    text = capsys.readouterr().out
    assert "20 labelled pictures, 4 labels, top-1 100.0%" in text
    assert "AUROC of known against drawn noise, colours and patterns" in text
    assert [line.split()[-1] for line in text.splitlines() if others.name in line] == ["0.5000"]
    assert (bundle / "config.json").read_bytes() == before


def test_an_uncalibrated_bundle_is_told_what_to_do(here, bundle, parquet, class_list, prompts, capsys):
    """The error is one line, with exit status 2."""
    data = ["--data", str(parquet("a.parquet", 2)), "--classes", str(class_list)]
    assert main(["confidence", str(bundle), *data, *prompts]) == 2
    assert "is not calibrated: python -m app.evaluation calibrate" in capsys.readouterr().err


def test_a_margin_that_was_chosen_elsewhere_is_written(here, bundle, parquet, class_list, prompts, capsys):
    """With --known-margin and --label-cosine the temperature alone is fitted."""
    data = ["--data", str(parquet("val.parquet", 10)), "--classes", str(class_list)]
    given = ["--known-margin", "0", "--label-cosine", "0.3"]
    assert main(["calibrate", str(bundle), *data, *prompts, *given]) == 0
    written = read_config(bundle).calibration
    assert (written.known_margin, written.label_cosine) == (0, 0.3)
    assert written.temperature > 0
