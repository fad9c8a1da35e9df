"""The bundle: the tuned tower and the text tower in one folder that serving reads."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from tokenizers import Tokenizer
from torch import nn

from app.exporter.checkpoint import sha256_of
from app.model.bundle import PROBE_PROMPT, BundleConfig, Proof, make_proof, probe_pixels
from app.recognition.few_shot import ImageAlignment
from app.text import clean
from app.training.tower.export import Served, write_visual
from app.training.tower.features import image_form, tower
from app.training.tower.options import TowerOptions

ORIGIN = "tuned from pretrained EfficientNet-Lite2 and MiniLM by `make train`: see MODEL_CARD.md"
LICENCE = (
    "Weights: Apache-2.0, as are EfficientNet-Lite2 (Google) and all-MiniLM-L6-v2 (Nils Reimers and others), which "
    "they were tuned from. Training data: Grocery Store Dataset (M. Klasson, C. Zhang, H. Kjellström, WACV 2019), MIT; "
    "CIFAR-10 (A. Krizhevsky, 2009), pictures alone; WordNet 3.0 (Princeton University), WordNet licence."
)
MARGINS = (0.155, 0.13, 0.115, 0.1, 0.095, 0.093, 0.09, 0.088, 0.086, 0.085)  # docs/decisions/teaching.md
KNOWN = 0.7


def write_bundle(run: Path, texts: Path, head: nn.Module, scale: float, card: str, out: Path) -> None:
    """Write every file but the calibration; `texts` has text.onnx, tokenizer.json and whatever else belongs to it."""
    name = TowerOptions.load(run / "options.json").network
    served, form = tower(name, run / "checkpoint.pt", head), image_form(name)
    out.mkdir(parents=True, exist_ok=True)
    write_visual(served, form.size, out / "visual.onnx")
    for path in sorted(texts.iterdir()):
        shutil.copyfile(path, out / path.name)
    ImageAlignment(None, None, margins=MARGINS, means=True, known=KNOWN).save(out / "likeness.npz")
    (out / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    proof = proof_of(served, form.size, out)
    config = BundleConfig(
        format_version=1,
        name=out.name,
        origin=ORIGIN,
        licence=LICENCE,
        image_size=form.size,
        resize_mode="shortest",
        interpolation="bicubic",
        mean=form.mean,
        std=form.std,
        context_length=len(Tokenizer.from_file(str(out / "tokenizer.json")).encode("").ids),
        embedding_size=len(proof.picture),
        logit_scale=scale,
        proof=proof,
        sha256={path.name: sha256_of(path) for path in sorted(out.iterdir()) if path.name != "config.json"},
    )
    text = json.dumps(config.model_dump(mode="json", exclude_none=True), indent=2, ensure_ascii=False)
    (out / "config.json").write_text(text + "\n", encoding="utf-8")


def proof_of(served: Served, size: int, folder: Path) -> Proof:
    """What the towers answer to the probes, in 32 bits."""
    with torch.no_grad():
        picture = served.eval()(torch.from_numpy(probe_pixels(size))).numpy()
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(clean(PROBE_PROMPT)).ids
    session = onnxruntime.InferenceSession(str(folder / "text.onnx"), providers=["CPUExecutionProvider"])
    return make_proof(picture, session.run(None, {"tokens": np.array([tokens], np.int64)})[0])
