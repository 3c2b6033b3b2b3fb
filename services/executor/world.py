"""What all pairs of an executor share and only read: prices, rules, permits, terms.

The actor keeps it current; a lane never changes it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.common.config.schema import Config
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import InstrumentInfo, Quote
from libs.common.subjects import SPOT
from services.executor.model import Side
from services.executor.permit import PermitView
from services.executor.sizing import Rules

QUOTE_AGE_US_MAX: Final = 2 * US_PER_SEC

Key = tuple[str, str]
"""(venue, instrument)."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Best prices of one instrument as Decimals with the digits that came, and when they came."""

    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal
    mono_us: int

    @property
    def mid(self) -> Decimal:
        """Half way between the best prices."""
        return (self.bid + self.ask) / 2

    def best(self, side: Side) -> Decimal:
        """The price that an order of this side takes."""
        return self.ask if side == "buy" else self.bid


class World:
    """Prices, rules and permits. Owned by the actor."""

    def __init__(self, config: Config, permits: PermitView, *, deployment: str) -> None:
        self.config = config
        self.permits = permits
        self.deployment = deployment
        self.store_id = ""
        self.collar = Decimal(str(config.execution.collar_bps)) / 10_000
        self.quotes: dict[Key, Seen] = {}
        self.marks: dict[Key, Decimal] = {}
        self.rules: dict[Key, Rules] = {}

    def on_quote(self, quote: Quote, now: Now) -> None:
        """Take a quote over; crossed or empty ones never get here (the feed's work)."""
        self.quotes[quote.venue, quote.instrument] = Seen(
            bid=exact(quote.bid),
            ask=exact(quote.ask),
            bid_size=exact(quote.bid_size),
            ask_size=exact(quote.ask_size),
            mono_us=now.mono_us - max(0, now.wall_us - quote.recv_us),
        )

    def price(self, key: Key, side: Side) -> Decimal | None:
        """The last price that an order of this side would take, whatever its age; else the mark."""
        seen = self.quotes.get(key)
        return seen.best(side) if seen is not None else self.marks.get(key)

    def mid(self, key: Key) -> Decimal | None:
        """The last mid, whatever its age; else the mark."""
        seen = self.quotes.get(key)
        return seen.mid if seen is not None else self.marks.get(key)

    def fresh(self, key: Key, now: Now) -> bool:
        """Whether the quote is young enough to open on."""
        seen = self.quotes.get(key)
        return seen is not None and now.mono_us - seen.mono_us <= QUOTE_AGE_US_MAX


def exact(value: float) -> Decimal:
    """The shortest decimal that means this float: observations become prices by their digits."""
    return Decimal(repr(value))


def rules_of(info: InstrumentInfo) -> Rules:
    """An instrument's filters as Decimals; a spot buy is taken to lose the listed taker fee in base."""

    def number(text: str | None, default: str) -> Decimal:
        return Decimal(text if text is not None else default)

    fee = Decimal(str(info.taker or 0)) if info.kind is SPOT else Decimal(0)
    return Rules(
        kind=info.kind,
        base=info.base,
        quote=info.quote,
        settle=info.settle,
        step=number(info.quantity_step, "1e-18"),
        tick=number(info.price_tick, "1e-18"),
        quantity_min=number(info.quantity_min, "0"),
        notional_min=number(info.notional_min, "0"),
        base_fee=max(Decimal(0), fee),
        shortable=info.shortable,
        refused=info.refused or "",
    )
