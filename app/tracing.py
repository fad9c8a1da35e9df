"""OpenTelemetry tracing: the exporter, and spans for a picture's stages."""

from typing import TYPE_CHECKING

from opentelemetry import trace

from app.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

span = trace.get_tracer("larder").start_as_current_span
"""Record a stage as a span, `with span("decode"):`; costs a microsecond when tracing is off."""


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
