"""Texts for visitors: error messages, outcomes, times and ids."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone

import streamlit as st
from larder_client import (
    Busy,
    Failed,
    ImageTooLarge,
    InvalidImage,
    LarderError,
    TimedOut,
    Unauthorized,
    Unreachable,
    UnsupportedImage,
)
from streamlit.navigation.page import StreamlitPage

from app.ui.connection import ready

PAUSE = 3  # seconds between two requests to a service that is away


def sentence(error: LarderError) -> str:
    """Describe an error and what to do about it; Markdown."""
    found = plain(str(error).rstrip("."))
    if isinstance(error, Unreachable):
        return f"{found}. Is the service started, and is LARDER_URL its address?"
    if isinstance(error, TimedOut):
        return f"The service did not answer in time: {found}. It may be very busy."
    if isinstance(error, Busy):
        return f"The service cannot answer now: {found}."
    if isinstance(error, Unauthorized):
        return "The service requires a key: start the page with LARDER_API_KEY set to one of its keys."
    if isinstance(error, (InvalidImage, UnsupportedImage)):
        return f"This picture cannot be read: {found}. Try another file."
    if isinstance(error, ImageTooLarge):
        return f"This picture is too large: {found}. Try a smaller one."
    if isinstance(error, Failed):
        trace = f" Its log has more under the request id {plain(error.request_id)}." if error.request_id else ""
        return f"Something went wrong in the service: {found}.{trace}"
    return f"The service declined: {found}."


@contextmanager
def said() -> Iterator[None]:
    """Show a service error in place of the content; retry while the service is away."""
    try:
        yield
    except (Unreachable, TimedOut, Busy) as error:
        st.error(sentence(error), icon=":material/cloud_off:")
        _look_again(time.monotonic())
    except LarderError as error:
        st.error(sentence(error), icon=":material/error:")


@st.fragment(run_every=PAUSE)
def _look_again(since: float) -> None:
    st.caption(f"This page looks again every {PAUSE} seconds, and goes on by itself.")
    if time.monotonic() - since > PAUSE / 2:
        with suppress(LarderError):
            ready()
            st.rerun()


def when(moment: str) -> str:
    """Format a time in the time zone of the visitor."""
    behind = st.context.timezone_offset or 0  # minutes
    return f"{datetime.fromisoformat(moment).astimezone(timezone(-timedelta(minutes=behind))):%d %b %Y, %H:%M}"


def short(id: str) -> str:
    """Shorten an id to what distinguishes it from the others beside it."""
    return id[:8]


def plain(text: str) -> str:
    r"""Escape Markdown in a text.

    >>> plain("*soy* [sauce]")
    '\\*soy\\* \\[sauce\\]'
    """
    return re.sub(r"([\\`*_{}\[\]<>()#+!|:$~])", r"\\\1", text)


def link(title: str, text: str, icon: str) -> None:
    """Draw a link to the page with this title; nothing if a page runs outside of app/ui/main.py."""
    pages: dict[str, StreamlitPage] = st.session_state.get("pages", {})
    if page := pages.get(title):
        st.page_link(page, label=text, icon=icon)
