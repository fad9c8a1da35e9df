"""The page Data set: recognise and index its pictures."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import numpy as np
import streamlit as st
from larder_client import Larder, Refused

from app.ui.bars import bars, decimals
from app.ui.connection import larder, ready, settings
from app.ui.data_sets import DataSet, Evaluated, read_data_set
from app.ui.picking import Picked, show
from app.ui.sentences import plain, said

AT_A_TIME = 4
CHUNK = 32
MISSING = (
    "No data set is named. Start the page with LARDER_DATA_SET set to a parquet file of pictures (columns image and "
    "label, as Hugging Face writes CIFAR-10) or to a folder, to look at its pictures here."
)
cached = st.cache_resource(max_entries=1, show_spinner="Reading the data set")(read_data_set)


def one(data: DataSet) -> None:
    """Show a picture by index, with the answers of the service and the CNN."""
    last = len(data.files) - 1
    number = st.number_input(f"Picture, from 0 to {last}", 0, last, 0)
    picture = data.files[number]
    left, right = st.columns([2, 3], gap="large")
    with right:
        if data.evaluated:
            among(data.evaluated, picture, number)
        else:
            found = larder().recognise(picture)
            bars(
                "Larder's label",
                found.top_k_items,
                found.top_k_probabilities,
                {"Cosine": decimals(found.top_k_cosines)},
            )
            st.caption(
                f"Among {found.label_count} labels. The CNN of the evaluation was not asked about these pictures."
            )
    with left:
        show(Picked(f"picture {number}", picture))
        shown = data.shown(number)
        st.caption(f"By the data set: **{plain(shown)}**" if shown else "The data set does not say what it shows.")


def among(known: Evaluated, picture: bytes, number: int) -> None:
    """Show Larder's five best classes beside the CNN's."""
    prompts = {known.template.format(name): name for name in known.classes}
    found = larder().classify(picture, list(prompts))
    best = sorted(found.result, key=lambda prompt: -found.result[prompt])[:5]
    cosines = decimals([found.cosines[prompt] for prompt in best])
    bars("Larder's class", [prompts[each] for each in best], [found.result[each] for each in best], {"Cosine": cosines})
    order = np.argsort(-known.cnn[number])[:5]
    bars("CNN's class", [known.classes[each] for each in order], [float(known.cnn[number, each]) for each in order])
    st.caption(
        f"Both choose among the {len(known.classes)} classes of {plain(known.title)}. The service runs "
        f"{plain(found.model)}, asked with “{plain(known.template)}”; the CNN answered in the evaluation, see Compare."
    )


def find(data: DataSet, name: str) -> None:
    """Search the set by text; its pictures are indexed once before."""
    done = larder().count_contents(name)
    if done < len(data.files):
        st.info(f"{done:,} of {len(data.files):,} pictures are indexed for this.", icon=":material/database:")
        if st.button("Index the pictures", icon=":material/play_arrow:", type="primary"):
            index(data, name, done)
            st.rerun()
    text = st.text_input("What to look for", placeholder="a photo of a ship", disabled=not done).strip()
    if not (text and done):
        return
    with st.grid(min_column_width=140) as grid:
        for hit in larder().search(text, k=12, collection=name):
            number = int(hit.id.rpartition("/")[2])
            with grid.cell():
                show(Picked(f"picture {number}", data.files[number]))
                st.caption(f"Cosine **{hit.score:.3f}** · {number} · {plain(data.shown(number) or 'no class')}")


def index(data: DataSet, name: str, done: int) -> None:
    """Store all pictures as entries of a collection; an interrupted run resumes where it stopped."""
    bar = st.progress(0.0, "Indexing")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for start in range(done - done % CHUNK, len(data.files), CHUNK):
            numbers = range(start, min(start + CHUNK, len(data.files)))
            list(pool.map(partial(put, larder(), data.files, name), numbers))
            bar.progress(numbers.stop / len(data.files), f"{numbers.stop:,} of {len(data.files):,} pictures")


def put(service: Larder, files: list[bytes], name: str, number: int) -> None:
    """Store one picture; an unreadable one is skipped."""
    with suppress(Refused):
        service.put_picture(f"{name}/{number}", files[number], collection=name, thumbnail=False)


def page() -> None:
    """Show the pictures and search them."""
    st.caption(
        "Pictures with known answers: what Larder makes of them, beside a CNN that was trained on these very classes."
    )
    path = settings().data_set
    if path is None:
        st.info(MISSING, icon=":material/folder_open:")
        st.stop()
    try:
        chosen = cached(path)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        st.stop()
    ready()
    st.header(plain(chosen.evaluated.title if chosen.evaluated else path.name))
    single, by_text = st.tabs(["One picture", "Search by text"])
    with single, said():
        one(chosen)
    with by_text, said():
        find(chosen, f"data-set-{chosen.digest}")
