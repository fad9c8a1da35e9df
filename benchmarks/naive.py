"""A naive service for comparison: open_clip in PyTorch, encoding every label at every request.

    LABELS=labels.txt python -m uvicorn --factory benchmarks.naive:create_app --port 9000

It is a good first version: the model is loaded once, no gradients, all labels in one call.
"""

import base64
import io
import os
from pathlib import Path

import torch
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel

from app.exporter.open_clip_import import import_open_clip


class Question(BaseModel):
    """A picture in base64."""

    image_data: str


def create_app() -> FastAPI:
    """Create the service over ViT-B/32 with random weights and the labels of the file that LABELS names."""
    torch.manual_seed(0)
    open_clip = import_open_clip()
    model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32")
    model.eval()
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    labels = [line.strip() for line in Path(os.environ["LABELS"]).read_text().splitlines() if line.strip()]
    app = FastAPI()

    @app.get("/")
    def health() -> dict[str, str]:
        return {"message": "OK"}

    @app.post("/process-image")
    def process_image(question: Question) -> dict[str, object]:
        picture = Image.open(io.BytesIO(base64.b64decode(question.image_data))).convert("RGB")
        with torch.inference_mode():
            image = model.encode_image(preprocess(picture)[None], normalize=True)
            texts = model.encode_text(tokenizer([f"a photo of {label}" for label in labels]), normalize=True)
            scores, places = (100 * image @ texts.T).softmax(dim=-1)[0].topk(5)
        return {"top_k_items": [labels[place] for place in places], "top_k_scores": scores.tolist()}

    return app
