"""One thing, in a picture or in several frames; what was answered can be given feedback on."""

from collections.abc import Sequence
from itertools import compress
from typing import Any

from fastapi.concurrency import run_in_threadpool

from app.api.process_image.counting import count
from app.api.process_image.task import Task
from app.api.recognition_schemas import FramesAnswer, ProcessImageAnswer
from app.model.engines import Floats
from app.recognition.frames import recognise_frames
from app.recognition.recogniser import Recognition
from app.serving.feedback import Answer


async def picture(task: Task) -> ProcessImageAnswer:
    """One picture of it."""
    vector = await task.service.pipeline.vector(task.body.image_data)
    return await _answer(task, task.recognise(vector), [vector], [task.body.image_data])


async def frames(task: Task) -> ProcessImageAnswer:
    """Several pictures of it, answered together."""
    vectors = await task.service.pipeline.vectors(task.body.images)
    found, agreement = await run_in_threadpool(recognise_frames, vectors, task.recognise)
    facts = FramesAnswer(used=agreement.used, agreement=agreement.share)
    seen, shown = list(compress(vectors, agreement.used)), list(compress(task.body.images, agreement.used))
    return await _answer(task, found, seen, shown, frames=facts)


async def _answer(
    task: Task, found: Recognition, vectors: Sequence[Floats], pictures: Sequence[str], **more: Any
) -> ProcessImageAnswer:
    """Remember what was shown, the pictures where those are kept, and count it where the answer is sure."""
    kept = pictures if task.service.keep_pictures else ()
    task.service.answers.remember(task.request_id, Answer(found.item, vectors, kept))
    return task.answer(found, await count(task, {found.label: 1} if found.sure else {}), **more)
