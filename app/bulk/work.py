"""The work of one process in a bulk run: read, decode and encode the given units."""

import time
from collections.abc import Iterable, Iterator

from app.bulk import Embedded, Picture
from app.bulk.files import open_files
from app.bulk.sources import Unit, read_pictures
from app.bulk.stages import Decoded, embed
from app.components import Model, open_preparer
from app.contents import FileFacts
from app.images.fingerprint import fingerprint
from app.settings import Settings


class Worker:
    """Embeds the pictures of a source, except those that are `done`.

    With `entries`, also returns what an entry of the contents keeps of a picture.
    """

    def __init__(self, settings: Settings, model: Model, source: str, done: set[str], entries: bool = False) -> None:
        self._settings = settings
        self._model = model
        self._files = open_files(source)
        self._done = done
        self._entries = entries
        self._preparer = open_preparer(settings, model)

    def embed(self, units: Iterable[Unit]) -> Iterator[Embedded]:
        """Yield every picture of the units with its embedding or its error."""
        settings, encode = self._settings, self._model.encoder.pictures
        sizes = {"threads": settings.threads, "batch": settings.max_batch}
        return embed(self._pictures(units), self.decode, encode, **sizes)

    def decode(self, data: bytes) -> Decoded:
        """Decode a picture's bytes to the model's input (3, S, S); raises InvalidImage and related errors."""
        header = self._preparer.read_header(data)
        if not self._entries:
            return Decoded(self._preparer.pixels(header))
        size = header.picture.size  # before the decoder reduces it
        pixels, thumbnail = self._preparer.pixels_and_thumbnail(header)
        facts = FileFacts(*size, len(data), time.time(), fingerprint(pixels))
        return Decoded(pixels, data if self._settings.keep_pictures else b"", file=facts, thumbnail=thumbnail)

    def _pictures(self, units: Iterable[Unit]) -> Iterator[Picture]:
        for unit in units:
            if not self._done.issuperset(unit.ids()):
                pictures = read_pictures(self._files, unit, self._preparer.limits.max_bytes)
                yield from (picture for picture in pictures if picture.id not in self._done)
