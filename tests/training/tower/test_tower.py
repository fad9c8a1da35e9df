"""The tuned tower: the pretrained network in pieces, its steps, and the graph that serving reads."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from app.errors import TrainingError
from app.training.data import Classes, Pictures
from app.training.runs import write_state
from app.training.tower.__main__ import main
from app.training.tower.changes import change, change_others
from app.training.tower.export import Served, served, steps_of, write_visual
from app.training.tower.features import tuned
from app.training.tower.network import FROZEN, SIZES, Front, Run, Tail, compiled, pretrained
from app.training.tower.options import Stage, TowerOptions
from app.training.tower.pictures import SHARED, Source
from app.training.tower.train import Trainer, discriminant, run

CLASSES = Classes(np.array([0, 0, 1]), ["apple", "pear"])
OPTIONS = TowerOptions(network="lite0", stages=(Stage(2, 32, 4, 1.0), Stage(2, 64, 2, 0.5)), groceries=4, warmup=1)
COMPILED = {}


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(count, 3, side, side), dtype=np.uint8)


@pytest.fixture
def source() -> Source:
    groceries = Pictures(noise(9, 80), np.arange(9) % 3)
    return Source(groceries, Pictures(noise(5, 32, 1), np.zeros(5, np.int64)), CLASSES, OPTIONS)


def trainer(source: Source) -> Trainer:
    """One whose untouched network, the same in each run, is compiled once for each size."""

    def once(network: nn.Module, size: int) -> Run:
        if size not in COMPILED:
            COMPILED[size] = compiled(network, size)
        return COMPILED[size]

    return Trainer(OPTIONS, source, once)


@pytest.mark.parametrize("name", SIZES)
def test_front_and_tail_together_are_the_pretrained_network(name):
    """Their features give the logits that the package's own network gives."""
    network, pixels = pretrained(name), torch.randn(2, 3, SIZES[name], SIZES[name], generator=rng())
    with torch.no_grad():
        features = Tail(network, FROZEN[name])(Front(network, FROZEN[name])(pixels))
        assert torch.allclose(network._fc(features), network(pixels), atol=1e-4)


def test_the_served_graph_gives_the_features_of_both_tails(tmp_path):
    """ONNX Runtime gives what the module gives: the features of both networks, but for rounding."""
    network, frozen, size = pretrained("lite0"), FROZEN["lite0"], SIZES["lite0"]
    other = pretrained("lite0")
    other._conv_head.weight.data *= 0.5
    both = Served(network, other, frozen, size, nn.Identity())
    write_visual(both, size, tmp_path / "visual.onnx")
    pixels = torch.randn(2, 3, size, size, generator=rng())
    session = onnxruntime.InferenceSession(str(tmp_path / "visual.onnx"))
    [found] = session.run(None, {"pixels": pixels.numpy()})
    with torch.no_grad():
        assert found == pytest.approx(both.eval()(pixels).numpy(), abs=1e-3)
        for place, each in enumerate((network, other)):
            features = Tail(each, frozen)(Front(each, frozen)(pixels))
            part = torch.from_numpy(found[:, place * 1280 : (place + 1) * 1280])
            assert nn.functional.cosine_similarity(features, part).min() > 0.99
    kinds = {weight.data_type for weight in onnx.load(tmp_path / "visual.onnx").graph.initializer}
    assert {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16} <= kinds
    assert (tmp_path / "visual.onnx").stat().st_size < 13e6


