"""Barcodes of items: list, assign and remove; `/process-image` reads them on request."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.dependencies import ServiceDep
from app.api.schemas.base import Error
from app.api.schemas.pantry import BarcodeDeleted, BarcodeItem, BarcodeList, BarcodePut
from app.pantry import item_name
from app.pantry.barcodes import MAX_CODE, barcode, not_tied

PAGE = 1000  # codes per page by default
CursorQuery = Annotated[str, Query(max_length=MAX_CODE, description="from the response before")]
LimitQuery = Annotated[int, Query(ge=1, le=1000)]
router = APIRouter(
    prefix="/barcodes",
    tags=["pantry"],
    responses={
        404: {"model": Error, "description": "the code is tied to no item, or the service keeps no pantry"},
        503: {"model": Error, "description": "the pantry is unavailable"},
    },
)


@router.get("")
async def barcodes(service: ServiceDep, cursor: CursorQuery = "", limit: LimitQuery = PAGE) -> BarcodeList:
    """List the codes and their items, by code, page by page."""
    found, following = await service.pantry.read(lambda pantry: pantry.barcodes(cursor, limit))
    return BarcodeList(barcodes=[BarcodeItem(code=code, item=item) for code, item in found.items()], cursor=following)


@router.get("/{code:path}")
async def get(code: str, service: ServiceDep) -> BarcodeItem:
    """Get the item of a code."""
    form = barcode(code)
    found = await service.pantry.read(lambda pantry: pantry.items_of([form]))
    if form not in found:
        raise not_tied(form)
    return BarcodeItem(code=form, item=found[form])


@router.put("/{code:path}")
async def put(code: str, body: BarcodePut, service: ServiceDep) -> BarcodeItem:
    """Tie a code to an item, in the pantry or not; it replaces the item that the code had before.

    UPC-A and UPC-E are stored as the equivalent EAN-13. A wrong check digit is refused.
    """
    form, item = barcode(code), item_name(body.item)
    await service.pantry.change(lambda pantry: pantry.tie(form, item))
    return BarcodeItem(code=form, item=item)


@router.delete("/{code:path}")
async def delete(code: str, service: ServiceDep) -> BarcodeDeleted:
    """Remove a code; its item stays."""
    form = barcode(code)
    await service.pantry.change(lambda pantry: pantry.untie(form))
    return BarcodeDeleted(code=form)
