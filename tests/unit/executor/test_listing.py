"""Pairs that search their places at once do not list them faster than a venue bears."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from libs.exchange.port import VenueError
from libs.exchange.trading import Trading
from libs.exchange.trading_values import OrderReport
from services.executor.events import ListOrders
from services.executor.listing import BURST, EVERY_SEC, Listing
from tests.unit.executor.desk_rig import Port


class Book(Port):
    """Notes which places are listed, and when."""

    def __init__(self) -> None:
        super().__init__("a", [])
        self.listed: list[tuple[str, bool, float]] = []

    async def open_orders(self, instrument: str, *, margin: bool = False) -> list[OrderReport]:
        self.listed.append((instrument, margin, asyncio.get_running_loop().time()))
        return []


def asks(places: int, pairs: int) -> list[ListOrders]:
    return [
        ListOrders(pair=f"p{pair}", venue="a", instrument=f"X{place}-USDT", margin=margin)
        for pair in range(pairs)
        for place in range(places)
        for margin in (False, True)
    ]


async def test_a_place_is_listed_once_for_all_who_ask_at_once() -> None:
    book = Book()
    listing = Listing(lambda _: cast("Trading", book))
    await asyncio.gather(*(listing.of(one) for one in asks(places=2, pairs=20)))
    assert sorted(one[:2] for one in book.listed) == [
        (f"X{place}-USDT", margin) for place in range(2) for margin in (False, True)
    ]


async def test_all_places_of_a_venue_share_its_pace() -> None:
    book = Book()
    listing = Listing(lambda _: cast("Trading", book))
    await asyncio.gather(*(listing.of(one) for one in asks(places=4, pairs=2)))
    assert len(book.listed) == 8
    took_sec = book.listed[-1][2] - book.listed[0][2]
    assert took_sec >= (8 - BURST) * EVERY_SEC * 0.9


async def test_who_asks_later_gets_a_listing_that_began_later() -> None:
    book = Book()
    listing = Listing(lambda _: cast("Trading", book))
    (one, _) = asks(places=1, pairs=1)
    await listing.of(one)
    await listing.of(one)
    assert len(book.listed) == 2


class NoDesk(Book):
    """A venue without a desk for borrowed coins; `error_class` is what it says of it."""

    def __init__(self, error_class: str) -> None:
        super().__init__()
        self.error_class = error_class

    async def open_orders(self, instrument: str, *, margin: bool = False) -> list[OrderReport]:
        if margin or self.error_class == "network":
            raise VenueError("a", self.error_class, "no borrowing of spot coins here")
        return await super().open_orders(instrument)


def place(*, margin: bool) -> ListOrders:
    return ListOrders(pair="p", venue="a", instrument="X-USDT", margin=margin)


async def test_where_there_is_no_desk_for_borrowed_coins_nothing_rests_on_it() -> None:
    listing = Listing(lambda _: cast("Trading", NoDesk("not_supported")))
    assert await listing.of(place(margin=True)) == []


async def test_a_failure_is_no_empty_list() -> None:
    listing = Listing(lambda _: cast("Trading", NoDesk("network")))
    for margin in (True, False):
        with pytest.raises(VenueError):
            await listing.of(place(margin=margin))
