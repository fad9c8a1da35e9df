"""Classes left out of the training: the split, and the accuracy after teaching them."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.evaluation.heads import Vectors
from app.evaluation.left_out import Split, draw_split, write_split
from app.evaluation.unseen import LOSS, Views, fit_margin, measure, share, table
from app.model.encoder import unit
from app.recognition.few_shot import ImageAlignment

CLASSES = 6
AS_THEY_ARE = ImageAlignment(None, None, margins=(0,), means=True)


@pytest.fixture
def data(tmp_path):
    """Six classes in three coarse ones, two pictures each."""
    grocery, labels = tmp_path / "data/grocery", tmp_path / "labels"
    grocery.mkdir(parents=True)
    labels.mkdir()
    rows = [{"image": {"bytes": bytes([label, n])}, "label": label} for label in range(CLASSES) for n in range(2)]
    for name in ("train", "val"):
        pq.write_table(pa.Table.from_pylist(rows), grocery / f"{name}.parquet")
    with (grocery / "classes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "name", "coarse_label", "coarse_name"])
        writer.writerows([label, f"fine {label}", label // 2, f"coarse {label // 2}"] for label in range(CLASSES))
    names = [f"fine {label}" for label in range(CLASSES)]
    (labels / "pantry.txt").write_text("# all\n" + "\n".join([*names, "something else"]) + "\n")
    return tmp_path


def test_a_split_is_drawn_anew_the_same(data):
    """A seed gives the same split; kept and left out classes are all classes."""
    split = draw_split(3, CLASSES, 2)
    assert split == draw_split(3, CLASSES, 2)
    assert (len(split.left_out), sorted(split.kept + split.left_out)) == (2, list(range(CLASSES)))


def test_a_split_has_the_pictures_that_were_kept(data):
    """Fine and coarse classes are renumbered; the labels begin with the kept names, followed by the rest."""
    split, folder = Split([1, 2, 4, 5], [0, 3]), data / "split"
    write_split(split, data / "data", data / "labels", folder)
    rows = pq.read_table(folder / "data/grocery/train.parquet").to_pylist()
    assert [(row["image"]["bytes"][0], row["label"]) for row in rows[::2]] == [(1, 0), (2, 1), (4, 2), (5, 3)]
    with (folder / "data/grocery/classes.csv").open() as file:
        found = [(row["name"], row["label"], row["coarse_label"]) for row in csv.DictReader(file)]
    assert found == [("fine 1", "0", "0"), ("fine 2", "1", "1"), ("fine 4", "2", "2"), ("fine 5", "3", "2")]
    names = (folder / "labels/pantry.txt").read_text().splitlines()
    assert names == ["fine 1", "fine 2", "fine 4", "fine 5", "fine 0", "fine 3", "something else"]
    assert Split.load(folder) == split
    assert json.loads((folder / "split.json").read_text())["left_out"] == [0, 3]


def test_what_is_taught_is_measured():
    """Classes with separate directions that no label names are recognised once they are taught."""
    rng = np.random.default_rng(0)
    split, directions = Split([0, 1, 2], [3, 4]), np.eye(8, dtype=np.float32)

    def pictures(each):
        labels = np.repeat(np.arange(5), each)
        return Vectors(unit(directions[labels] + rng.normal(0, 0.1, (len(labels), 8)).astype(np.float32)), labels)

    prototypes = directions[:5] * np.float32([1, 1, 1, 0, 0])[:, None]
    found = measure(0, Views(prototypes, pictures(20), pictures(10), pictures(10), split, AS_THEY_ARE))
    assert (found.nothing.unseen, found.nothing.seen) == (0, 1)
    assert [each.shots for each in found.alone] == [1, 2, 5, 10, 16]
    assert all((each.unseen, each.same_shop) == (1, 1) for each in found.alone)
    assert all(each.seen > 0.9 for each in found.alone)
    assert table([found, found]).splitlines()[3].split()[0] == "2"


def test_the_margin_takes_as_much_as_it_may():
    """With the fitted margin a taught label takes the share LOSS of other pictures, and hardly more above it."""
    rng = np.random.default_rng(1)
    split, directions = Split([0, 1], [2]), np.eye(6, dtype=np.float32)

    def pictures(each, spread):
        labels = np.repeat(np.arange(3), each)
        noise = rng.normal(0, spread, (len(labels), 6)).astype(np.float32)
        return Vectors(unit(directions[labels] + noise), labels)

    views = Views(
        directions[:3] * np.float32([1, 1, 0])[:, None],
        pictures(20, 0.2),
        pictures(500, 0.2),
        pictures(500, 0.2),
        split,
        AS_THEY_ARE,
    )
    margin = fit_margin(views, 5)

    def lost(margin):
        seen = np.mean([share(views, 2, 5, draw, margin).seen for draw in range(3)])
        return share(views, 2, 0, 0, 0.0).seen - seen

    assert margin > 0
    assert LOSS / 3 < lost(margin) < 3 * LOSS
    assert lost(margin + 0.2) > lost(margin) > lost(margin - 0.2)
