"""Schemas of `GET /examples/report`."""

from pydantic import BaseModel, ConfigDict, Field


class TaughtItem(BaseModel):
    """An item that was taught."""

    item: str
    examples: int
    right: int | None = Field(
        description="how many of them the others recognise, each left out once; null where there is one example alone"
    )


class TakenFor(BaseModel):
    """Examples of one item that are taken for another one when they are left out."""

    item: str
    taken_for: str
    count: int


class Alike(BaseModel):
    """Two items that are near to each other."""

    item: str
    other: str
    similarity: float = Field(description="cosine of the means of their examples, or with the name of what has none")


class MisleadingExample(BaseModel):
    """An example that its item's other examples do not speak for."""

    item: str
    id: str
    looks_like: str
    probability: float = Field(description="of its own item, when it is left out")
    improves: int = Field(description="how many more of the other examples were right if this one were deleted")


class ExamplesReport(BaseModel):
    """What the examples say of each other: each is left out once and recognised by all others."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "examples": 9,
                    "unused": 0,
                    "judged": 9,
                    "right": 7,
                    "items": [
                        {"item": "oat drink", "examples": 5, "right": 4},
                        {"item": "soy drink", "examples": 4, "right": 3},
                    ],
                    "confusions": [
                        {"item": "oat drink", "taken_for": "soy drink", "count": 1},
                        {"item": "soy drink", "taken_for": "oat drink", "count": 1},
                    ],
                    "look_alike": [{"item": "oat drink", "other": "soy drink", "similarity": 0.87}],
                    "misleading": [
                        {
                            "item": "oat drink",
                            "id": "5f0c1c0e4b7d4a53a2c3f6d0e8b9a7c1",
                            "looks_like": "soy drink",
                            "probability": 0.12,
                            "improves": 1,
                        }
                    ],
                }
            ]
        }
    )

    examples: int = Field(description="that the served model made")
    unused: int = Field(description="of another model, or of no label")
    judged: int = Field(description="of items with two examples or more: the others cannot be left out")
    right: int = Field(description="how many of these are recognised by the others")
    items: list[TaughtItem]
    confusions: list[TakenFor] = Field(description="the most frequent first, at most 100")
    look_alike: list[Alike] = Field(description="the most alike first, at most 100")
    misleading: list[MisleadingExample] = Field(description="those first whose deletion improves most, at most 50")
