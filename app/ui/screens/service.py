"""The page Service: health, latency and labels."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import streamlit as st
from prometheus_client.parser import text_string_to_metric_families

from app.ui.connection import larder, ready
from app.ui.picking import SAMPLES
from app.ui.sentences import plain

TIMES = 20
SHOWN = 200  # labels shown at once


def status() -> None:
    """Show the state of the service in a few figures."""
    began = time.perf_counter()
    health = ready()
    took = time.perf_counter() - began
    st.success(f"**Ready.** {plain(larder().url)} answers in {milliseconds(took)}.", icon=":material/check_circle:")
    with st.grid(min_column_width=150) as grid:
        grid.metric("Model", health.model)
        grid.metric("Version", health.version)
        grid.metric("Labels", f"{health.labels:,}")
        grid.metric("Pantry", health.pantry["status"])
        grid.metric("Contents", f"{larder().count_contents():,}")


def speed() -> None:
    """Show the latency of answers: as measured from here, and as counted by the service."""
    if st.button(f"Time {TIMES} recognitions", icon=":material/timer:"):
        picture = SAMPLES[0].read_bytes()
        times = sorted(timed(picture) for _ in range(TIMES))
        st.success(
            f"From here: half within {milliseconds(median(times))}, the slowest {milliseconds(times[-1])}.",
            icon=":material/timer:",
        )
    found = routes(larder().metrics())
    table = {
        "Call": [plain(each.route) for each in found],
        "Answers": [each.count for each in found],
        "Half within": [milliseconds(each.half) for each in found],
        "95 % within": [milliseconds(each.most) for each in found],
    }
    st.table(table, hide_index=True, border="horizontal", alt="Times of the service's answers")
    st.caption("As the service counted since its start, read from the steps of its histograms.")


def timed(picture: bytes) -> float:
    """Time one recognition, s."""
    began = time.perf_counter()
    larder().recognise(picture)
    return time.perf_counter() - began


def labels() -> None:
    """List what the service can recognise, and the source of each label."""
    wanted = st.text_input("Labels with", placeholder="milk").strip().lower()
    found = [each for each in larder().labels() if wanted in " ".join([each.label, *each.synonyms]).lower()]
    table = {
        "Label": [plain(each.label) for each in found[:SHOWN]],
        "Also called": [plain(", ".join(each.synonyms)) for each in found[:SHOWN]],
        "From": [plain(", ".join(each.sources)) for each in found[:SHOWN]],
    }
    st.caption(f"{len(found):,} labels" + (f", of which these are the first {SHOWN}" if len(found) > SHOWN else ""))
    if found:
        st.table(table, hide_index=True, border="horizontal", height=400, alt="Labels and where they come from")


def milliseconds(seconds: float) -> str:
    """Format a time in milliseconds."""
    return f"{1000 * seconds:.1f} ms"


@dataclass(frozen=True)
class Route:
    """A route, the number of its answers, and their median and 95th percentile latency, s."""

    route: str
    count: int
    half: float
    most: float


def routes(metrics: str) -> list[Route]:
    """Return the routes of `GET /metrics`, most requested first."""
    buckets: dict[str, list[tuple[float, float]]] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "larder_request_seconds_bucket":
                edge = (float(sample.labels["le"]), sample.value)
                buckets.setdefault(sample.labels["route"], []).append(edge)
    found = [
        Route(name, int(edges[-1][1]), quantile(edges, 0.5), quantile(edges, 0.95)) for name, edges in buckets.items()
    ]
    return sorted(found, key=lambda route: -route.count)


def quantile(edges: Sequence[tuple[float, float]], share: float) -> float:
    """Estimate a quantile of a histogram, interpolated linearly within a bucket, as Prometheus does.

    `edges` are ascending upper bounds with their cumulative counts; the last is infinite.

    >>> quantile([(1.0, 0), (2.0, 10), (float("inf"), 10)], 0.5)
    1.5
    """
    wanted = share * edges[-1][1]
    low, before = 0.0, 0.0
    for high, under in edges:
        if under >= wanted and under > before:
            return low if high == float("inf") else low + (high - low) * (wanted - before) / (under - before)
        low, before = high, under
    return low


def page() -> None:
    """Show health, latency and labels."""
    st.caption("How the service is, how fast it answers, and what it can recognise.")
    status()
    st.header("How fast it answers")
    speed()
    st.header("What it can recognise")
    labels()
