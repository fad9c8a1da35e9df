"""Settings of the pages, and the client that all visitors share."""

import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from larder_client import Busy, Health, Larder

HEALTH_S = 10  # the health needs no computation: a longer wait would only hide that the service hangs
ANSWER_S = 60  # a shelf takes long on a busy machine, and a new attempt starts from the beginning


@dataclass(frozen=True)
class Settings:
    """The environment variables that the pages read."""

    url: str
    """`LARDER_URL`."""
    key: str | None
    """`LARDER_API_KEY`."""
    data_set: Path | None
    """`LARDER_DATA_SET`: a parquet file or a folder of pictures."""


def settings() -> Settings:
    """Read the settings."""
    read = os.environ.get
    data_set = read("LARDER_DATA_SET")
    return Settings(
        url=(read("LARDER_URL") or "http://127.0.0.1:8000").rstrip("/"),
        key=read("LARDER_API_KEY") or None,
        data_set=Path(data_set) if data_set else None,
    )


def larder() -> Larder:
    """Return the client that all visitors share."""
    now = settings()
    return _client(now.url, now.key, ANSWER_S)


def ready() -> Health:
    """Return the service's health; raises LarderError if it does not answer, Busy if it reports so."""
    now = settings()
    client = _client(now.url, now.key, HEALTH_S)
    health = client.health()
    if health.status != "ready":
        raise Busy(f"the service at {client.url} is {health.status}")
    return health


@st.cache_resource(show_spinner=False)
def _client(url: str, key: str | None, timeout_s: float) -> Larder:
    return Larder(url, key, timeout=timeout_s, retries=1)
