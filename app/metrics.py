"""Prometheus metrics."""

from collections.abc import Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PICTURES = (1, 2, 4, 8, 16, 32, 64)
_MOST_KEYS = 100  # key names; further ones are counted as "other"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Metrics:
    """One service's metrics, in their own registry, so that two services in one process do not mix.

    Labels have few values: routes by their template, never by the requested path. Gauges read only memory.
    """

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        names = ["method", "route", "status"]
        self._requests = Counter("larder_requests", "Requests answered", names, registry=registry)
        self._of_keys = Counter(
            "larder_key_requests", "Requests with an API key, by its name", ["key"], registry=registry
        )
        self._key_names: set[str] = set()
        self._seconds = Histogram(
            "larder_request_seconds", "Time to answer", ["route"], buckets=_SECONDS, registry=registry
        )
        self._refusals = Counter("larder_refusals", "Requests answered with an error", ["code"], registry=registry)
        self._stages = Histogram(
            "larder_stage_seconds",
            "Time of a picture in each stage: decode, barcodes, queue, encode (of its whole batch), rank",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._batches = Histogram(
            "larder_batch_pictures", "Pictures encoded in one call", buckets=_PICTURES, registry=registry
        )
        self._deliveries = Counter(
            "larder_event_deliveries",
            "Events for webhooks and MQTT: delivered, failed (and tried again), lost, gone (the receiver is)",
            ["to", "outcome"],
            registry=registry,
        )
        self._model = Info("larder_model", "The served model", registry=registry)
        self.in_hand = Gauge("larder_pictures_in_hand", "Pictures being decoded, queued or encoded", registry=registry)
        self.waiting = Gauge("larder_queue_pictures", "Decoded pictures that wait for a batch", registry=registry)
        self.labels = Gauge("larder_labels", "Labels to choose from", registry=registry)
        self.pantry_age = Gauge("larder_pantry_age_seconds", "Age of the pantry that is served", registry=registry)
        self.listeners = Gauge("larder_event_listeners", "Connections that listen for events", registry=registry)
        self.contents = Gauge("larder_contents", "Entries in the index", registry=registry)

    def model(self, name: str, version: str) -> None:
        """Set the name and version of the served model."""
        self._model.info({"name": name, "version": version})

    def request(self, method: str, route: str, status: int, seconds: float, code: str | None) -> None:
        """Count an answered request; `code` is its error code, None if it succeeded."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if code:
            self._refusals.labels(code).inc()

    def key(self, name: str) -> None:
        """Count a request by the name of its API key."""
        if len(self._key_names) < _MOST_KEYS:
            self._key_names.add(name)
        self._of_keys.labels(name if name in self._key_names else "other").inc()

    def stage(self, name: str, seconds: float) -> None:
        """Observe the duration of a picture in a stage."""
        self._stages.labels(name).observe(seconds)

    def batch(self, waits: Sequence[float], seconds: float) -> None:
        """Observe an encoded batch: the waiting time of each of its pictures, and the duration of the call."""
        self._batches.observe(len(waits))
        for wait in waits:
            self.stage("queue", wait)
            self.stage("encode", seconds)

    def delivered(self, to: str, outcome: Literal["delivered", "failed", "lost", "gone"], count: int = 1) -> None:
        """Count the outcomes of events for a webhook or for MQTT."""
        self._deliveries.labels(to, outcome).inc(count)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