def test_served_weights_fit_into_their_bits():
    """Coarse matrices are whole multiples of a power of two, 127 at most; others are what bfloat16 and float16 hold."""
    weight = torch.randn(300, 200, generator=rng())
    coarse, fine = served(weight, coarse=True), served(weight, coarse=False)
    whole = coarse / steps_of(coarse)
    assert torch.equal(whole, whole.round())
    assert whole.abs().max() <= 127
    assert (coarse - weight).abs().max() <= steps_of(weight).max() / 2
    assert torch.equal(fine, fine.bfloat16().float())
    assert torch.equal(fine, fine.half().float())
    few = torch.randn(10, generator=rng())
    assert torch.equal(served(few, coarse=True), few)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(source, tmp_path):
    """Weights and their average are equal bit for bit, over stages of different sizes."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    run(whole := trainer(source), tmp_path / "whole", every=1e9)
    first = trainer(source)
    first.begin()
    first.step()
    state = first.state()
    write_state(state, tmp_path / "parts/checkpoint.pt")
    run(second := trainer(source), tmp_path / "parts", every=1e9)
    assert (whole.done, second.done) == (4, 4)
    for one, other in ((whole.model, second.model), (whole.average, second.average)):
        assert all(
            torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        )
    assert len((tmp_path / "whole/metrics.jsonl").read_text().splitlines()) == 4
    network = pretrained("lite0")
    copy = tuned(network, FROZEN["lite0"], tmp_path / "whole/checkpoint.pt")
    assert torch.equal(copy._conv_head.weight, whole.average.tail.head.weight)
    assert not torch.equal(copy._conv_head.weight, network._conv_head.weight)


def test_only_the_tail_learns(source):
    """The front and the kernels of depthwise convolutions do not change."""
    learner = trainer(source)
    before = {name: weight.clone() for name, weight in learner.model.state_dict().items()}
    learner.step()
    changed = {name for name, weight in learner.model.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed == {name for name, _ in learner.model.named_parameters() if "depthwise" not in name}


def test_the_kinds_sum_the_chances_of_their_goods(source):
    """Coarse logits are those of the summed probabilities."""
    model = trainer(source).model
    fine = torch.tensor([[0.2, 0.3, 0.5]])
    assert model.coarse(fine.log()).softmax(1)[0].tolist() == pytest.approx([0.5, 0.5])


def test_the_analysis_tells_classes_apart():
    """Its logits name the class of pictures that it did not see, and lead by what was asked for on those it saw."""
    centres, rng = torch.eye(3, 6) * 3, np.random.default_rng(0)
    labels = torch.arange(90) % 3
    seen, unseen = (centres[labels] + torch.from_numpy(rng.normal(size=(90, 6))).float() for _ in range(2))
    weight, bias = discriminant(seen, labels, lead=5.0)
    assert ((unseen @ weight.T + bias).argmax(1) == labels).float().mean() > 0.9
    logits = seen @ weight.T + bias
    assert float((logits.gather(1, labels[:, None])[:, 0] - logits.mean(1)).mean()) == pytest.approx(5, abs=1e-3)


def test_changes_keep_the_range_and_come_again_with_the_seed():
    """Changed pictures have the model's range; the same rng give the same pictures, others give others."""
    groceries, others = (torch.from_numpy(noise(12, 50, seed)) for seed in range(2))
    one, again, another = (change(groceries, others, 64, rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (12, 3, 64, 64)
    assert (one.min() >= -127 / 128, one.max() <= 1) == (True, True)
    assert torch.equal(one, again)
    assert not torch.equal(one, another)
    assert change_others(others, 64, rng()).shape == (12, 3, 64, 64)


def test_some_groceries_are_laid_on_other_backgrounds():
    """Some of the black pictures get another colour, and most do not."""
    black, others = torch.zeros(60, 3, 50, 50, dtype=torch.uint8), torch.full((4, 3, 32, 32), 255, dtype=torch.uint8)
    changed = change(black, others, 64, rng(3))
    bright = ((changed > 0.2).float().mean((1, 2, 3)) > 0.25).sum()
    assert 5 <= bright <= 40


def test_halves_of_a_step_share_no_picture(source):
    """Together they have the step's groceries; the targets of each sum to 1."""
    halves = [source.half(0, which) for which in range(2)]
    for half in halves:
        assert half.pixels.shape == (4, 3, 32, 32)
        assert half.fine.sum(1).tolist() == pytest.approx([1, 1])
        assert half.coarse.sum(1).tolist() == pytest.approx([1, 1])
    assert not torch.equal(halves[0].pixels, halves[1].pixels)
    assert source.half(2, 0).pixels.shape == (3, 3, 64, 64)


def test_shared_goods_are_the_same_things():
    """ImageNet's class of each shared grocery has its name, as timm lists the classes."""
    lists = Path(importlib.util.find_spec("timm").origin).parent / "data/_info"
    synsets = (lists / "imagenet_synsets.txt").read_text().split()
    lines = (lists / "imagenet_synset_to_lemma.txt").read_text().splitlines()
    names = dict(line.split("\t", 1) for line in lines)
    words = {"brown cap mushroom": "mushroom", "cabbage": "head cabbage", "granny smith": "Granny Smith"}
    assert all(words.get(name, name.split()[-1]) in names[synsets[place]] for name, place in SHARED.items())


def test_options_are_read_as_they_were_saved(tmp_path):
    """Stages are restored too, and each step belongs to its stage."""
    OPTIONS.save(tmp_path / "options.json")
    assert TowerOptions.load(tmp_path / "options.json") == OPTIONS
    assert [OPTIONS.stage(step).size for step in range(OPTIONS.steps)] == [32, 32, 64, 64]


def test_another_run_is_not_gone_on_with(tmp_path, capsys):
    """A folder with a run of other options is rejected in one line."""
    replace(TowerOptions(), seed=7).save(tmp_path / "options.json")
    assert main(["train", str(tmp_path), "--keep", str(tmp_path)]) == 2
    assert "holds a run with other options" in capsys.readouterr().err
    assert issubclass(TrainingError, Exception)
