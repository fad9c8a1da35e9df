"""Content stores under test: SQLite with the index in the process, and milvus-lite in a file."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from app.contents import ContentStore, VectorModel
from app.contents.local import LocalContents

MODEL = VectorModel("seen", "0123abcd", 4)


@pytest.fixture(params=["local", "milvus"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., ContentStore]]:
    """Open the same contents again, as a new start of the service does."""
    with ExitStack() as stack:

        def opened(model: VectorModel = MODEL) -> ContentStore:
            if request.param == "local":
                return stack.enter_context(closing(LocalContents(tmp_path / "contents.sqlite", model, threads=2)))
            from app.contents.milvus import MilvusContents

            return stack.enter_context(closing(MilvusContents(str(tmp_path / "lite.db"), "contents", model)))

        yield opened


@pytest.fixture
def store(opened: Callable[..., ContentStore]) -> ContentStore:
    """An empty store."""
    return opened()
