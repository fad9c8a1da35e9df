"""Schemas of `POST /process-image` and `POST /classify`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from app.api.schemas.base import Box, Picture, PictureByUrl, Request, TakesPictures, TextMap, Texts, needs_one_of
from app.api.schemas.pantry import BarcodeFound, ItemCount, PantryUpdate


def _is_none(value: object) -> bool:
    return value is None


_PANTRY_ITEM = "the pantry's name of the item; only where it differs from `item`, such as a synonym"
_REFUSED = (
    "why the pantry was not updated: not confident, not known, no name for an item, or barcodes that disagree; only "
    "with `pantry_update`"
)


class ProcessImage(Request, TakesPictures, PictureByUrl):
    """An image to recognise among the live labels."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image_data": "/9j/4AAQSkZJRgABAQ…", "pantry_update": {"operation": "add", "quantity": 1}}]
        }
    )

    image_data: Picture = Field("", description="the image in base64, with or without a `data:` prefix")
    images: list[Picture] = Field(
        [], min_length=2, max_length=16, description="instead of `image_data`: 2 to 16 frames of one thing"
    )
    top_k: int = Field(5, ge=1, le=1000, description="how many labels to return")
    threshold: float = Field(0.8, ge=0, le=1, description="confident when the first of `top_k_scores` is above it")
    pantry_update: PantryUpdate | None = Field(
        None, description="applied when the answer is confident and `known` is not false"
    )

    regions: list[Box] = Field(
        [], min_length=1, max_length=32, description="boxes `[left, top, right, bottom]` in pixels of the upright "
        "image, each classified by itself; the fields beside `regions` are of the whole image"
    )  # fmt: skip
    tiles: Literal["auto"] | None = Field(
        None,
        description="`auto`: classify overlapping tiles of the image and merge them by non-maximum suppression; "
        "`items` lists what they show",
    )
    barcodes: bool = Field(
        False,
        description="whether to read barcodes in the image too; one image, without `regions` and `tiles`",
    )

    _some_source = model_validator(mode="before")(needs_one_of("image_data", "image_url", "images"))

    @model_validator(mode="after")
    def _one_source(self) -> "ProcessImage":
        if (self.image_data or self.image_url) and self.images:
            raise ValueError("send image_data, image_url or images, not several of them")
        if bool(self.images) + bool(self.regions) + bool(self.tiles) > 1:
            raise ValueError("send one of images, regions and tiles")
        if self.barcodes and (self.images or self.regions or self.tiles):
            raise ValueError("barcodes are read in one image, without images, regions and tiles")
        return self


class Seen(BaseModel):
    """What an image shows, and how sure that is."""

    item: str = Field(description="the best label")
    pantry_item: str | None = Field(None, exclude_if=_is_none, description=_PANTRY_ITEM)
    message: Literal[0, 1] = Field(description="1 if `confident`, otherwise 0")
    similarity_score: float = Field(description="the best label's probability: softmax over all labels")
    calibrated_probability: float | None = Field(
        description="how likely the best label is right, by a temperature fitted on pictures; null where none was "
        "fitted: `python -m app.evaluation calibrate` does it on any labelled pictures"
    )
    top_k_items: list[str] = Field(description="the best labels, best first")
    top_k_scores: list[float] = Field(description="their probabilities, renormalised to sum to 1")
    confident: bool = Field(
        description="whether the first of `top_k_scores` is above `threshold`; always false with a single label"
    )
    category: str | None = Field(
        None, exclude_if=_is_none, description="the narrowest category of `item`; only where the label file has one"
    )
    category_probability: float | None = Field(
        None, exclude_if=_is_none, description="its probability: a category is as probable as its best label"
    )
    confident_category: str | None = Field(
        None, exclude_if=_is_none, description="the narrowest category of `item` that is sure, by the rule of "
        "`confident`, also where the item is not; only where one is"
    )  # fmt: skip
    known: bool | None = Field(
        description="whether the image shows any of the labels at all (open-set recognition): by a margin fitted on "
        "pictures, else by whether the labels take more than half of a softmax over them and everyday nouns; null "
        "where the model cannot tell, since it knows no words but its own labels"
    )
    top_k_probabilities: list[float] = Field(description="their probabilities: softmax over all labels")
    top_k_cosines: list[float] = Field(description="their cosine similarities to the image")


class FramesAnswer(BaseModel):
    """How well the frames of one thing agree."""

    used: list[bool] = Field(description="which frames count, in their order; outliers do not")
    agreement: float = Field(
        description="the share of all frames that show the item by themselves; 0.5 is not a majority"
    )


class RegionAnswer(Seen):
    """What a box of the image shows."""

    box: tuple[int, int, int, int] = Field(description="as it was sent")
    pantry: ItemCount | None = Field(description="the item and its count after all boxes, if this box changed it")
    pantry_refused: str | None = Field(None, exclude_if=_is_none, description=_REFUSED)


