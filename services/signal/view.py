"""The market as signal sees it: the newest of everything that `md.>` said, and how old it is.

Pure. Slow work (a pair's settled carry, a book's depth) is done when its input arrives, so that a tick
costs one evaluation and no more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from libs.carry.ages import HOT_QUOTE_AGE_MAX_SEC, standing_quote_age_sec
from libs.carry.case import LegInput, PairTerms, mark_age_max_sec, pair_terms, quote_age_max_sec
from libs.carry.costs import NO_RATES, AccountRates, leg_terms, rates_apart
from libs.carry.evaluate import SettledCarry, depth_of, settled_carry, settled_once, settled_samples
from libs.carry.slippage import Depth
from libs.common.config.legs import Leg, PairSpec
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_DAY, US_PER_SEC, Now
from libs.common.messages import (
    Book,
    Funding,
    FundingHistory,
    InstrumentInfo,
    Message,
    Quote,
    Settlement,
    VenueHealth,
)
from libs.common.messages_exec import AccountStatus
from libs.common.subjects import Kind, slug

LegKey = tuple[str, str]  # venue slug, instrument slug

# A frame that comes each few seconds is a stream's; slower ones are polls.
BOOK_INTERVALS: Final = 3.0
BOOK_AGE_MIN_SEC: Final = 30.0
HISTORY_DAYS: Final = 31.0  # thirty for the mean, one for the slower leg's window


class LegState:
    """What is known of one leg."""

    __slots__ = (
        "book",
        "depth",
        "funding",
        "info",
        "leg",
        "mark_streamed_us",
        "mark_us",
        "prints",
        "quote",
        "told",
    )

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.quote: Quote | None = None
        self.book: Book | None = None
        self.depth: Depth | None = None
        self.funding: Funding | None = None
        self.info: InstrumentInfo | None = None
        self.mark_us: int | None = None
        self.mark_streamed_us: int | None = None
        self.prints: tuple[Settlement, ...] = ()
        self.told = False  # a history has come, be it an empty one


def age_sec(recv_us: int, now: Now) -> float:
    """Wall-clock age in seconds, 0 for what a clock slightly ahead of ours has stamped."""
    return max(0.0, (now.wall_us - recv_us) / US_PER_SEC)


class MarketView:
    """Built from a config's pairs; `apply` takes messages, the rest answers questions."""

    def __init__(self, config: Config, specs: Iterable[PairSpec]) -> None:
        self.config = config
        self.specs: dict[str, PairSpec] = {spec.id: spec for spec in specs}
        self.terms: dict[str, PairTerms] = {spec.id: _terms_of(config, spec) for spec in self.specs.values()}
        self.legs: dict[LegKey, LegState] = {}
        self._pairs_of: dict[LegKey, tuple[str, ...]] = {}
        self._pairs_at: dict[str, tuple[str, ...]] = {}
        for spec in self.specs.values():
            for leg in spec.legs:
                key = (leg.venue, leg.instrument)
                self.legs.setdefault(key, LegState(leg))
                self._pairs_of[key] = (*self._pairs_of.get(key, ()), spec.id)
                if spec.id not in self._pairs_at.get(leg.venue, ()):
                    self._pairs_at[leg.venue] = (*self._pairs_at.get(leg.venue, ()), spec.id)
        self._health: dict[str, VenueHealth] = {}
        self._barred: dict[LegKey | str, str] = {}
        self._settled: dict[str, SettledCarry | None] = {}
        self._rates: dict[LegKey, AccountRates] = {}
        self.rates_apart: dict[str, str] = {}  # pair -> where its account's rates differ from the config's

    # --- what comes in --------------------------------------------------------------------------

    def apply(self, message: Message) -> tuple[str, ...]:
        """Take a message in; answers the pairs whose figures it may have changed."""
        match message:
            case VenueHealth():
                return self._on_health(message)
            case AccountStatus():
                return self._on_account(message)
            case Quote() | Book() | Funding() | FundingHistory() | InstrumentInfo():
                state = self.legs.get((message.venue, message.instrument))
                if state is None or not self._take(state, message):
                    return ()
                return self._pairs_of[message.venue, message.instrument]
            case _:
                return ()

    def _take(
        self, state: LegState, message: Quote | Book | Funding | FundingHistory | InstrumentInfo
    ) -> bool:
        """Whether anything changed."""
        match message:
            case Quote():
                state.quote = message
            case Book():
                state.book = message
                state.depth = depth_of(message.bids, message.asks, self.config.position.notional_usd)
            case Funding():
                return self._on_funding(state, message)
            case FundingHistory():
                state.told = True
                return self._add_prints(state, message.prints)
            case InstrumentInfo():
                if state.info is not None and _same_facts(state.info, message):
                    return False
                state.info = message
        return True

    def _on_funding(self, state: LegState, message: Funding) -> bool:
        """A settled print joins the history; a current rate replaces the former one."""
        if message.kind == "settled":
            if message.settled_ms is None:
                return False
            settled = Settlement(
                settled_ms=message.settled_ms, rate=message.rate, interval_hours=message.interval_hours
            )
            return self._add_prints(state, (settled,))
        state.funding = message
        if message.mark is not None:
            state.mark_us = message.recv_us if message.mark_us is None else message.mark_us
            if message.source == "stream":
                state.mark_streamed_us = message.recv_us
        return True

    def _add_prints(self, state: LegState, prints: tuple[Settlement, ...]) -> bool:
        """Each print once; what was told again changes nothing and costs nothing."""
        known = set(state.prints)
        if all(settled in known for settled in prints):
            return False
        merged = settled_once((*state.prints, *prints))
        since_ms = merged[-1].settled_ms - HISTORY_DAYS * MS_PER_DAY
        state.prints = tuple(settled for settled in merged if settled.settled_ms > since_ms)
        for pair in self._pairs_of[state.leg.venue, state.leg.instrument]:
            self._settled.pop(pair, None)
        return True

    def _on_health(self, health: VenueHealth) -> tuple[str, ...]:
        former = self._health.get(health.venue)
        self._health[health.venue] = health
        if former is not None and former.quarantined == health.quarantined:
            return ()
        stale = [key for key in self._barred if key == health.venue or key[0] == health.venue]
        for key in stale:
            del self._barred[key]
        for barred in health.quarantined:
            where = health.venue if barred.instrument is None else (health.venue, barred.instrument)
            self._barred[where] = f"{barred.reason}: {barred.text}"
        return self._pairs_at.get(health.venue, ())

    def _on_account(self, account: AccountStatus) -> tuple[str, ...]:
        """What the account really pays comes before `costs.*`; what it does not tell stays as it was."""
        fees = {fee.instrument: fee for fee in account.fees}
        borrow = {slug(asset): rate for asset, rate in account.borrow_daily.items()}
        changed: set[str] = set()
        for key, state in self.legs.items():
            if key[0] != account.venue:
                continue
            former = self._rates.get(key, NO_RATES)
            fee = fees.get(state.leg.instrument)
            lent = borrow.get(state.leg.instrument.split("-", 1)[0]) if state.leg.kind is Kind.SPOT else None
            rates = believable(
                former,
                taker=former.taker if fee is None else fee.taker,
                maker=former.maker if fee is None else fee.maker,
                borrow_daily=former.borrow_daily if lent is None else lent,
            )
            if rates != former:
                self._rates[key] = rates
                changed.update(self._pairs_of[key])
        for pair in changed:
            self._price(pair)
        return tuple(sorted(changed))

    def _price(self, pair: str) -> None:
        """A pair's terms anew, and what of them is not as configured."""
        spec, costs = self.specs[pair], self.config.costs
        found, apart = [], []
        for leg in spec.legs:
            rates = self._rates.get((leg.venue, leg.instrument), NO_RATES)
            found.append(leg_terms(costs, leg.venue, leg.kind, rates))
            if text := rates_apart(costs, leg.venue, leg.kind, rates):
                apart.append(f"{leg.venue} {leg.instrument}: {text}")
        self.terms[pair] = msgspec.structs.replace(self.terms[pair], first=found[0], second=found[1])
        self.rates_apart[pair] = "; ".join(apart)

    def reload(self, config: Config) -> None:
        """Terms by a config of the same pairs; what accounts really pay still comes first."""
        self.config = config
        for pair, spec in self.specs.items():
            self.terms[pair] = _terms_of(config, spec)
            self._price(pair)

    # --- what is asked --------------------------------------------------------------------------

    def venue_health(self, venue: str) -> VenueHealth | None:
        """The newest word on a venue."""
        return self._health.get(venue)

    def prints(self, leg: Leg) -> tuple[Settlement, ...] | None:
        """Settled prints of a leg, None for one that pays no funding."""
        return self.legs[leg.venue, leg.instrument].prints if leg.kind is Kind.PERP else None

    def settled(self, pair: str) -> SettledCarry | None:
        """Settled carry, long the first and short the second leg; worked out when a print has come."""
        if pair not in self._settled:
            spec = self.specs[pair]
            samples = settled_samples(self.prints(spec.first), self.prints(spec.second))
            self._settled[pair] = settled_carry(samples)
        return self._settled[pair]

    def missing(self) -> frozenset[str]:
        """Which slow state has not come yet, as `sys.want` names it."""
        wanted = set()
        for state in self.legs.values():
            if state.info is None:
                wanted.add("instruments")
            elif state.leg.kind is Kind.PERP and state.info.refused is None and not state.told:
                wanted.add("history")
        return frozenset(wanted)

    def leg_input(self, leg: Leg, now: Now, *, hot: bool = False) -> LegInput:
        """A leg for `evaluate`, with its ages at `now`. `hot`: polled each second, and judged by that."""
        state = self.legs[leg.venue, leg.instrument]
        quote, funding, info = state.quote, state.funding, state.info
        perp = leg.kind is Kind.PERP
        interval_sec = self.config.monitor.interval_sec
        quote_max_sec = quote_age_max_sec(quote.source, interval_sec) if quote else 0.0
        return LegInput(
            venue=leg.venue,
            instrument=leg.instrument,
            kind=leg.kind,
            bid=quote.bid if quote else None,
            ask=quote.ask if quote else None,
            rate=funding.rate if funding and perp else None,
            interval_hours=funding.interval_hours if funding and perp else None,
            next_ms=self._next_ms(state) if perp else None,
            depth=self._depth(state, now),
            described=info is not None,
            base=info.base if info else "",
            quote=info.quote if info else "",
            settle=info.settle if info else "",
            expiry_ms=info.expiry_ms if info else None,
            shortable=info.shortable if info else True,
            refused=info.refused if info else None,
            quarantine=self._barred.get(leg.venue) or self._barred.get((leg.venue, leg.instrument)),
            notional_min=_number(info.notional_min) if info else None,
            quantity_min=_number(info.quantity_min) if info else None,
            quote_age_sec=self._quote_age_sec(quote, now) if quote else None,
            quote_age_max_sec=min(quote_max_sec, HOT_QUOTE_AGE_MAX_SEC) if hot else quote_max_sec,
            funding_age_sec=age_sec(funding.recv_us, now) if funding and perp else None,
            mark_age_sec=age_sec(state.mark_us, now) if state.mark_us is not None else None,
            mark_age_max_sec=mark_age_max_sec(interval_sec, streamed=self._mark_streams(state, now)),
        )

    def _quote_age_sec(self, quote: Quote, now: Now) -> float:
        """A quiet symbol is not a stale one (`libs.carry.ages`)."""
        own = age_sec(quote.recv_us, now)
        health = self._health.get(quote.venue)
        if health is None or not health.connected or quote.source != "stream":
            return own
        told = health.ages_sec.get("quote")
        venue_sec = None if told is None else told + age_sec(health.recv_us, now)
        return standing_quote_age_sec(own, venue_sec, poll_interval_sec=self.config.monitor.interval_sec)

    def _mark_streams(self, state: LegState, now: Now) -> bool:
        """A stream counts as one for as long as polled marks would be allowed to be old; then polls do."""
        if state.mark_streamed_us is None:
            return False
        polled_max_sec = mark_age_max_sec(self.config.monitor.interval_sec, streamed=False)
        return age_sec(state.mark_streamed_us, now) <= polled_max_sec

    def _next_ms(self, state: LegState) -> int | None:
        """The next settlement as the venue says, else one interval after the last print."""
        if state.funding is None or state.funding.next_ms is not None:
            return state.funding.next_ms if state.funding else None
        if not state.prints:
            return None
        return state.prints[-1].settled_ms + int(state.funding.interval_hours * 3_600_000)

    def _depth(self, state: LegState, now: Now) -> Depth | None:
        """Depth from a book that is not older than three of its polls; an old one says nothing."""
        if state.book is None:
            return None
        limit = max(BOOK_AGE_MIN_SEC, BOOK_INTERVALS * self.config.monitor.book_interval_sec)
        return state.depth if age_sec(state.book.recv_us, now) <= limit else None


def believable(former: AccountRates, **told: float | None) -> AccountRates:
    """An account's rates as told, or as they were when no account pays so much (a mistake of units)."""
    try:
        return AccountRates(**told)
    except ValueError:
        return former


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _same_facts(one: InstrumentInfo, other: InstrumentInfo) -> bool:
    """Equal but for the time of arrival: the slow state is said again and again."""
    return all(
        getattr(one, name) == getattr(other, name) for name in one.__struct_fields__ if name != "recv_us"
    )


def _terms_of(config: Config, spec: PairSpec) -> PairTerms:
    return pair_terms(
        config,
        pair=spec.id,
        symbol=spec.symbol,
        first=(spec.first.venue, spec.first.kind),
        second=(spec.second.venue, spec.second.kind),
    )
