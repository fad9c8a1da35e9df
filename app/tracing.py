"""OpenTelemetry tracing: the exporter, and spans for a picture's stages."""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from opentelemetry import trace

from app.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_tracer = trace.get_tracer("larder")
_untraced = nullcontext()


def span(name: str) -> AbstractContextManager[object]:
    """Record a stage of the current request; does nothing where that is not traced."""
    traced = trace.get_current_span().get_span_context().is_valid
    return _tracer.start_as_current_span(name) if traced else _untraced


def note(name: str, value: str) -> None:
    """Set an attribute of the current span, if there is one."""
    trace.get_current_span().set_attribute(name, value)


def open_tracing(version: str) -> "TracerProvider":
    """Send this process's spans to OTEL_EXPORTER_OTLP_ENDPOINT; OpenTelemetry reads its other variables itself.

    Raises SettingsError if its packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry's packages are not installed: "
            "pip install -r requirements-otel.txt, or unset it"
        ) from error
    resource = Resource.create({"service.name": "larder", "service.version": version})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider
