"""One picture: from a file, from the camera, or a drawn sample."""

import io
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from PIL import Image, ImageOps

KINDS = ["jpg", "jpeg", "png", "webp", "gif", "bmp"]
SAMPLES = sorted(Path(__file__).parents[2].joinpath("samples").glob("*.jpg"))
LARGEST = 1024  # pixels a side of what is shown


@dataclass(frozen=True)
class Picked:
    """A picture's name, for people, and its file."""

    name: str
    data: bytes


def pick(empty: str) -> Picked | None:
    """Let a person choose a picture; until there is one, say what is to be done, ending in `empty`."""
    sources = ["Upload", "Camera", "Sample"]
    source = st.segmented_control("Where the picture comes from", sources, default="Upload", required=True)
    if source == "Sample":
        path = st.selectbox("A drawn picture", SAMPLES, format_func=lambda path: path.stem.replace("-", " "))
        return Picked(path.stem.replace("-", " "), path.read_bytes())
    file = st.camera_input("A photo") if source == "Camera" else st.file_uploader("A picture file", KINDS)
    if file is None:
        what = "Take a photo" if source == "Camera" else "Choose a picture file"
        st.info(f"{what} {empty}", icon=":material/add_photo_alternate:")
        return None
    return Picked(file.name, file.getvalue())


def show(picked: Picked) -> None:
    """Draw a picture that the service could read, upright and no larger than a screen."""
    file = Image.open(io.BytesIO(picked.data))
    file.draft("RGB", (LARGEST, LARGEST))
    image = ImageOps.exif_transpose(file).convert("RGBA")
    image.thumbnail((LARGEST, LARGEST))
    st.image(image, alt=picked.name, width="stretch")
