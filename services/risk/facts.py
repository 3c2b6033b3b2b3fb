"""What risk knows: the newest word of everybody, and when it came. Controls only read it. Pure.

Ages are monotonic: a message counts from when it was made, as far as its stamp tells how long it travelled.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Generic, TypeVar

import msgspec

from libs.common.config.legs import PairSpec
from libs.common.config.schema import Config
from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import Funding, InstrumentInfo, Quote, ServiceHealth, VenueHealth
from libs.common.messages_exec import AccountStatus, PairStatus
from libs.common.subjects import Kind
from services.risk.scopes import Scopes

Key = tuple[str, str]
"""(venue, instrument)."""

M = TypeVar("M", bound=Message)

IDLE: Final = "idle"

LATE_US: Final = 10 * US_PER_SEC
"""An executor tells of its pairs each 5 s: when newer words have been missing for two of them, none come."""


class Heard(msgspec.Struct, Generic[M], frozen=True):
    """A message, and the monotonic time at which it was true."""

    message: M
    at_us: int

    def age_us(self, now: Now) -> int:
        """How old it is."""
        return max(0, now.mono_us - self.at_us)


class LegFacts:
    """One instrument of a configured pair."""

    __slots__ = ("funding", "info", "kind", "mark", "mark_streamed_us", "quote")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.quote: Heard[Quote] | None = None
        self.funding: Heard[Funding] | None = None
        self.mark: Heard[Funding] | None = None  # the newest that told a mark, at the time of the mark
        self.mark_streamed_us: int | None = None
        self.info: InstrumentInfo | None = None

    def mid(self) -> float | None:
        """Half way between the best prices, None before the first quote."""
        return None if self.quote is None else (self.quote.message.bid + self.quote.message.ask) / 2


class Facts:
    """Owned by the actor. `born_us`: monotonic time from which on silence counts. `config` may be reloaded:
    controls read what may change of it each time.
    """

    def __init__(self, config: Config, specs: Iterable[PairSpec]) -> None:
        self.config = config
        self.scopes = Scopes(specs)
        self.legs: dict[Key, LegFacts] = {
            (leg.venue, leg.instrument): LegFacts(leg.kind)
            for spec in self.scopes.specs.values()
            for leg in spec.legs
        }
        self.pairs: dict[str, Heard[PairStatus]] = {}
        self.accounts: dict[str, Heard[AccountStatus]] = {}
        self.venues: dict[str, Heard[VenueHealth]] = {}
        self.services: dict[str, Heard[ServiceHealth]] = {}
        self.born_us: int | None = None

    def observe(self, message: Message, now: Now) -> bool:
        """Take a message over; what is not about a configured pair is nobody's matter. False for a word on a
        pair that nobody may go by.
        """
        match message:
            case Quote() | Funding() | InstrumentInfo():
                if (leg := self.legs.get((message.venue, message.instrument))) is not None:
                    _on_market(leg, message, now)
            case VenueHealth():
                self.venues[message.venue] = Heard(message, _made_us(message.recv_us, now))
            case ServiceHealth():
                self.services[message.service] = Heard(message, now.mono_us)
            case AccountStatus():
                self.accounts[message.venue] = Heard(message, _made_us(message.wall_us, now))
            case PairStatus():
                return self._on_pair(message, now)
            case _:
                pass
        return True

    def _on_pair(self, status: PairStatus, now: Now) -> bool:
        """An executor that does not lead a pair, or has led it before, has no word about it. One that comes
        late is not the newest word, and yet what it tells has happened. Without newer ones none is late: a
        clock was set back.
        """
        if not status.owner or status.pair not in self.scopes.specs:
            return False
        former = self.pairs.get(status.pair)
        newer = former is not None and former.message.wall_us > status.wall_us
        if newer and former is not None and former.age_us(now) < LATE_US:
            return former.message.owner == status.owner
        self.pairs[status.pair] = Heard(status, now.mono_us)
        return True

    # --- what is asked --------------------------------------------------------------------------

    def since_us(self, heard: Heard[M] | None, now: Now) -> int:
        """Age of a word; of one that never came: since this process began to listen."""
        if heard is not None:
            return heard.age_us(now)
        return now.mono_us - (now.mono_us if self.born_us is None else self.born_us)

    def held(self) -> dict[str, PairStatus]:
        """Pairs that have, or may have, a position: all that are not idle."""
        return {pair: heard.message for pair, heard in self.pairs.items() if heard.message.state != IDLE}

    def is_held(self, key: Key) -> bool:
        """Whether a pair with this leg is not idle."""
        pairs = self.scopes.legs.get(key, ())
        return any(pair in self.pairs and self.pairs[pair].message.state != IDLE for pair in pairs)

    def held_venues(self) -> frozenset[str]:
        """Venues of pairs that are not idle."""
        return frozenset(leg.venue for status in self.held().values() for leg in status.legs)

    def ours(self, key: Key) -> Decimal:
        """Sum of the pairs' own quantities of an instrument."""
        return sum(
            (
                leg.quantity
                for pair in self.scopes.legs.get(key, ())
                if pair in self.pairs
                for leg in self.pairs[pair].message.legs
                if (leg.venue, leg.instrument) == key
            ),
            Decimal(0),
        )

    def contracts_at(self, venue: str) -> frozenset[str]:
        """Configured instruments at a venue that are contracts."""
        return frozenset(
            name for (where, name), leg in self.legs.items() if where == venue and leg.kind is not Kind.SPOT
        )


def _on_market(leg: LegFacts, message: Quote | Funding | InstrumentInfo, now: Now) -> None:
    match message:
        case Quote():
            leg.quote = Heard(message, _made_us(message.recv_us, now))
        case InstrumentInfo():
            leg.info = message
        case Funding(kind="current"):
            leg.funding = Heard(message, _made_us(message.recv_us, now))
            if message.mark is not None:
                leg.mark = Heard(message, _made_us(message.mark_us or message.recv_us, now))
                if message.source == "stream":
                    leg.mark_streamed_us = now.mono_us
        case _:
            pass


def _made_us(wall_us: int, now: Now) -> int:
    """Monotonic time at which something of that wall stamp was made; never later than now."""
    return now.mono_us - max(0, now.wall_us - wall_us)
