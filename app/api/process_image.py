"""`POST /process-image`: one thing in a picture or in several frames, or several things in a picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import KeyHeader, Service, ServiceDep, idempotency_key
from app.api.failures import PICTURE
from app.api.media_types import PictureRoute
from app.api.recognition_fields import (
    PICTURE_ALONE,
    Evidence,
    ItemUpdate,
    decided_fields,
    doubt,
    evidence_fields,
    item_name_beside,
    pantry_fields,
    response_fields,
    weigh,
)
from app.api.schemas.pantry import ItemCount, PantryUpdate
from app.api.schemas.recognition import FoundItem, FramesAnswer, ProcessImage, ProcessImageAnswer, RegionAnswer
from app.errors import InvalidRequest, NotFound
from app.model.engines import Floats
from app.pantry import PantryStore
from app.pantry.barcodes import barcode_read
from app.pantry.journal import origin
from app.recognition.frames import recognise_frames
from app.recognition.labels import Label
from app.recognition.regions import grid, non_max_suppression, validate_boxes
from app.recognition.zero_shot import Recognition
from app.serving.feedback import Answer

router = APIRouter(route_class=PictureRoute, tags=["recognition"])


@dataclass(frozen=True)
class RecognitionRequest:
    """The context of one request; `key` is its `Idempotency-Key`."""

    service: Service
    body: ProcessImage
    key: str | None
    request_id: str

    def recognise(self, vector: Floats) -> Recognition:
        """Recognise the item of an embedding (D,)."""
        with self.service.ranking():
            return self.service.recogniser.recognise(vector, top_k=self.body.top_k, threshold=self.body.threshold)

    async def recognise_all(self, vectors: Sequence[Floats]) -> list[Recognition]:
        """Recognise several embeddings off the event loop: among thousands of labels each takes milliseconds."""
        return await run_in_threadpool(lambda: [self.recognise(vector) for vector in vectors])

    def answer(
        self, recognition: Recognition, update: ItemUpdate | None = None, decided: Label | None = None, **more: Any
    ) -> ProcessImageAnswer:
        """Build the response from a recognition and the update of its item, which a barcode may have determined."""
        facts: dict[str, Any] = {"label_count": recognition.label_count, "model": self.service.model.name}
        fields = response_fields(recognition) | decided_fields(decided, recognition)
        return ProcessImageAnswer(**fields, **facts, **pantry_fields(update), **more)

    def refusal(self, recognition: Recognition, evidence: Evidence = PICTURE_ALONE) -> ItemUpdate | None:
        """Return why a requested update was refused; None if it was not, or none was requested."""
        reason = doubt(recognition, evidence)
        return ItemUpdate(refused=reason) if reason and self.body.pantry_update else None

    def publish(
        self, recognitions: Sequence[Recognition], counts: Mapping[str, int], decided: Label | None = None
    ) -> None:
        """Publish an event for each confidently recognised item; `counts` has the number of instances.

        A label determined by a barcode replaces the picture's.
        """
        surest = {each.item: each for each in sorted(recognitions, key=lambda each: each.ranking.probabilities[0])}
        for item, count in counts.items():
            ranking, label = surest[item].ranking, decided or surest[item].label
            about: dict[str, Any] = {"item": label.name, "pantry_item": item_name_beside(label), "count": count}
            about |= {"similarity_score": ranking.probabilities[0], "known": surest[item].known}
            about |= {"calibrated_probability": ranking.calibrated_probability}
            about |= {"by": origin().by or None, "request_id": self.request_id}
            self.service.events.publish("recognition", about)

    async def update_pantry(self, recognised: Mapping[Label, int]) -> dict[str, ItemUpdate]:
        """Update the pantry for each label by its number of instances; return the results by label name.

        The result is empty if no update was requested. A label that the pantry cannot store as an item is refused, and
        the others are updated. Raises StoreUnavailable.
        """
        update = self.body.pantry_update
        if update is None or not recognised:
            return {}
        return await self.service.pantry.change(lambda pantry: self._update_items(pantry, recognised, update))

    def _update_items(
        self, pantry: PantryStore, recognised: Mapping[Label, int], update: PantryUpdate
    ) -> dict[str, ItemUpdate]:
        # identifies the request for idempotency: the content of a URL may change
        own = {"image_data"} if self.body.image_url else None
        request = self.body.model_dump_json(exclude=own) if self.key else ""
        updates = {}
        for label, times in recognised.items():
            try:
                name = label.item_name
            except InvalidRequest as error:
                updates[label.name] = ItemUpdate(refused=str(error))
            else:
                quantity = times * update.quantity
                updates[label.name] = ItemUpdate(self._update_item(pantry, request, name, quantity, update.operation))
        return updates

    def _update_item(
        self, pantry: PantryStore, request: str, name: str, quantity: int, operation: Literal["add", "remove"]
    ) -> ItemCount:
        """Change one item's count; removing from a missing item leaves 0."""
        header = self.key
        if header and (self.body.regions or self.body.tiles):
            header = f"{header} {name}"  # one request, several changes, each applied once
        change = pantry.add if operation == "add" else pantry.remove
        try:
            after = change(name, quantity, idempotency_key(header, request))
        except NotFound:
            if operation == "add":
                raise
            return ItemCount(item=name, count=0)
        return ItemCount(item=after.item, count=after.count)


