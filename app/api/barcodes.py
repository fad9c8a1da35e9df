"""Barcodes that are tied to items: `/process-image` reads them where it is asked to."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.dependencies import ServiceDep
from app.api.schemas.base import Error
from app.api.schemas.pantry import BarcodeDeleted, BarcodeItem, BarcodeList, BarcodePut
from app.pantry import item_name
from app.pantry.barcodes import MAX_CODE, barcode, not_tied

PAGE = 1000  # codes, where the request does not say how many
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
    """Tie a code to an item, whether the pantry has that or not; the item that it was tied to before gives way.

    UPC-A and UPC-E are stored as the EAN-13 that they stand for. A wrong check digit is refused.
    """
    form, item = barcode(code), item_name(body.item)
    await service.pantry.change(lambda pantry: pantry.tie(form, item))
    return BarcodeItem(code=form, item=item)


@router.delete("/{code:path}")
async def delete(code: str, service: ServiceDep) -> BarcodeDeleted:
    """Untie a code; its item stays."""
    form = barcode(code)
    await service.pantry.change(lambda pantry: pantry.untie(form))
    return BarcodeDeleted(code=form)
