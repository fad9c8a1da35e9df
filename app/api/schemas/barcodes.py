"""Schemas of barcodes: what was read in a picture, and what is tied to an item."""

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.base import Request
from app.images.barcodes import Format


class BarcodeFound(BaseModel):
    """A barcode in a picture."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"code": "4006381333931", "format": "ean_13", "box": [40, 60, 320, 210], "item": "rice"}]
        }
    )

    code: str = Field(description="a UPC-A or UPC-E as the EAN-13 that it stands for")
    format: Format
    box: tuple[int, int, int, int] = Field(description="left, top, right, bottom in pixels of the upright image")
    item: str | None = Field(description="the item that the code is tied to; null: it is tied to none")


class BarcodePut(Request):
    """The item to tie a code to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item": "rice"}]})

    item: str


class BarcodeItem(BaseModel):
    """A code and its item."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "4006381333931", "item": "rice"}]})

    code: str
    item: str


class BarcodeList(BaseModel):
    """A page of the codes, in their order."""

    barcodes: list[BarcodeItem]
    cursor: str | None = Field(description="where the next page begins; null: there is none")


class BarcodeDeleted(BaseModel):
    """A code that is tied to no item any more."""

    code: str
