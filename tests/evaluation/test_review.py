"""The order of the review queue is measured on any bundle and any pictures."""

import json

from app.evaluation.__main__ import main
from app.evaluation.review import ORDERS, table


def test_labels_of_new_classes_are_learnt_in_every_order(
    tmp_path, monkeypatch, bundle, parquet, class_list, prompts, capsys
):
    """Half of the classes are unknown at first; the more labels, the more of the others is recognised."""
    monkeypatch.chdir(tmp_path)
    data = ["--data", str(parquet("val.parquet", 12)), "--classes", str(class_list), "--labels", str(class_list)]
    assert main(["review", str(bundle), *data, *prompts, "--splits", "2", "--most", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == ORDERS.keys()
    assert all(len(curve) == 3 and curve[0] == found["random"][0] for curve in found.values())
    assert all(curve[-1] > curve[0] for curve in found.values())


def test_the_number_of_labels_lies_between_two_measurements():
    """It is interpolated linearly; a value that an order does not reach is absent."""
    lines = table({"random": [0.2, 0.4, 0.6], "entropy": [0.2, 0.5, 0.5]}).splitlines()
    assert lines[-2].split()[1:] == ["10", "20"]
    assert lines[-1].split()[1:] == ["7", "-"]
