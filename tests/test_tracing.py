"""Traces: the spans that a collector receives when its address is set."""

import http.server
import signal
import threading

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness.server import Server
from tests.bundles import write_bundle
from tests.fakes import as_base64, picture


@pytest.fixture
def collector():
    """An OTLP collector on a free port, and the spans that it was sent, with their resources' attributes."""
    spans = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = {each.key: each.value.string_value for each in resource.resource.attributes}
                spans.extend((about, span) for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()


def launch(tmp_path) -> Server:
    write_bundle(tmp_path / "tiny")
    (tmp_path / "labels.txt").write_text("red\nblue\n")
    return Server(model=tmp_path / "tiny", labels=tmp_path / "labels.txt", data=tmp_path, drain=0)


def test_a_request_is_a_span_with_its_stages(tmp_path, collector, monkeypatch):
    """One span a request, under the caller's trace, with its stages below it; none for health checks and bare paths."""
    endpoint, spans = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with launch(tmp_path) as server:
        server.ready()
        headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "x-request-id": "me-1"}
        server.client.post("/process-image", json={"image_data": as_base64(picture())}, headers=headers)
        server.client.get("/nowhere/secret", headers=headers)
        server.process.send_signal(signal.SIGTERM)
        server.end()
    found = {span.name: span for _, span in spans}
    assert set(found) == {"POST /process-image", "decode", "encode", "rank", "GET"}
    assert {span.trace_id.hex() for span in found.values()} == {trace}
    assert {found[name].parent_span_id for name in ("decode", "encode", "rank")} == {
        found["POST /process-image"].span_id
    }
    attributes = {each.key: each.value for each in found["POST /process-image"].attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["larder.request_id"].string_value == "me-1"
    assert {about["service.name"] for about, _ in spans} == {"larder"}


def test_without_the_packages_the_start_says_what_to_install(tmp_path, monkeypatch):
    """An endpoint without OpenTelemetry's packages stops the start with one line."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.sdk'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with launch(tmp_path) as server:
        output = server.end()
    assert server.process.returncode > 0
    assert "pip install -r requirements-otel.txt" in output
    assert "Traceback" not in output
