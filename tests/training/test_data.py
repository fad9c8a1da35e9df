"""Pictures are read from parquet files as the service would prepare them."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from app.images.prepare import ImageForm, preprocessor
from app.training.data import plain, read_pictures, square


def picture(width: int, height: int) -> Image.Image:
    """A random picture, the same for the same width."""
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize("shape", [(50, 50), (50, 71), (93, 50)])
def test_pictures_are_prepared_as_in_the_service(shape):
    """Training and serving cut the same pixels out of a picture."""
    form = ImageForm(size=32, resize_mode="shortest", interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1))
    np.testing.assert_allclose(square(picture(*shape), 32) / 255, preprocessor(form)(picture(*shape)), atol=1e-6)


def test_parquet_rows_become_arrays(tmp_path: Path):
    """The chosen rows are decoded in their order."""
    rows = []
    for place in range(4):
        buffer = io.BytesIO()
        picture(20 + place, 24).save(buffer, "PNG")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": str(place)}, "label": place})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "some.parquet")
    found = read_pictures(tmp_path / "some.parquet", 16, slice(1, 3))
    assert found.labels.tolist() == [1, 2]
    np.testing.assert_array_equal(found.pixels[1], square(picture(22, 24), 16))


def test_names_become_plain_words():
    """Hyphens and capitals are removed."""
    assert plain("Passion-Fruit") == "passion fruit"
