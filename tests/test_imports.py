"""The import table: imports run downwards only, and each foreign library has one owner."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "app").rglob("*.py"))

# our modules, lowest first: a module of `app` imports only what stands on a line above its own
LAYERS = [
    ["errors"],
    ["optional"],
    ["settings", "log", "allocator", "keys", "metrics", "tracing", "whole", "s3", "images", "preprocess"],
    ["pantry.examples"],
    ["pantry"],
    ["pantry.none", "pantry.changes", "pantry.transfer", "pantry.firestore", "bundle", "label_file"],
    ["pantry.sqlite_examples"],
    ["pantry.sqlite", "pantry.firestore.connection", "pantry.firestore.documents", "pantry.firestore.credentials"],
    ["pantry.firestore.views"],
    ["pantry.firestore.memory", "pantry.firestore.examples"],
    ["pantry.firestore.stream", "pantry.firestore.writer"],
    ["pantry.firestore.listener"],
    ["pantry.firestore.store"],
    ["engines", "remote_bundle"],
    ["contents.conditions", "contents.flags", "contents.together", "contents.file"],
    ["contents.tail", "contents.segment"],
    ["contents", "contents.index"],
    ["contents.none", "contents.query", "contents.milvus"],
    ["contents.follower"],
    ["contents.database"],
    ["contents.local"],
    [
        "engines.onnxruntime",
        "engines.openvino",
        "engines.torch",
        "engines.open_clip_import",
        "prompt_cache",
        "batching",
        "request_prompts",
    ],
    ["exporter", "exporter.checkpoint", "exporter.attention", "exporter.quiet", "exporter.probes"],
    ["exporter.tokenizer", "exporter.graph"],
    ["exporter.recipe", "exporter.towers", "exporter.engines", "exporter.listing"],
    ["exporter.weights"],
    ["exporter.card", "exporter.gate"],
    ["exporter.files", "exporter.recheck"],
    ["engines.original"],
    ["engines.choice", "encoder"],
    ["taught"],
    ["zero_shot", "vocabulary", "pipeline", "contents.reindex"],
    ["recognition", "classifier", "request_labels", "scoring", "feedback"],
    ["review", "frames", "regions"],
    ["api"],
    ["api.schemas", "api.foreign_schemas", "api.dependencies", "api.once", "api.patience"],
    ["api.failures"],
    ["api.requests", "api.names", "api.content_schemas", "api.recognition_schemas", "api.teaching_schemas"],
    ["api.admission"],
    ["api.process_image.task"],
    ["api.process_image.counting"],
    ["api.process_image.one_thing", "api.process_image.several_things"],
    ["api.health", "api.labels", "api.metrics", "api.pantry", "api.process_image", "api.classify", "api.contents"],
    ["api.embeddings", "api.hugging_face", "api.mv_retrieval", "api.teaching"],
    ["api.feedback"],
    ["exporter.export"],
    ["exporter.command"],
    ["parts"],
    ["lifespan"],
    ["main", "serve"],
    ["classify", "lambda_handler"],
    ["bulk"],
    ["bulk.files", "bulk.stages", "bulk.parts"],
    ["bulk.sources", "bulk.answers", "bulk.index"],
    ["bulk.work"],
    ["bulk.ray"],
    ["bulk.command"],
    ["__main__"],
]
OWNERS = {
    "fastapi": ["api", "lifespan", "main", "serve", "lambda_handler"],
    "starlette": ["api"],
    "uvicorn": ["serve"],
    "mangum": ["lambda_handler"],
    "pydantic": ["api", "settings", "bundle"],
    "pydantic_settings": ["settings"],
    "onnxruntime": ["engines.onnxruntime", "evaluation.speed"],
    "torch": ["engines.torch", "engines.open_clip_import", "training", "exporter", "evaluation"],
    "onnx": ["training"],
    "matplotlib": ["training", "evaluation.plots"],
    "sklearn": ["evaluation.heads"],
    "open_clip": ["engines.open_clip_import"],
    "tokenizers": ["bundle", "training", "exporter"],
    "ftfy": ["bundle", "training"],
    "PIL": ["images", "preprocess", "training", "exporter", "evaluation", "ui.picking", "ui.boxes"],
    "openvino": ["engines.openvino"],
    "sqlite3": ["pantry.sqlite", "pantry.sqlite_examples", "feedback", "prompt_cache", "contents.file"],
    "faiss": ["contents.segment"],
    "pymilvus": ["contents.milvus"],
    "google": ["pantry.firestore"],
    "grpc": ["pantry.firestore"],
    "pyarrow": ["bulk.sources", "bulk.parts", "training", "evaluation", "ui.data_sets"],
    "ray": ["bulk.ray"],
    "boto3": ["s3"],
    "botocore": ["s3"],
    "prometheus_client": ["metrics", "ui.latency"],
    "streamlit": ["ui"],
    "larder_client": ["ui"],
    "opentelemetry": ["tracing"],
    "structlog": ["log"],
    "logging": ["log", "exporter.quiet"],
}
NOT_FOR_THE_API = [
    "engines.",
    "bundle",
    "pantry.none",
    "pantry.sqlite",
    "pantry.firestore",
    "contents.none",
    "contents.local",
    "contents.milvus",
    "main",
    "parts",
    "training",
    "evaluation",
    "ui",
]


def name_of(path: Path) -> str:
    """`app/api/health.py` -> `api.health`; a package by its folder's name."""
    parts = path.relative_to(ROOT / "app").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> set[str]:
    """The full names of what a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def ours(path: Path) -> set[str]:
    """The modules of app that a file imports, by their names here."""
    modules = {name_of(each) for each in FILES}
    return {name[4:] for name in imports_of(path) if name.startswith("app.") and name[4:] in modules} - {""}


def level(name: str) -> int:
    for number, names in enumerate(LAYERS):
        if name in names:
            return number
    raise AssertionError(f"{name} has no place in LAYERS yet")


SERVING = [path for path in FILES if not name_of(path).startswith(("training", "evaluation", "ui")) and name_of(path)]


@pytest.mark.parametrize("path", SERVING, ids=name_of)
def test_imports_run_downwards(path):
    """A module imports only modules below it; nothing of serving imports training."""
    for imported in ours(path):
        assert level(imported) < level(name_of(path)), f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_each_library_has_its_owner(path):
    """A foreign library is imported by its owners alone, so that it can be replaced in one place."""
    for imported in imports_of(path):
        owners = OWNERS.get(imported.partition(".")[0])
        name = name_of(path)
        assert owners is None or any(name == owner or name.startswith(owner + ".") for owner in owners), (
            f"{name} imports {imported}, which belongs to {owners}"
        )


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path).startswith("api")], ids=name_of)
def test_the_api_sees_protocols_only(path):
    """Routes never reach for an engine, a bundle or a concrete store."""
    for imported in ours(path):
        assert not imported.startswith(tuple(NOT_FOR_THE_API)), f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path).startswith("ui")], ids=name_of)
def test_the_pages_see_the_client_alone(path):
    """The pages use nothing of the service: they run where it is not installed."""
    assert [name for name in ours(path) if not name.startswith("ui")] == []


def test_evaluation_uses_training_and_not_the_reverse():
    """One part of it trains models of its own, another has its drawn noise from there; training knows nothing of it."""
    using = {name_of(path): {name.partition(".")[0] for name in ours(path)} for path in FILES}
    assert {name for name, used in using.items() if "training" in used and not name.startswith("training")} == {
        "evaluation.confidence",
        "evaluation.unseen",
    }
    assert [name for name, used in using.items() if "evaluation" in used and not name.startswith("evaluation")] == []


def test_serving_needs_no_torch():
    """Importing the whole service brings in neither torch nor open_clip, and nothing for a pantry that is not used."""
    import subprocess
    import sys

    not_needed = ("torch", "open_clip", "grpc", "google.cloud", "boto3", "faiss", "pymilvus", "opentelemetry.sdk")
    script = f"import sys, app.main, app.serve, app.classify; print([m for m in sys.modules if m in {not_needed}])"
    assert subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True).strip() == "[]"