class FoundItem(BaseModel):
    """An item that was found in the image, once or several times."""

    item: str
    count: int = Field(description="how many boxes show it")
    pantry_item: str | None = Field(None, exclude_if=_is_none, description=_PANTRY_ITEM)
    boxes: list[tuple[int, int, int, int]] = Field(description="left, top, right, bottom")
    probabilities: list[float] = Field(description="the item's probability in each box: softmax over all labels")
    pantry: ItemCount | None = Field(description="the item and its new count, if the pantry was updated")
    pantry_refused: str | None = Field(None, exclude_if=_is_none, description=_REFUSED)


class ProcessImageAnswer(Seen):
    """What the image shows, and how sure that is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "item": "banana",
                    "message": 1,
                    "similarity_score": 0.93,
                    "calibrated_probability": 0.95,
                    "top_k_items": ["banana", "lemon"],
                    "top_k_scores": [0.97, 0.03],
                    "confident": True,
                    "known": True,
                    "top_k_probabilities": [0.93, 0.03],
                    "top_k_cosines": [0.81, 0.64],
                    "label_count": 121,
                    "model": "larder-small",
                    "pantry": {"item": "banana", "count": 4},
                }
            ]
        }
    )

    label_count: int = Field(description="how many labels the image was compared with")
    model: str
    pantry: ItemCount | None = Field(description="the item and its new count, if the pantry was updated")
    pantry_refused: str | None = Field(None, exclude_if=_is_none, description=_REFUSED)
    frames: FramesAnswer | None = Field(None, exclude_if=_is_none, description="only with `images`")
    regions: list[RegionAnswer] | None = Field(None, exclude_if=_is_none, description="only with `regions`")
    items: list[FoundItem] | None = Field(None, exclude_if=_is_none, description="only with `tiles`")
    barcodes: list[BarcodeFound] | None = Field(None, exclude_if=_is_none, description="only with `barcodes`")
    evidence: Literal["barcode", "picture"] | None = Field(
        None, exclude_if=_is_none, description="what decided on `item`; the other fields are of the picture all the "
        "same; only with `barcodes`"
    )  # fmt: skip
    disagreement: str | None = Field(
        None, exclude_if=_is_none, description="how barcodes and picture, or several barcodes, disagree; nothing is "
        "counted then; only with `barcodes`"
    )  # fmt: skip


def _list_or_map(value: object) -> str:
    return "map" if isinstance(value, dict) else "list"


# distinguished by the outer type, so that an error message is about the type that was sent
LabelsOfRequest = Annotated[Annotated[Texts, Tag("list")] | Annotated[TextMap, Tag("map")], Discriminator(_list_or_map)]


class Classify(Request, TakesPictures, PictureByUrl):
    """An image to classify among labels that are sent with it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"image_data": "/9j/4AAQSkZJRgABAQ…", "labels": ["a photo of a banana", "a photo of a lemon"]},
                {
                    "image_data": "/9j/4AAQSkZJRgABAQ…",
                    "labels": {"banana": "fruit", "lemon": "fruit", "leek": "vegetable"},
                    "template": "a photo of a {}",
                    "none_of_these": True,
                },
            ]
        }
    )

    image_data: Picture = Field("", description="the image in base64, with or without a `data:` prefix")
    labels: LabelsOfRequest = Field(description="prompts, used word for word, or a map from each to its category")
    template: str | None = Field(None, description="makes a prompt of each label: `{}` stands for the label")
    mode: Literal["exclusive", "independent"] = Field(
        "exclusive", description="`exclusive`: exactly one label applies; `independent`: none, one or several apply"
    )
    none_of_these: bool = Field(False, description="whether to return the probability that no label applies")
    threshold: float = Field(0.8, ge=0, le=1, description="confident when the best probability is above it")

    _some_source = model_validator(mode="before")(needs_one_of("image_data", "image_url"))


class ClassifyAnswer(BaseModel):
    """The probability of each label."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "result": {"banana": 0.91, "lemon": 0.05, "leek": 0.01},
                    "categories": {"fruit": 0.96, "vegetable": 0.01},
                    "cosines": {"banana": 0.81, "lemon": 0.57, "leek": 0.42},
                    "none_of_these": 0.03,
                    "confident": True,
                    "model": "larder-small",
                }
            ]
        }
    )

    result: dict[str, float] = Field(
        description="each label's probability, in the order of the request: with `exclusive` they sum to 1, together "
        "with `none_of_these` if requested; with `independent` each is independent of the other labels"
    )
    categories: dict[str, float] | None = Field(
        description="each category's probability: that of its best label, so more labels do not raise it; null without "
        "categories"
    )
    cosines: dict[str, float] = Field(description="each label's cosine similarity to the image")
    none_of_these: float | None = Field(description="the probability that no label applies; null when not asked for")
    confident: bool = Field(
        description="whether the best category, or the best label without categories, is above `threshold`; an "
        "exclusive choice among a single one is never confident"
    )
    model: str
