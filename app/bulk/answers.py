"""Classify embeddings and write a row of labels for each picture."""

from collections.abc import Collection, Sequence
from pathlib import Path

from app.bulk import Embedded
from app.bulk.shard_writer import Form, ShardWriter
from app.classify import THRESHOLD
from app.model.engines import Floats
from app.recognition.zero_shot import Recogniser


class Answers:
    """A sink that writes a row for each picture to a folder of shards."""

    def __init__(self, folder: Path, form: Form, recogniser: Recogniser, top_k: int, made_with: dict[str, str]) -> None:
        """`made_with` describes the source and the model; raises InvalidRequest if another run made the folder."""
        labels = recogniser.label_set.version
        self._shards = ShardWriter(folder, form, made_with | {"labels": labels, "top_k": top_k})
        self._recogniser = recogniser
        self._top_k = top_k

    def done(self, ids: Collection[str]) -> set[str]:
        """Return those of the ids that have a row."""
        return self._shards.ids().intersection(ids)

    def put(self, pictures: Sequence[Embedded]) -> dict[str, str]:
        """Write one shard of rows; raises InvalidRequest if it cannot be written."""
        self._shards.write([self._row(each, each.vector) for each in pictures if each.vector is not None])
        return {}

    def close(self) -> None:
        """Release the folder's lock."""
        self._shards.close()

    def labels_of(self, vector: Floats, threshold: float) -> list[str]:
        """Return the labels of an embedding (D,) with at least a probability; none if it is unknown."""
        answer = self._recogniser.recognise(vector, top_k=self._top_k, threshold=THRESHOLD)
        pairs = zip(answer.labels, answer.ranking.probabilities, strict=False)
        return [label.name for label, probability in pairs if probability >= threshold and answer.known is not False]

    def _row(self, picture: Embedded, vector: Floats) -> dict[str, object]:
        answer = self._recogniser.recognise(vector, top_k=self._top_k, threshold=THRESHOLD)
        ranking = answer.ranking
        return {
            "id": picture.id,
            "path": picture.path,
            "label": answer.labels[0].name,
            "probability": ranking.probabilities[0],
            "cosine": ranking.cosines[0],
            "confident": ranking.confident,
            "known": answer.known,
            "top_k_labels": [label.name for label in answer.labels],
            "top_k_probabilities": ranking.probabilities,
            "top_k_cosines": ranking.cosines,
        }
