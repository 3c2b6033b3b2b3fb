"""Current rates as ccxt has them, by the fewest requests that a venue allows; a bad symbol costs only itself.

Bulk where ccxt has a bulk call, else lists of symbols (`Batch`), else symbol by symbol. What a list leaves
out is asked for by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from libs.common.clock import mono_us
from libs.common.instant import US_PER_SEC
from libs.exchange.client import Client, all_of
from libs.exchange.port import Instrument, VenueError
from libs.exchange.record import Batch, rate_hours
from libs.exchange.units import float_of

if TYPE_CHECKING:
    from libs.exchange.adapter import CcxtMarketData

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
# A venue that refuses so many symbols before it answers one refuses all: no need to ask for hundreds.
GIVE_UP_AFTER: Final = 16
# Failures of these classes say nothing about a symbol.
OF_THE_VENUE: Final = frozenset({"network", "timeout", "rate_limit"})

Rate = dict[str, Any]  # ccxt's funding structure, {} where there is none


class Refused:
    """Who is refused at the moment and by which class, said once until it changes."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}

    def add(self, what: str, error: VenueError) -> None:
        """`what` (an instrument, a kind of list) goes without; raises what concerns the whole venue."""
        if error.error_class in OF_THE_VENUE:
            raise error
        if self._classes.get(what) != error.error_class:
            self._classes[what] = error.error_class
            log.warning("%s goes without: %s (%s)", what, error, error.error_class)

    def answered(self, what: str) -> None:
        """Closes a case, if there is one."""
        if self._classes.pop(what, None) is not None:
            log.info("%s is answered again", what)


class RateReader:
    """Reads the rates of one venue."""

    def __init__(self, market: CcxtMarketData) -> None:
        self._market = market
        self._quirks = market.quirks
        self._refused = Refused()

    async def read(
        self, client: Client, items: list[Instrument], *, within_sec: float | None = None
    ) -> dict[str, Rate]:
        """By slug, {} where there is none; `VenueError` when no symbol at all was answered.

        `within_sec` ends the asking symbol by symbol: those that come first in `items` have been answered.
        """
        exchange = client.exchange
        asked = [item.symbol for item in items] if self._quirks.funding_by_symbols else None
        if self._quirks.bulk_funding == "single":
            answer: Any = await self._few(client, items, within_sec)
        elif self._quirks.bulk_funding == "intervals":
            answer = await client.call("fetch_funding", exchange.fetch_funding_intervals(asked))
        else:
            answer = await client.call("fetch_funding", exchange.fetch_funding_rates(asked))
        rates = rates_of(answer, items)
        if not any(rates.values()):
            text = f"fetch_funding: none of {len(items)} symbols in the answer"
            raise VenueError(self._market.venue, "bad_payload", text)
        return rates

    async def _few(
        self, client: Client, items: list[Instrument], within_sec: float | None
    ) -> dict[str, Rate]:
        """By symbol: lists first, where there are lists, then one by one what they left out."""
        batch, started_us = self._quirks.funding_batch, mono_us()
        found: dict[str, Rate] = {}
        if batch is not None and len(items) >= batch.worth:
            size = batch.size or len(items)
            chunks = [items[start : start + size] for start in range(0, len(items), size)]
            gate = asyncio.Semaphore(AT_ONCE)
            for rates in await all_of(self._listed(client, batch, chunk, gate) for chunk in chunks):
                found |= rates
        missing = [item for item in items if item.symbol not in found]
        singles: dict[str, Rate] = {}
        left_sec = None if within_sec is None else within_sec - (mono_us() - started_us) / US_PER_SEC
        try:
            async with asyncio.timeout(left_sec):
                await self._one_by_one(client, missing, singles, answered=bool(found))
        except TimeoutError:
            if not found and not singles:
                text = f"fetch_funding: no rate of {len(items)} symbols within {within_sec:g} s"
                raise VenueError(self._market.venue, "timeout", text) from None
        return found | singles

    async def _listed(
        self, client: Client, batch: Batch, items: Sequence[Instrument], gate: asyncio.Semaphore
    ) -> dict[str, Rate]:
        """What one list says in full; a row without interval or next settlement is no use, and left out."""
        symbols, exchange = [item.symbol for item in items], client.exchange
        params = {batch.param: ",".join(item.venue_symbol for item in items)} if batch.param else {}
        what = f"{self._market.venue}'s list of rates"
        async with gate:
            try:
                work = exchange.request(batch.path, list(batch.api), "GET", params, {"cost": batch.cost})
                answer = await client.call("fetch_funding", work)
            except VenueError as error:
                self._refused.add(what, error)
                return {}
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            shape = VenueError(
                self._market.venue, "bad_payload", "fetch_funding: no list of rates in the answer"
            )
            self._refused.add(what, shape)
            return {}
        self._refused.answered(what)
        known = [row for row in rows if isinstance(row, dict)]
        with client.errors("fetch_funding"):
            parsed = exchange.parse_funding_rates(known, symbols)
        return {item.symbol: rate for item in items if self._whole(rate := parsed.get(item.symbol))}

    def _whole(self, rate: object) -> bool:
        return (
            isinstance(rate, dict)
            and float_of(rate.get("fundingRate")) is not None
            and float_of(rate.get(self._quirks.next_field)) is not None
            and rate_hours(self._quirks, rate) is not None
        )

    async def _one_by_one(
        self, client: Client, items: Sequence[Instrument], found: dict[str, Rate], *, answered: bool
    ) -> None:
        """One request each into `found`; a symbol that is refused is left out, unless all of them are."""
        gate = asyncio.Semaphore(AT_ONCE)
        failed: list[VenueError] = []

        async def one(item: Instrument) -> None:
            async with gate:
                try:
                    work = client.exchange.fetch_funding_rate(item.symbol)
                    rate = await client.call("fetch_funding", work)
                except VenueError as error:
                    failed.append(error)
                    if not answered and not found and len(failed) >= GIVE_UP_AFTER:
                        raise
                    self._refused.add(f"{item.venue} {item.slug}", error)
                    return
            found[item.symbol] = rate if isinstance(rate, dict) and rate.get("info") else {}
            self._refused.answered(f"{item.venue} {item.slug}")

        await all_of(one(item) for item in items)
        if failed and not found and not answered:
            raise failed[0]


def rates_of(answer: object, items: Iterable[Instrument]) -> dict[str, Rate]:
    """By slug out of an answer by unified symbol; whatever is no structure is {}."""
    by_symbol = answer if isinstance(answer, dict) else {}
    return {item.slug: rate if isinstance(rate := by_symbol.get(item.symbol), dict) else {} for item in items}
