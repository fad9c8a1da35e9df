"""Let a person choose pictures: files, the camera, or a drawn sample."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from larder_client.pictures import displayable, open_file, upright
from PIL import Image

ENDINGS = {
    "JPEG": ["jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp"],
    "PNG": ["png", "apng"],
    "WebP": ["webp"],
    "GIF": ["gif"],
    "BMP": ["bmp", "dib"],
    "TIFF": ["tif", "tiff"],  # the client converts this and those that follow
    "AVIF": ["avif"],
    "HEIC": ["heic", "heif", "hif"],
}
KINDS = [ending for endings in ENDINGS.values() for ending in endings]
SAMPLES = sorted(Path(__file__).parents[2].joinpath("samples").glob("*.jpg"))
LARGEST = 1024  # pixels a side of what is shown


@dataclass(frozen=True)
class Picked:
    """A picture's name, for people, and its file."""

    name: str
    data: bytes


def pick(empty: str) -> Picked | None:
    """Let a person choose a picture; until there is one, say what is to be done, ending in `empty`."""
    source = choose_source()
    found = pictures_from(source)
    hint(source, found, empty)
    return found[0] if found else None


def choose_source() -> str:
    """Where pictures come from."""
    sources = ["Upload", "Camera", "Sample"]
    return st.segmented_control("Where the picture comes from", sources, default="Upload", required=True)


def pictures_from(source: str, most: int = 1) -> list[Picked]:
    """The pictures that were chosen; a person is told of `most`, and may choose more all the same."""
    if source == "Sample":
        path = st.selectbox("A drawn picture", SAMPLES, format_func=lambda path: path.stem.replace("-", " "))
        return [Picked(path.stem.replace("-", " "), path.read_bytes())]
    if source == "Camera":
        files = [st.camera_input("A photo")]
    elif most > 1:
        files = [*st.file_uploader(f"Picture files, up to {most}", KINDS, accept_multiple_files=True)]
    else:
        files = [st.file_uploader("A picture file", KINDS)]
    return [Picked(file.name, file.getvalue()) for file in files if file]


def few_enough(found: list[Picked], most: int) -> bool:
    """Whether there are at most `most`; warns otherwise."""
    if len(found) > most:
        st.warning(f"{len(found)} pictures were chosen: take some away, up to {most} go.", icon=":material/warning:")
    return len(found) <= most


def hint(source: str, found: list[Picked], empty: str) -> None:
    """Say what to do while there is no picture, ending in `empty`."""
    if not found:
        what = "Take a photo" if source == "Camera" else "Choose a picture file"
        st.info(f"{what} {empty}", icon=":material/add_photo_alternate:")


def show(picked: Picked) -> None:
    """Draw a picture that the service could read."""
    st.image(preview(picked)[0], alt=picked.name, width="stretch")


def preview(picked: Picked) -> tuple[Image.Image, float]:
    """A picture upright and no larger than a screen, and its size as a share of the file's."""
    file = open_file(picked.data)
    longest = max(file.size)
    file.draft("RGB", (LARGEST, LARGEST))
    image = displayable(upright(file)).convert("RGBA")
    image.thumbnail((LARGEST, LARGEST))
    return image, max(image.size) / longest
