"""Let a person choose pictures: files, the camera, or a drawn sample; and recognise several of one thing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from larder_client import Recognition, Refused
from larder_client.pictures import displayable, open_file, upright
from PIL import Image

from app.ui.connection import larder

ENDINGS = {
    "JPEG": ["jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp"],
    "PNG": ["png", "apng"],
    "WebP": ["webp"],
    "GIF": ["gif"],
    "BMP": ["bmp", "dib"],
    "TIFF": ["tif", "tiff"],  # the client converts this and the following formats
    "AVIF": ["avif"],
    "HEIC": ["heic", "heif", "hif"],
}
KINDS = [ending for endings in ENDINGS.values() for ending in endings]
SAMPLES = sorted(Path(__file__).parents[2].joinpath("samples").glob("*.jpg"))
LARGEST = 1024  # pixels per side of what is shown


@dataclass(frozen=True)
class Picked:
    """A picture's display name and its file."""

    name: str
    data: bytes


def pick(empty: str) -> Picked | None:
    """Let a person choose a picture; until there is one, show a hint ending in `empty`."""
    source = choose_source()
    found = pictures_from(source)
    hint(source, found, empty)
    return found[0] if found else None


def choose_source() -> str:
    """Let a person choose where pictures come from."""
    sources = ["Upload", "Camera", "Sample"]
    return st.segmented_control("Where the picture comes from", sources, default="Upload", required=True)


def pictures_from(source: str, most: int = 1) -> list[Picked]:
    """Return the chosen pictures; the label names `most`, but more can be chosen."""
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
    """Return whether there are at most `most` pictures; show a warning otherwise."""
    if len(found) > most:
        st.warning(f"{len(found)} pictures were chosen: take some away, up to {most} go.", icon=":material/warning:")
    return len(found) <= most


def hint(source: str, found: list[Picked], empty: str) -> None:
    """Show what to do while there is no picture, ending in `empty`."""
    if not found:
        what = "Take a photo" if source == "Camera" else "Choose a picture file"
        st.info(f"{what} {empty}", icon=":material/add_photo_alternate:")


def show(picked: Picked) -> None:
    """Draw a picture that the service decoded."""
    st.image(preview(picked)[0], alt=picked.name, width="stretch")


def preview(picked: Picked) -> tuple[Image.Image, float]:
    """Return a picture upright and no larger than a screen, and its scale relative to the file."""
    file = open_file(picked.data)
    longest = max(file.size)
    file.draft("RGB", (LARGEST, LARGEST))
    image = displayable(upright(file)).convert("RGBA")
    image.thumbnail((LARGEST, LARGEST))
    return image, max(image.size) / longest


def recognise(pictures: Sequence[Picked]) -> Recognition:
    """Recognise a picture, or several pictures of one thing."""
    if len(pictures) == 1:
        return larder().recognise(pictures[0].data)
    with named_errors(pictures):
        return larder().recognise_frames([each.data for each in pictures])


@contextmanager
def named_errors(pictures: Sequence[Picked]) -> Iterator[None]:
    """If the service rejects pictures because of one of them, raise its error with the name of that picture."""
    try:
        yield
    except Refused:
        for each in pictures:
            try:
                larder().recognise(each.data)
            except Refused as error:
                raise type(error)(f"{each.name}: {error}") from error
        raise
