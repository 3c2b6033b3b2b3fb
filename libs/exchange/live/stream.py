"""The private user stream: orders, fills and positions as they happen, and nothing lost by a break.

After a drop there is no replay: the stream says `GapSeen` and reads by REST what may have been missed.
Whoever hears the stream gets an order or a fill possibly twice (fills are idempotent by id), never not at
all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from libs.common.clock import mono_us
from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.subjects import SPOT
from libs.exchange.client import all_of, end
from libs.exchange.errors import venue_error
from libs.exchange.live.causes import cause_of
from libs.exchange.live.places import Open, Place
from libs.exchange.live.reports import fill_of, forced_trade, order_of, position_of
from libs.exchange.port import GapSeen
from libs.exchange.streams import BACKOFF_SEC, HEALTHY_SEC, SETTLE_SEC
from libs.exchange.trading_values import TradingEvent
from libs.exchange.urgency import reading

if TYPE_CHECKING:
    from libs.exchange.live.adapter import CcxtTrading

log = logging.getLogger(__name__)

SWEEP_SEC: Final = (0.005, 0.1)  # the first look after a frame, and every further one
KEPT: Final = {"ordersLimit": 100, "tradesLimit": 500}
"""What ccxt keeps of a stream: each row some 5 kB, and looked through ten times a second. No venue takes 100
orders within one look; one order may meet more offers than 500, and its other trades are asked for then.
"""

SEEN_MAX: Final = 10_000
LOOK_BACK_MS: Final = 60_000
"""Fills are read from so long before the last frame: a venue's stamps and ours may differ."""


class UserStream:
    """All private sockets of one account."""

    def __init__(
        self, trading: CcxtTrading, sink: Callable[[TradingEvent], Any], open_exchange: Open
    ) -> None:
        self._trading = trading
        self._sink = sink
        self._open = open_exchange

    async def run(self) -> None:
        """Until cancelled."""
        await all_of(
            Ears(self._trading, place, desk, self._sink, self._open).run()
            for place in self._trading.places.all
            for desk in self._desks(place)
        )

    def _desks(self, place: Place) -> tuple[dict[str, Any], ...]:
        """What a place is asked for: its own kind, and the margin desk where that is another account."""
        if SPOT not in place.spec.kinds or self._trading.record.margin is None:
            return ({},)
        return ({}, {"type": "margin", **self._trading.record.margin})


