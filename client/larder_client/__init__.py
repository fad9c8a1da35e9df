"""The Python client of Larder: pictures in, answers out.

>>> from larder_client import Larder
>>> larder = Larder("http://127.0.0.1:8000")
>>> larder.recognise("banana.jpg").item  # doctest: +SKIP
'banana'
"""

from larder_client.answers import (
    Change,
    Changes,
    Classification,
    Content,
    Contents,
    Correction,
    Duplicate,
    DuplicateGroup,
    DuplicateJob,
    Event,
    Example,
    Found,
    Frames,
    Health,
    Hit,
    Hits,
    Item,
    Label,
    Labelled,
    Recognition,
    Region,
    RemovedItem,
    Review,
    Unsure,
)
from larder_client.async_client import AsyncLarder
from larder_client.client import Larder
from larder_client.content_calls import Query
from larder_client.errors import (
    Busy,
    Conflict,
    Failed,
    ImageTooLarge,
    InvalidImage,
    InvalidLabels,
    InvalidRequest,
    LarderError,
    NotFound,
    Refused,
    TimedOut,
    Unauthorized,
    Unreachable,
    UnsupportedImage,
)

__version__ = "0.2.0"

__all__ = [
    "AsyncLarder",
    "Busy",
    "Change",
    "Changes",
    "Classification",
    "Conflict",
    "Content",
    "Contents",
    "Correction",
    "Duplicate",
    "DuplicateGroup",
    "DuplicateJob",
    "Event",
    "Example",
    "Failed",
    "Found",
    "Frames",
    "Health",
    "Hit",
    "Hits",
    "ImageTooLarge",
    "InvalidImage",
    "InvalidLabels",
    "InvalidRequest",
    "Item",
    "Label",
    "Labelled",
    "Larder",
    "LarderError",
    "NotFound",
    "Query",
    "Recognition",
    "Refused",
    "Region",
    "RemovedItem",
    "Review",
    "TimedOut",
    "Unauthorized",
    "Unreachable",
    "UnsupportedImage",
    "Unsure",
]
