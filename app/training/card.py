"""The model card: what the model is, what it was trained on, how good it is, what it does not know."""

from app.training.options import Options

CARD = """# larder-small

A small CLIP, trained from scratch: a residual CNN for pictures of {size} x {size} pixels and a two-layer transformer
for texts share a space of {embedding} dimensions. A picture's embedding is the mean of its own and of its mirror
image's, both computed inside `visual.onnx`. It recognises the 81 groceries of the first block of
`labels/pantry.txt` by their names, by other words for them and by their coarse names, and says `known: false` to
most pictures of other things.

## Data and licence

- Groceries: `train` of the Grocery Store Dataset (2,640 phone photographs, 81 classes; M. Klasson, C. Zhang,
  H. Kjellström: A Hierarchical Grocery Store Image Dataset with Visual and Semantic Labels, WACV 2019; MIT licence).
  Tuned and calibrated on `val` (296 pictures), which also chose the size of the pictures. `test_sample` (637 pictures)
  was measured more than once for the first edition (docs/decisions/0002-larder-small.md), whose weights this one goes
  on from, and more than once for this one: at 160 pixels, where its calibration fell short, and, after val had chosen
  192 for that, at this size (docs/decisions/0009-larder-small-2.md). The figures on it are therefore a little kind.
- Other pictures: eight of the ten classes of CIFAR-10's training pictures (A. Krizhevsky, 2009), enlarged. Frogs and
  trucks were left out: their training pictures only set the margin of `known`.
- Noise, plain colours, gradients, stripes and checks, drawn by `app/training/drawn.py`.
{drawings}- Captions: phrases and lists beside the training code, written for this project. They hold no
  text of the data sets but the names of the classes.

The weights are under the Apache License 2.0.

## Training

```
{command}
```

Seed {seed}; {minutes:.0f} minutes in all on processor cores that other work shared; `make train` does the same.
What the commands do not say are the defaults in `app/training/options.py`; a run saves its own beside its checkpoint.
`python -m app.evaluation likeness` adds, from the same pictures, how pictures are compared with examples that teach.

## Figures

| | val | test_sample |
|---|---|---|
| top-1 among the 81 groceries | {val[fine]:.1%} | {test[fine]:.1%} |
{unseen}
| top-1 among the 43 coarse names | {val[coarse]:.1%} | {test[coarse]:.1%} |
| calibration error, 15 bins, fitted on val | {val[calibration_error]:.3f} | {test[calibration_error]:.3f} |

| `known`: test_sample against | AUROC | wrongly known |
|---|---|---|
| CIFAR-10 test, every fifth picture, enlarged | {known[auroc_other_pictures]:.4f} | {known[other_pictures_known]:.1%} |
| of these, frogs and trucks: never trained on | {known[auroc_new_classes]:.4f} | {known[new_classes_known]:.1%} |
| drawn noise, colours and patterns | {known[auroc_drawn]:.4f} | {known[drawn_known]:.1%} |

{known[groceries_known]:.1%} of the groceries are known at that margin.

## Limits

- It knows the shops and the brands of its pictures: groceries of one Swedish city, photographed with a phone. Packages
  of other brands come out as the most similar one it has seen, and similar packages of one brand are often confused.
- The goods of the second block of `pantry.txt` are scored but never recognised: it has seen no pictures of them.
- It reads English only and knows few words beyond groceries. Adjectives mean little outside the names it learnt.
- `known` was fitted on small, enlarged pictures and on drawn ones. Sharp photographs of other things may pass as known.
"""
UNSEEN = (
    "| the same with the unseen goods of `pantry.txt` as labels | "
    "{val[fine_with_unseen_goods]:.1%} | {test[fine_with_unseen_goods]:.1%} |"
)
DRAWINGS = """- Drawn groceries: {count} pictures by `samples/draw.py` with seeds from 1000 on, {step} in every step.
  The samples that are kept have other seeds, but are of the same kind: that they are recognised says
  little about photographs.
"""


def model_card(options: Options, figures: dict[str, dict[str, float]], command: str, minutes: float) -> str:
    """The card's text with this run's numbers."""
    scores = {"val": figures["val"], "test": figures["test_sample"]}
    return CARD.format(
        size=options.image_size, embedding=options.embedding_size, seed=options.seed,
        drawings=DRAWINGS.format(count=options.drawings, step=options.drawings_per_step) if options.drawings else "",
        command=command, minutes=minutes, known=figures["known"], unseen=UNSEEN.format(**scores), **scores,
    )  # fmt: skip
