"""Write the tuned picture tower and the text tower as one bundle."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer

from app.images.prepare import ImageForm
from app.model.bundle import PROBE_PROMPT, Proof, make_proof, open_bundle, probe_pixels, write_config
from app.model.encoder import Encoder
from app.model.engines.onnxruntime import OnnxRuntimeEngine
from app.recognition.calibration import fit_temperature
from app.recognition.labels import parse_labels
from app.recognition.vocabulary import encode, read_prompts
from app.text import clean
from app.training.tower.export import Served, write_visual
from app.training.tower.features import image_form, tower
from app.training.tower.options import TowerOptions
from app.training.words.space import Head, Space, taught

ORIGIN = "tuned from pretrained EfficientNet-Lite2 and MiniLM by `make train`: see MODEL_CARD.md"
LICENCE = (
    "Weights: Apache-2.0, as are EfficientNet-Lite2 (Google) and all-MiniLM-L6-v2 (Nils Reimers and others), which "
    "they were tuned from. Training data: Grocery Store Dataset (M. Klasson, C. Zhang, H. Kjellström, WACV 2019), MIT; "
    "CIFAR-10 (A. Krizhevsky, 2009), pictures alone; WordNet 3.0 (Princeton University), WordNet licence."
)
SCOPE = (
    "it knows groceries, and everyday things by their English names; brands of other countries, drawings and other "
    "languages it does not."
)
START = 20.0  # a scale of the right order of magnitude, where the fit of the temperature starts


def write_bundle(run: Path, texts: Path, labels: Path, card: Path, out: Path) -> None:
    """Write every file except the calibration from a run of the tower and the output of `app.training.words`.

    `labels` is the folder of label files as served; the logit scale is fitted on the run's `val`.
    """
    name, space = TowerOptions.load(run / "options.json").network, Space.load(texts / "space.npz")
    served, form = tower(name, run / "checkpoint.pt", Head(space)), image_form(name)
    out.mkdir(parents=True, exist_ok=True)
    write_visual(served, form.size, out / "visual.onnx")
    shutil.copytree(texts / "bundle", out, dirs_exist_ok=True)
    taught().save(out / "likeness.npz")
    if card != out / "MODEL_CARD.md":
        shutil.copyfile(card, out / "MODEL_CARD.md")
    proof = proof_of(served, form.size, out)
    write(form, proof, 1.0, out)
    write(form, proof, fit_scale(run / "features.npz", space, labels, out), out)


def fit_scale(features: Path, space: Space, labels: Path, folder: Path) -> float:
    """Fit the logit scale: the factor on cosine similarities that makes their softmax a calibrated probability."""
    bundle = open_bundle(folder)
    encoder = Encoder(bundle.tokenize, OnnxRuntimeEngine(bundle, threads=2), bundle.config.embedding_size)
    names = [label.names for label in parse_labels((labels / "pantry.txt").read_text(encoding="utf-8"), longest=200)]
    prototypes = encode(names, read_prompts(labels / "templates.txt"), encoder)
    with np.load(features) as seen:
        cosines, shown = space.pictures(seen["val"]) @ prototypes.T, seen["val_labels"]
    return round(START / fit_temperature(START * cosines, shown), 2)


def write(form: ImageForm, proof: Proof, scale: float, out: Path) -> None:
    """Write config.json."""
    config = {
        "format_version": 1,
        "name": out.name,
        "origin": ORIGIN,
        "licence": LICENCE,
        "scope": SCOPE,
        "image_size": form.size,
        "resize_mode": form.resize_mode,
        "interpolation": form.interpolation,
        "mean": form.mean,
        "std": form.std,
        "context_length": tokenizer_of(out).truncation["max_length"],
        "embedding_size": len(proof.picture),
        "logit_scale": scale,
        "proof": proof,
    }
    write_config(out, config)


def proof_of(served: Served, size: int, folder: Path) -> Proof:
    """Compute the towers' float32 outputs for the probes."""
    with torch.no_grad():
        picture = served.eval()(torch.from_numpy(probe_pixels(size))).numpy()
    tokens = tokenizer_of(folder).encode(clean(PROBE_PROMPT)).ids
    session = onnxruntime.InferenceSession(str(folder / "text.onnx"), providers=["CPUExecutionProvider"])
    return make_proof(picture, session.run(None, {"tokens": np.array([tokens], np.int64)})[0])


def tokenizer_of(folder: Path) -> Any:
    """Load the tokenizer of a bundle; it truncates by its own configuration."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
