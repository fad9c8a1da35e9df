"""What one process does of a bulk run: it reads, decodes and encodes the units that it is given."""

import time
from collections.abc import Iterable, Iterator

from app.bulk import Embedded, Picture
from app.bulk.files import open_files
from app.bulk.sources import Unit, read_pictures
from app.bulk.stages import embed
from app.components import Model, open_preparer
from app.contents import FileFacts
from app.images.fingerprint import fingerprint
from app.model.engines import Floats
from app.settings import Settings


class Worker:
    """A source's pictures through a model, but for those that are `done`; with `keep`, their bytes come along."""

    def __init__(self, settings: Settings, model: Model, source: str, done: set[str], keep: bool = False) -> None:
        self._settings = settings
        self._model = model
        self._files = open_files(source)
        self._done = done
        self._keep = keep
        self._preparer = open_preparer(settings, model)

    def embed(self, units: Iterable[Unit]) -> Iterator[Embedded]:
        """Every picture of the units with its vector, or with the reason why it has none."""
        settings, encode = self._settings, self._model.encoder.pictures
        sizes = {"threads": settings.threads, "batch": settings.max_batch}
        return embed(self._pictures(units), self.decode, encode, keep=self._keep, describe=self._describe, **sizes)

    def decode(self, data: bytes) -> Floats:
        """The bytes of a picture to the model's input (3, S, S); raises InvalidImage and its like."""
        return self._preparer.pixels(data)

    def _describe(self, data: bytes, pixels: Floats) -> FileFacts:
        size = self._preparer.read_header(data).picture.size
        return FileFacts(*size, len(data), time.time(), fingerprint(pixels))

    def _pictures(self, units: Iterable[Unit]) -> Iterator[Picture]:
        for unit in units:
            if not self._done.issuperset(unit.ids()):
                pictures = read_pictures(self._files, unit, self._preparer.limits.max_bytes)
                yield from (picture for picture in pictures if picture.id not in self._done)
