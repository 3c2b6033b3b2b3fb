"""ccxt.pro streams that mend themselves: back-off, a named gap, REST reconciliation, then live again.

ccxt hands out one frame per wake-up and keeps the newest state of every symbol in a dict. A burst (633
frames in 10 ms were recorded) is therefore conflated: after each wake-up the dict is swept for whatever
changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from libs.common.clock import mono_us
from libs.common.instant import US_PER_SEC
from libs.exchange.client import Client, all_of, end
from libs.exchange.errors import venue_error
from libs.exchange.port import GapSeen, Instrument, Observation, QuoteSeen, VenueError
from libs.exchange.record import Stream

if TYPE_CHECKING:
    from libs.exchange.adapter import CcxtMarketData

log = logging.getLogger(__name__)

BACKOFF_SEC: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
HEALTHY_SEC: Final = 60.0  # so long without a break, and the next one starts at the shortest back-off again
SETTLE_SEC: Final = 1.0  # for the subscription to be in place before the reconciliation reads


class Streamer:
    """All connections of one `stream` call."""

    def __init__(
        self, market: CcxtMarketData, kind: Literal["quote", "mark"], sink: Callable[[Observation], None]
    ) -> None:
        self._market = market
        self._kind: Literal["quote", "mark"] = kind
        self._sink = sink
        self._stream: Stream = market.quirks.streams[kind]

    async def run(self, slugs: Sequence[str]) -> None:
        """Until cancelled. Kinds that the venue does not stream are left to polling."""
        chunks = [
            (client, items[start : start + self._stream.chunk])
            for client, _, items in self._market.groups(slugs, kinds=self._stream.kinds)
            for start in range(0, len(items), self._stream.chunk)
        ]
        await all_of(
            Connection(self._market, self._kind, client, items, sink=self._sink).run()
            for client, items in chunks
        )


class Connection:
    """One socket over a chunk of symbols."""

    def __init__(
        self,
        market: CcxtMarketData,
        kind: Literal["quote", "mark"],
        client: Client,
        items: list[Instrument],
        *,
        sink: Callable[[Observation], None],
    ) -> None:
        self._market = market
        self._kind: Literal["quote", "mark"] = kind
        self._stream: Stream = market.quirks.streams[kind]
        self._client = client
        self._items = {item.symbol: item for item in items}
        self._sink = sink
        self._seen: dict[str, Any] = {}
        self._unseen = ""  # why a break happened that no GapSeen has told yet
        self._last: dict[str, tuple[float | None, ...]] = {}

    async def run(self) -> None:
        """Connect, pump, and after every break back off and come back with a gap and a reconciliation."""
        breaks = 0
        while True:
            exchange = self._market.open_stream_exchange(self._client)
            started_us = mono_us()
            try:
                reason = await self._pump(exchange)
            except Exception as error:  # noqa: BLE001 - third-party parsing of third-party frames: any break is mended
                self._client.tell(f"stream {self._kind}", error)
                reason = str(venue_error(self._market.venue, f"stream {self._kind}", error))
            finally:
                await self._end(exchange)
            if mono_us() - started_us > HEALTHY_SEC * US_PER_SEC:
                breaks = 0
            wait_sec = BACKOFF_SEC[min(breaks, len(BACKOFF_SEC) - 1)]
            count = len(self._items)
            self._unseen = self._unseen or reason
            log.warning(
                "%s stream of %d symbols broke, again in %g s: %s", self._kind, count, wait_sec, reason
            )
            await asyncio.sleep(wait_sec)
            breaks += 1

    async def _end(self, exchange: Any) -> None:
        """Close the instance; its sockets may be broken, which is why it is closed."""
        with contextlib.suppress(Exception):
            await end(exchange)

    async def _pump(self, exchange: Any) -> str:
        """Sink frames until the socket turns out to be dead; answers why. Raises what ccxt raises."""
        watch = getattr(exchange, self._stream.method)
        symbols = list(self._items)
        self._seen = {}
        task = asyncio.ensure_future(watch(symbols))
        try:
            if self._unseen:  # subscribe first, then read what was missed: nothing falls between the two
                await asyncio.wait({task}, timeout=SETTLE_SEC)
                if task.done() and task.exception() is not None:
                    await task
                await self._reconcile()
            while True:
                done, _ = await asyncio.wait({task}, timeout=self._stream.silent_sec)
                if done:
                    await task
                    self._sweep(exchange)
                    task = asyncio.ensure_future(watch(symbols))
                elif await self._moved_in_silence():
                    return f"{self._market.venue}: silent for {self._stream.silent_sec:g} s"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _sweep(self, exchange: Any) -> None:
        """Everything that ccxt has stored anew since the last sweep."""
        store = getattr(exchange, self._stream.store)
        for symbol, item in self._items.items():
            raw = store.get(symbol)
            if raw is None or raw is self._seen.get(symbol):
                continue
            self._seen[symbol] = raw
            self._emit(self._observe(item, raw))

    def _observe(self, item: Instrument, raw: dict[str, Any]) -> Observation | None:
        if self._kind == "quote":
            return self._market.quote_of(item, raw, source="stream")
        if self._stream.fields is None:
            return self._market.funding_of(item, raw)
        info = raw.get("info")
        if not isinstance(info, dict):
            return None
        rate, next_stamp, mark, index = self._stream.fields
        return self._market.funding_of(
            item,
            {
                "fundingRate": info.get(rate),
                self._market.quirks.next_field: info.get(next_stamp),
                "markPrice": info.get(mark),
                "indexPrice": info.get(index),
                "timestamp": raw.get("timestamp"),
                "info": info,
            },
        )

    def _emit(self, seen: Observation | None) -> None:
        if seen is None:
            return
        if isinstance(seen, QuoteSeen):
            self._last[seen.instrument] = (seen.bid, seen.ask)
        self._sink(seen)

    async def _poll(self) -> list[Observation]:
        slugs = [item.slug for item in self._items.values()]
        if self._kind == "quote":
            return list(await self._market.fetch_quotes(slugs))
        return list(await self._market.fetch_funding(slugs))

    async def _reconcile(self) -> None:
        """Say that something was missed, then what is true now."""
        polled = await self._poll()
        only = next(iter(self._items.values())).slug if len(self._items) == 1 else ""
        text = f"{self._unseen} ({len(self._items)} symbols)"
        now_us = self._market.now_us()
        self._sink(GapSeen(venue=self._market.venue, instrument=only, recv_us=now_us, text=text))
        self._unseen = ""
        for seen in polled:
            self._emit(seen)

    async def _moved_in_silence(self) -> bool:
        """Poll to confirm: quotes that differ from the last frames mean a dead socket, equal ones a quiet
        market. Either way the poll is passed on, so that data does not look old while the market rests.

        A venue that cannot be asked either is dead on both ways. Marks are pushed on a schedule: their
        silence is proof enough.
        """
        before = dict(self._last)
        try:
            polled = await self._poll()
        except VenueError:
            return True
        for seen in polled:
            self._emit(seen)
        return self._kind == "mark" or self._last != before
