"""A paper venue with a market around it: the bus messages that it lives on, at chosen times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from libs.common.config.schema import Costs
from libs.common.instant import ManualClock, Now
from libs.common.messages import Book, Funding, InstrumentInfo, Quote
from libs.common.subjects import Kind, kind_of
from libs.exchange.paper.venue import PaperVenue
from libs.exchange.trading_values import (
    BalanceReport,
    Done,
    OrderReport,
    OrderRequest,
    Outcome,
    Side,
    Wallet,
)

D = Decimal
SPOT, PERP, FUTURE = "BTC-USDT", "BTC-USDT-PERP", "BTC-USDT-231229"
START_MS = 1_700_000_400_000  # 2023-11-14 22:20 UTC
SPLIT: Mapping[Wallet, Mapping[str, Decimal]] = {
    "spot": {"USDT": D(10_000)},
    "margin": {"USDT": D(10_000)},
    "futures": {"USDT": D(10_000)},
}
UNIFIED: Mapping[Wallet, Mapping[str, Decimal]] = {"unified": {"USDT": D(30_000)}}
COSTS = Costs(taker=0.0005, maker=0.0002, slippage_bps=5.0, borrow_daily=0.0024)
_numbers = itertools.count(1)


def info_of(venue: str, slug: str, **fields: Any) -> InstrumentInfo:
    """What the feed says of an instrument: ticks of 0.1, steps of 0.001, 5 USDT at least."""
    base, quote = slug.split("-")[:2]
    contract = kind_of(slug) is not Kind.SPOT
    told: dict[str, Any] = {
        "venue": venue,
        "instrument": slug,
        "symbol": f"{base}/{quote}:{quote}" if contract else f"{base}/{quote}",
        "base": base,
        "quote": quote,
        "settle": quote,
        "kind": kind_of(slug),
        "price_tick": "0.1",
        "quantity_step": "0.001",
        "quantity_min": "0.001",
        "notional_min": "5",
        "taker": 0.0005 if contract else 0.001,
        "maker": 0.0002 if contract else 0.001,
        "recv_us": 0,
    }
    return InstrumentInfo(**(told | fields))


class Market:
    """A paper venue, its clock, and the words of the bus."""

    def __init__(
        self,
        venue: str = "binance",
        *,
        balances: Mapping[Wallet, Mapping[str, Decimal]] | None = None,
        costs: Costs = COSTS,
        slugs: tuple[str, ...] = (SPOT, PERP),
        quoted: bool = True,
        **fields: Any,
    ) -> None:
        self.clock = ManualClock(wall_us=START_MS * 1_000)
        given = balances if balances is not None else (SPLIT if venue == "binance" else UNIFIED)
        self.paper = PaperVenue(venue, costs=costs, balances=given, now=self.now)
        self.venue = venue
        self.hear: Callable[[object], None] | None = None  # who takes the bus's messages instead of `paper`
        for slug in slugs:
            self.info(slug, **fields)
            if quoted:
                self.quote(slug)

    @property
    def now(self) -> Now:
        return self.clock.now()

    def later(self, *, ms: int = 0, sec: float = 0) -> Now:
        return self.clock.advance(ms=ms, sec=sec)

    def say(self, message: object) -> None:
        if self.hear is None:
            self.paper.on_message(message, self.now)
        else:
            self.hear(message)

    def info(self, slug: str, **fields: Any) -> None:
        expiry = {"expiry_ms": START_MS + 3_600_000} if kind_of(slug) is Kind.FUTURE else {}
        self.say(info_of(self.venue, slug, **(expiry | fields)))

    def quote(self, slug: str, bid: float = 999.9, ask: float = 1000.1, *, size: float = 2.0) -> None:
        """A millisecond later than anything before it."""
        now = self.later(ms=1)
        self.say(
            Quote(
                venue=self.venue,
                instrument=slug,
                bid=bid,
                ask=ask,
                bid_size=size,
                ask_size=size,
                ts_ms=now.market_ms,
                recv_us=now.wall_us,
            )
        )

    def book(self, slug: str, bids: Any, asks: Any) -> None:
        now = self.later(ms=1)
        self.say(
            Book(
                venue=self.venue,
                instrument=slug,
                bids=tuple(bids),
                asks=tuple(asks),
                ts_ms=now.market_ms,
                recv_us=now.wall_us,
            )
        )

    def current(self, slug: str, mark: float | None, *, next_ms: int | None = None) -> None:
        """A rate that is to settle, with the mark."""
        now = self.later(ms=1)
        self.say(self._funding(slug, now, kind="current", rate=0.0001, mark=mark, next_ms=next_ms))

    def settled(self, slug: str, rate: float, settled_ms: int, mark: float | None = None) -> None:
        """A print, as the feed says it: when it has come, without a mark."""
        now = self.later(ms=1)
        self.say(self._funding(slug, now, kind="settled", rate=rate, mark=mark, settled_ms=settled_ms))

    def _funding(self, slug: str, now: Now, **fields: Any) -> Funding:
        return Funding(
            venue=self.venue,
            instrument=slug,
            interval_hours=8.0,
            interval_source="rate",
            ts_ms=now.market_ms,
            recv_us=now.wall_us,
            **fields,
        )

    # --- what is asked ------------------------------------------------------------------------------------

    def send(self, slug: str, side: Side, quantity: str, price: str | None, **fields: Any) -> Outcome:
        return self.paper.submit(request(slug, side, quantity, price, **fields), self.now)

    def done(self, slug: str, side: Side, quantity: str, price: str | None, **fields: Any) -> OrderReport:
        """The report of an order that must be taken."""
        outcome = self.send(slug, side, quantity, price, **fields)
        assert isinstance(outcome, Done), outcome
        return outcome.report

    def balance(self, wallet: Wallet, asset: str = "USDT") -> BalanceReport:
        found = [one for one in self.paper.balances(self.now) if (one.wallet, one.asset) == (wallet, asset)]
        return found[0] if found else BalanceReport(wallet=wallet, asset=asset, total=D(0), free=D(0))

    def held(self, slug: str = PERP) -> Decimal:
        return sum((one.quantity for one in self.paper.positions(self.now) if one.instrument == slug), D(0))


def request(slug: str, side: Side, quantity: str, price: str | None, **fields: Any) -> OrderRequest:
    """An IOC limit order with an id of its own."""
    client_id = fields.pop("client_id", f"fapaper{next(_numbers):06d}")
    return OrderRequest(
        client_id=client_id,
        instrument=slug,
        side=side,
        quantity=D(quantity),
        price=None if price is None else D(price),
        **fields,
    )
