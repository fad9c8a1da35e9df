"""Response times from the service's Prometheus histograms."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True)
class Route:
    """A route, how often it answered, and the seconds within which half, and 95 of 100, of its answers came."""

    route: str
    count: int
    half: float
    most: float


def routes(metrics: str) -> list[Route]:
    """The routes of `GET /metrics`, those asked most often first."""
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
    """A quantile of a histogram, interpolated linearly within a bucket, as Prometheus does.

    `edges` are upper bounds and how many lie under each, ascending, the last one without bound.

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