class Ears:
    """One socket of private frames: connect, listen, and after every break come back and reconcile."""

    def __init__(
        self,
        trading: CcxtTrading,
        place: Place,
        params: dict[str, Any],
        sink: Callable[[TradingEvent], Any],
        open_exchange: Open,
    ) -> None:
        self._trading = trading
        self._place = place
        self._params = params
        self._sink = sink
        self._open = open_exchange
        self._heard_ms = trading.clock.now().wall_us // US_PER_MS
        self._unseen = ""
        self._seen: dict[tuple[str, str], tuple[Any, ...]] = {}

    async def run(self) -> None:
        """Never ends but by cancellation."""
        breaks = 0
        while True:
            started_us = mono_us()
            reason = await self._listen()
            if mono_us() - started_us > HEALTHY_SEC * US_PER_SEC:
                breaks = 0
            wait_sec = BACKOFF_SEC[min(breaks, len(BACKOFF_SEC) - 1)]
            self._unseen = self._unseen or reason
            log.warning(
                "%s: the private stream broke, again in %g s: %s", self._trading.venue, wait_sec, reason
            )
            await asyncio.sleep(wait_sec)
            breaks += 1

    async def _listen(self) -> str:
        """Sink frames until something breaks; answers what."""
        exchange = self._open(self._place.spec, False)
        exchange.options.update(KEPT)
        try:
            exchange.set_markets_from_exchange(self._place.poll.exchange)
            await self._hear(exchange)
        except Exception as error:  # noqa: BLE001 - third-party parsing of third-party frames: any break is mended
            self._place.poll.tell("private stream", error)
            return str(venue_error(self._trading.venue, "private stream", error))
        finally:
            with contextlib.suppress(Exception):  # its sockets may be broken, which is why it is closed
                await end(exchange)
        return "the stream ended"

    async def _hear(self, exchange: Any) -> None:
        watches = [
            self._repeat(exchange.watch_orders, self._order, lambda: exchange.orders),
            self._repeat(exchange.watch_my_trades, self._fill, lambda: exchange.myTrades),
        ]
        if SPOT not in self._place.spec.kinds or len(self._place.spec.kinds) > 1:
            watches.append(self._repeat(self._watch_positions(exchange), self._position, lambda: None))
        tasks = [asyncio.ensure_future(watch) for watch in watches]
        try:
            if self._unseen:  # subscribe first, then read what was missed: nothing falls between the two
                await asyncio.wait(tasks, timeout=SETTLE_SEC, return_when=asyncio.FIRST_EXCEPTION)
                with reading(urgent=True):  # what was missed may be how an order of ours ended
                    await self._reconcile()
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _watch_positions(self, exchange: Any) -> Callable[..., Any]:
        async def watch(_: None, since: None, limit: None, params: dict[str, Any]) -> Any:
            return await exchange.watch_positions(None, since, limit, params)

        return watch

    async def _repeat(
        self, watch: Callable[..., Any], tell: Callable[[dict[str, Any]], None], kept: Callable[[], Any]
    ) -> None:
        """Tell every row once. What comes between two calls of `watch` wakes nobody up: ccxt keeps it, and
        says it with the next frame, whenever that is. So `kept` is looked through a few times a second.
        """
        while True:
            task = asyncio.ensure_future(watch(None, None, None, dict(self._params)))
            wait_sec = SWEEP_SEC[0]
            try:
                while not task.done():
                    await asyncio.wait({task}, timeout=wait_sec)
                    wait_sec = SWEEP_SEC[1]
                    rows = list(kept() or ())
                    for raw in rows + list(task.result() if task.done() else ()):
                        tell(raw)
                self._heard_ms = self._trading.clock.now().wall_us // US_PER_MS
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _is_new(self, kind: str, raw: dict[str, Any], *state: Any) -> bool:
        """Whether this state of an order or trade was not told yet."""
        if len(self._seen) > SEEN_MAX:
            self._seen.clear()  # some are told twice then, which harms nobody
        key = (kind, str(raw.get("id")))
        known = self._seen.get(key)
        self._seen[key] = state
        return known != state

    def _order(self, raw: dict[str, Any]) -> None:
        item = self._trading.places.find(self._place, raw.get("symbol"))
        if item is None or not self._is_new("order", raw, raw.get("status"), raw.get("filled")):
            return
        self._trading.touched.add((item.slug, bool(self._params)))
        if item.kind is not SPOT:  # what the venue calls its own orders on the margin desk is not documented
            self._trading.causes.note(item.slug, str(raw.get("id")), cause_of(raw.get("info")))
        self._sink(order_of(raw, item, self._trading.ids))
        forced = forced_trade(raw)
        if forced is not None:
            self._fill(forced)

    def _fill(self, raw: dict[str, Any]) -> None:
        item = self._trading.places.find(self._place, raw.get("symbol"))
        if item is None or not self._is_new("fill", raw):
            return
        self._trading.touched.add((item.slug, bool(self._params)))
        self._sink(fill_of(raw, item, self._trading.ids, streamed=True))

    def _position(self, raw: dict[str, Any]) -> None:
        item = self._trading.places.find(self._place, raw.get("symbol"))
        found = None if item is None else position_of(raw, item)
        if found is not None:
            self._sink(found)

    async def _reconcile(self) -> None:
        """Say that something was missed, then what is true now. Raises `VenueError`: the break goes on."""
        trading, now = self._trading, self._trading.clock.now()
        since_ms = self._heard_ms - LOOK_BACK_MS
        kinds = self._place.spec.kinds
        margin = bool(self._params)
        events: list[TradingEvent] = list(await trading.open_orders(margin=margin))
        for slug, on_margin in sorted(trading.touched):
            if on_margin == margin and trading.places.instrument(slug).kind in kinds:
                events += await trading.fills(slug, since_ms=since_ms, margin=margin)
        if any(kind is not SPOT for kind in kinds):
            events += await trading.positions()
        if not margin:
            events += await trading.balances()
        self._sink(
            GapSeen(venue=trading.venue, instrument="", recv_us=now.wall_us, text=self._unseen or "a break")
        )
        self._unseen = ""
        self._heard_ms = now.wall_us // US_PER_MS
        for event in events:
            self._sink(event)
