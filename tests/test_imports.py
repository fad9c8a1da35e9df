"""Import rules: contracts between packages, and one owner for each foreign library."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "app").rglob("*.py"))

OWNERS = {
    "fastapi": ["api", "lifespan", "main", "serve", "lambda_handler"],
    "fastapi_offline": ["main"],
    "starlette": ["api"],
    "uvicorn": ["serve", "connection"],
    "httpcore2": ["serving.image_fetcher", "events.webhooks"],
    "standardwebhooks": ["events.webhooks"],
    "aiomqtt": ["events.mqtt"],
    "idna": ["serving.url_policy"],
    "httptools": ["connection"],
    "mangum": ["lambda_handler"],
    "pydantic": ["api", "settings", "model.bundle"],
    "pydantic_settings": ["settings"],
    "onnxruntime": ["model.engines.onnxruntime", "model.engines.int8", "evaluation.speed", "training.tower"],
    "torch": ["model.engines.torch", "training", "exporter", "evaluation"],
    "onnx": ["model.engines.int8", "training.tower", "exporter.clip_graph"],
    "huggingface_hub": ["exporter.hub"],
    "safetensors": ["exporter", "training.words.minilm"],
    "regex": ["exporter.tokenizer"],
    "matplotlib": ["training", "evaluation.plots"],
    "sklearn": ["evaluation"],
    "timm": ["training.train", "evaluation.cnn"],
    "open_clip": ["exporter.open_clip_import"],
    "tokenizers": ["model.bundle", "training", "exporter"],
    "ftfy": ["text"],
    "pi_heif": ["images"],
    "zxingcpp": ["images.barcodes"],
    "pybase64": ["images"],
    "cykooz_resizer": ["images.resize"],
    "python_multipart": ["api"],
    "PIL": ["images", "training", "exporter", "evaluation", "ui.picking", "ui.screens.recognise"],
    "openvino": ["model.engines.openvino", "training.tower", "training.words"],
    "sqlite3": ["sqlite_file", "pantry.sqlite"],
    "faiss": ["contents.segment"],
    "pymilvus": ["contents.milvus"],
    "google": ["pantry.firestore"],
    "grpc": ["pantry.firestore", "contents.milvus"],
    "pyarrow": ["bulk.sources", "bulk.shard_writer", "training", "evaluation", "ui.data_sets"],
    "ray": ["bulk.ray"],
    "boto3": ["s3", "lambda_handler"],
    "botocore": ["s3", "lambda_handler"],
    "prometheus_client": ["metrics", "ui.screens.service"],
    "streamlit": ["ui"],
    "larder_client": ["ui"],
    "opentelemetry": ["tracing"],
    "structlog": ["log"],
    "threadpoolctl": ["native"],
    "logging": ["log"],
}


def name_of(path: Path) -> str:
    """`app/api/status.py` -> `api.status`; a package by its folder's name."""
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


def test_rooms_keep_to_their_floors():
    """The import contracts of pyproject.toml hold: layers, protocols only for routes, independent stores."""
    import subprocess
    import sys

    script = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path).startswith("recognition.")], ids=name_of)
def test_recognition_needs_numpy_alone(path):
    """Embeddings and labels become answers without any other foreign library."""
    import sys

    foreign = {name.partition(".")[0] for name in imports_of(path)} - {"app", "numpy"}
    assert foreign <= sys.stdlib_module_names


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_each_library_has_its_owner(path):
    """A foreign library is imported by its owners alone, so that it can be replaced in one place."""
    for imported in imports_of(path):
        owners = OWNERS.get(imported.partition(".")[0])
        name = name_of(path)
        assert owners is None or any(name == owner or name.startswith(owner + ".") for owner in owners), (
            f"{name} imports {imported}, which belongs to {owners}"
        )


def test_serving_needs_no_torch():
    """Importing the whole service brings in neither torch nor open_clip, and nothing for a pantry that is not used."""
    import subprocess
    import sys

    not_needed = (
        "torch",
        "zxingcpp",
        "open_clip",
        "grpc",
        "google.cloud",
        "boto3",
        "faiss",
        "pymilvus",
        "opentelemetry.sdk",
        "aiomqtt",
    )
    script = f"import sys, app.main, app.serve, app.classify; print([m for m in sys.modules if m in {not_needed}])"
    assert subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True).strip() == "[]"
