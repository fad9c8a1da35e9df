"""A picture's vector to the answer that the live label set gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.errors import InvalidLabels, Starting
from app.model.engines import Floats
from app.recognition.labels import Label
from app.recognition.vocabulary import LabelSet
from app.recognition.zero_shot import Ranking, is_known, rank


@dataclass(frozen=True)
class Recognition:
    """The best labels of a picture, best first, and what is to be said of them."""

    labels: Sequence[Label]
    ranking: Ranking
    known: bool | None
    """Whether the picture shows any of the labels; None where the model was not calibrated for that."""
    label_count: int

    @property
    def label(self) -> Label:
        """The best label."""
        return self.labels[0]

    @property
    def item(self) -> str:
        """The name of the best label."""
        return self.label.name

    @property
    def sure(self) -> bool:
        """Whether it may be acted upon: confident, and not of something unknown."""
        return self.ranking.confident and self.known is not False


class Recogniser:
    """Ranks the live labels for a picture.

    `current` gives the label set of the moment, None while the first one is being encoded. `known_margin` is
    the calibrated margin by which the best label must beat the set's rivals, `temperature` what calibrated
    probabilities divide the logits by (None: not calibrated).
    """

    def __init__(
        self,
        current: Callable[[], LabelSet | None],
        logit_scale: float,
        known_margin: float | None,
        temperature: float | None = None,
    ) -> None:
        self._current = current
        self._logit_scale = logit_scale
        self._known_margin = known_margin
        self._temperature = temperature

    @property
    def label_set(self) -> LabelSet:
        """The labels of this moment; raises Starting while the first ones are being encoded."""
        label_set = self._current()
        if label_set is None:
            raise Starting("the labels are still being encoded")
        return label_set

    def recognise(self, picture: Floats, *, top_k: int, threshold: float) -> Recognition:
        """The answer for a picture's unit vector (D,); raises InvalidLabels when there is no label at all."""
        label_set = self.label_set
        if not label_set.labels:
            raise InvalidLabels("there are no labels: add lines to the label file or items to the pantry")
        ranking = rank(
            picture,
            label_set.prototypes,
            logit_scale=self._logit_scale,
            top_k=top_k,
            threshold=threshold,
            temperature=self._temperature,
            few_shot=label_set.few_shot,
        )
        known = None
        if self._known_margin is not None and label_set.rivals is not None:
            known = is_known(picture, ranking.best_named, label_set.rivals, self._known_margin)
            known = known or (label_set.few_shot is not None and label_set.few_shot.is_known(picture))
        labels = [label_set.labels[index] for index in ranking.indices]
        return Recognition(labels, ranking, known, len(label_set.labels))