@router.post("/process-image", responses=PICTURE)
async def process_image(
    request: Request, body: ProcessImage, service: ServiceDep, key: KeyHeader = None
) -> ProcessImageAnswer:
    """Recognise an image among the live labels; on request, update the pantry if the answer is confident.

    `top_k_scores` are renormalised among the best `top_k`, so they look surer than `top_k_probabilities`, which are
    over all labels. `known` says whether the picture shows any of the labels at all.

    With `barcodes`, also read EAN, UPC and QR codes; one that is tied to an item decides (`evidence`).

    Send several frames of one thing as `images`; they get one answer. For several things in one picture, send
    `regions`, which are answered box by box, or `tiles`, which searches the picture.
    """
    _ = service.recogniser.label_set  # while starting, refuse before the picture is decoded
    recognition = RecognitionRequest(service, body, key, request.state.request_id)
    if body.images:
        return await _frames(recognition)
    if body.regions:
        return await _regions(recognition)
    if body.tiles:
        return await _tiles(recognition)
    return await _picture(recognition)


async def _picture(request: RecognitionRequest) -> ProcessImageAnswer:
    if request.body.barcodes:
        return await _picture_and_barcodes(request)
    vector = await request.service.pipeline.vector(request.body.image_data)
    return await _answer(request, request.recognise(vector), [vector], [request.body.image_data])


async def _picture_and_barcodes(request: RecognitionRequest) -> ProcessImageAnswer:
    """Let a known code determine the item; count nothing if codes and picture disagree."""
    service, picture = request.service, request.body.image_data
    vector, codes = await service.pipeline.vector_and_barcodes(picture)
    forms = [barcode_read(each.text) for each in codes]
    tied = await service.pantry.read(lambda pantry: pantry.items_of(forms)) if forms else {}
    recognition = request.recognise(vector)
    weighed = weigh(codes, tied, recognition, service.recogniser.label_set)
    return await _answer(request, recognition, [vector], [picture], weighed, **evidence_fields(weighed, codes, tied))


async def _frames(request: RecognitionRequest) -> ProcessImageAnswer:
    """Pool several pictures of one thing; outliers do not count."""
    images = request.body.images
    vectors = await request.service.pipeline.vectors(images)
    recognition, agreement = await run_in_threadpool(recognise_frames, vectors, request.recognise)
    used = agreement.used
    return await _answer(
        request,
        recognition,
        list(compress(vectors, used)),
        list(compress(images, used)),
        frames=FramesAnswer(used=used, agreement=agreement.share),
    )


async def _answer(
    request: RecognitionRequest,
    recognition: Recognition,
    vectors: Sequence[Floats],
    pictures: Sequence[str | bytes],
    weighed: Evidence = PICTURE_ALONE,
    **more: Any,
) -> ProcessImageAnswer:
    """Store the answer for `POST /feedback`; update the pantry if it is sure, and queue it for review otherwise."""
    service, label = request.service, weighed.label or recognition.label
    kept = pictures if service.settings.keep_pictures else ()
    answer = service.answers.remember(request.request_id, Answer(label.name, vectors, kept, code=weighed.unknown_code))
    if not weighed.label and (not recognition.ranking.confident or recognition.known is False):
        service.review.store.add(request.request_id, answer)
    sure = not doubt(recognition, weighed)
    request.publish([recognition], {recognition.item: 1} if sure else {}, weighed.label)
    updates = await request.update_pantry({label: 1} if sure else {})
    refused = request.refusal(recognition, weighed)
    return request.answer(recognition, refused or updates.get(label.name), weighed.label, **more)


async def _regions(request: RecognitionRequest) -> ProcessImageAnswer:
    """Classify each requested box; the top-level fields are those of the whole picture."""
    named = [(left, top, right, bottom) for left, top, right, bottom in request.body.regions]
    cut = partial(validate_boxes, named)
    boxes, (whole, *crops) = await request.service.pipeline.crops(request.body.image_data, cut)
    recognitions = await request.recognise_all(crops)
    sure = [each for each in recognitions if each.sure]
    request.publish(sure, Counter(each.item for each in sure))
    updates = await request.update_pantry(Counter(each.label for each in sure))
    regions = [
        RegionAnswer(**response_fields(each), **pantry_fields(request.refusal(each) or updates.get(each.item)), box=box)
        for box, each in zip(boxes, recognitions, strict=True)
    ]
    return request.answer(request.recognise(whole), regions=regions)


async def _tiles(request: RecognitionRequest) -> ProcessImageAnswer:
    """Tile the picture, classify each tile, merge by non-maximum suppression."""
    boxes, (whole, *crops) = await request.service.pipeline.crops(request.body.image_data, grid)
    recognitions = await request.recognise_all(crops)
    labels = {each.item: each.label for each in recognitions}
    things = non_max_suppression(boxes, recognitions)
    request.publish(recognitions, {each.item: len(each.boxes) for each in things})
    updates = await request.update_pantry({labels[each.item]: len(each.boxes) for each in things})
    items = [
        FoundItem(
            item=each.item,
            count=len(each.boxes),
            boxes=each.boxes,
            probabilities=each.probabilities,
            pantry_item=item_name_beside(labels[each.item]),
            **pantry_fields(updates.get(each.item)),
        )
        for each in things
    ]
    return request.answer(request.recognise(whole), items=items)
