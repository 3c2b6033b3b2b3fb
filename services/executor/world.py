"""What all pairs of an executor share and only read: prices, rules, permits, terms.

The actor keeps it current; a lane never changes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from libs.carry.gates_data import SETTLEMENT_GUARD_MS
from libs.carry.shrink import ALONE_AFTER_US, Collateral, Squeeze, after, collateral_of
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_HOUR, US_PER_SEC, Now
from libs.common.messages import Funding, InstrumentInfo, Quote
from libs.common.messages_exec import AccountStatus, Level
from libs.common.subjects import SPOT
from services.executor.events import AccountSeen, SetUpDone
from services.executor.lending import Claims
from services.executor.model import Side, State
from services.executor.permit import PermitView, scopes_of
from services.executor.setup import SetUps
from services.executor.sizing import Rules

if TYPE_CHECKING:
    from services.executor.lane import Lane

QUOTE_AGE_US_MAX: Final = 2 * US_PER_SEC
NEAR: Final = 0.05
"""Nearer to liquidation than this a pair is closed whether or not both venues answer."""

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


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """What an earlier life has known of an instrument (`recalled`)."""

    rules: Rules
    seen: Seen


class World:
    """Prices, rules and permits. Owned by the actor."""

    def __init__(
        self, config: Config, permits: PermitView, *, deployment: str, setups: SetUps | None = None
    ) -> None:
        """`setups` None: the accounts need no setting up."""
        self.config = config
        self.permits = permits
        self.deployment = deployment
        self.store_id = ""
        self.collar = Decimal(str(config.execution.collar_bps)) / 10_000
        self.lanes: Mapping[str, Lane] = {}  # all pairs of this executor, read only
        self.quotes: dict[Key, Seen] = {}
        self._mids: dict[Key, tuple[Seen, Decimal]] = {}  # of those quotes, as far as they were asked for
        self.marks: dict[Key, Decimal] = {}
        self.marked: dict[Key, tuple[Decimal, int]] = {}  # the newest mark of anybody, and when (monotonic)
        self.claims = Claims()
        self.rules: dict[Key, Rules] = {}
        self.recalled: dict[Key, Recalled] = {}
        self.settles: dict[Key, tuple[int, int]] = {}  # contract -> next settlement, interval (market ms)
        self.setups = setups
        self._infos: dict[Key, InstrumentInfo] = {}
        self._taker: dict[Key, Decimal] = {}
        self._saves: dict[Key, Decimal] = {}
        self.collateral: dict[Key, Collateral] = {}
        self.squeezes: dict[Key, Squeeze] = {}
        self._began_us: int | None = None
        self.distances: dict[str, float] = {}
        self.unread: dict[str, str] = {}  # venue -> why its account is not known now
        self.leaving = False
        self.unpermitted_us: int | None = None  # since when no permit holds, and whether a person knows
        self.unpermitted_told = False
        self.reserved_else: dict[str, str] = {}  # pair that is not in this config -> what it has reserved
        self.scarce = ""  # why the store has no room for another position
        self.store_away = ""  # why it takes no write
        self.bad_key = ""  # why an API key is not to be used any more
        self.no_room, self.no_room_until_us = "", 0  # a limit that the store has held against an opening

    def on_quote(self, quote: Quote, now: Now) -> None:
        """Take a quote over; crossed or empty ones never get here (the feed's work)."""
        self.quotes[quote.venue, quote.instrument] = Seen(
            bid=exact(quote.bid),
            ask=exact(quote.ask),
            bid_size=exact(quote.bid_size),
            ask_size=exact(quote.ask_size),
            mono_us=now.mono_us - max(0, now.wall_us - quote.recv_us),
        )

    def on_funding(self, funding: Funding, now: Now) -> None:
        """A mark, and when the contract settles next."""
        key = (funding.venue, funding.instrument)
        if funding.mark is not None:
            self.marks[key] = exact(funding.mark)
            age_us = max(0, now.wall_us - (funding.mark_us or funding.recv_us))
            self._mark(key, self.marks[key], now.mono_us - age_us)
        if funding.kind == "current" and funding.next_ms is not None:
            self.settles[key] = (funding.next_ms, int(funding.interval_hours * MS_PER_HOUR))

    def on_look(self, seen: AccountSeen) -> None:
        """The marks of the account's own positions: they come also while the feed is silent."""
        for one in seen.positions:
            if one.mark is not None and one.mark > 0:
                self._mark((seen.venue, one.instrument), one.mark, seen.asked_mono_us)

    def _mark(self, key: Key, mark: Decimal, mono_us: int) -> None:
        if key not in self.marked or self.marked[key][1] <= mono_us:
            self.marked[key] = (mark, mono_us)

    def near_settlement(self, keys: Iterable[Key], now: Now) -> str:
        """Why nothing is opened so near to a settlement of one of these contracts, in words (market time)."""
        for key in keys:
            next_ms, interval_ms = self.settles.get(key, (0, 0))
            for settles_ms in (next_ms, next_ms - interval_ms) if next_ms else ():
                to_go_ms = settles_ms - now.market_ms
                if -SETTLEMENT_GUARD_MS < to_go_ms <= SETTLEMENT_GUARD_MS:
                    when = f"in {to_go_ms / 1000:.0f} s" if to_go_ms > 0 else f"{-to_go_ms / 1000:.0f} s ago"
                    return f"{key[0]} {key[1]} settles {when}: it is opened 60 s away from that"
        return ""

    def on_info(self, info: InstrumentInfo) -> None:
        """An instrument is described, or described anew."""
        key = (info.venue, info.instrument)
        self._infos[key] = info
        self.rules[key] = rules_of(info, taker=self._taker.get(key))

    def on_set_up(self, key: Key, said: SetUpDone | None, error: str) -> None:
        """What has become of a `SetUp`; the account's own fee takes the place of the listed one."""
        if self.setups is None:
            return
        if said is None:
            self.setups.failed(key, error)
            return
        self.setups.done(key, said)
        if said.fees is not None:
            self._taker[key] = said.fees.taker
            self._saves[key] = said.fees.taker - said.fees.maker
            if key in self._infos:
                self.on_info(self._infos[key])

    def want_set_up(self, keys: Iterable[Key]) -> None:
        """A pair with these legs is to be opened: its accounts are set up before those of others."""
        if self.setups is not None:
            self.setups.want(keys)

    def why_not_set_up(self, keys: Iterable[Key]) -> str:
        """Why the accounts behind these legs are not ready for an opening; empty when they are."""
        return "" if self.setups is None else self.setups.why_not(keys)

    def on_account(self, status: AccountStatus, now: Now) -> None:
        """What the executor tells of an account; collateral that gets short shrinks pairs."""
        if status.liquidation_distance is not None:
            self.distances[status.venue] = status.liquidation_distance
        elif status.trusted:
            self.distances.pop(status.venue, None)
        self.unread.pop(status.venue, None)
        if not status.trusted:
            why = "; ".join(status.problems) or "no answer"
            self.unread[status.venue] = f"{status.venue} cannot be read now: {why}"
        for key in {key for lane in self.lanes.values() for key in lane.keys if key[0] == status.venue}:
            if status.trusted:
                self.collateral[key] = collateral_of(status, {key[1]}, self._borrowed(key))
                before = self.squeezes.get(key, Squeeze())
                self.squeezes[key] = after(before, self.collateral[key], now.mono_us)

    def _borrowed(self, key: Key) -> frozenset[str]:
        """The coin of a spot leg that some pair here has borrowed."""
        legs = (leg for lane in self.lanes.values() for leg in lane.state.legs)
        owes = any(leg.borrowed and (leg.venue, leg.instrument) == key for leg in legs)
        return frozenset({key[1].split("-", 1)[0]} if owes else ())

    def is_alone(self, now: Now) -> bool:
        """Whether permits have been missing for so long that the executor looks after collateral itself."""
        if self._began_us is None:
            self._began_us = now.mono_us
        age_us = self.permits.age_us(now)
        return (now.mono_us - self._began_us if age_us is None else age_us) >= ALONE_AFTER_US

    def allowed(self, pair: str, keys: Iterable[Key], now: Now) -> tuple[Decimal, str]:
        """The share of its size that a pair may keep, and who says so: the last permit, and without permits
        the same function of our own looks, whichever is less.
        """
        told = exact(self.permits.max_ratio(pair))
        if self.is_alone(now):
            own = min((self.squeezes.get(key, Squeeze()).share for key in keys), default=Decimal(1))
            if own < told:
                return own, "without risk the collateral allows"
        return told, "risk allows"

    def exhausted(self, keys: Iterable[Key], now: Now) -> str:
        """Why, without risk, a pair is to be closed by force: its collateral is used up. Empty otherwise."""
        if not self.is_alone(now):
            return ""
        worst = next((key for key in keys if self.collateral.get(key, Collateral()).is_exhausted), None)
        return "" if worst is None else f"without risk: the collateral of {worst[1]} at {worst[0]} is used up"

    def is_near(self, keys: Collection[Key]) -> bool:
        """Whether a position at one of these venues, or a loan of these legs, is about to be liquidated, as
        last told.
        """
        told = (self.collateral[key].distance for key in keys if key in self.collateral)
        return any(one is not None and one < NEAR for one in told) or any(
            self.distances.get(venue, 1.0) < NEAR for venue, _ in keys
        )

    def forbidden(self, pair: str, keys: tuple[Key, Key], now: Now) -> str:
        """Why nothing of a pair may increase now, by risk's word above all; the gate asks that again."""
        if self.leaving or self.scarce or self.bad_key:
            return self.scarce or self.bad_key or "this executor is leaving"
        if unread := next((self.unread[venue] for venue, _ in keys if venue in self.unread), ""):
            return unread
        if stale := self.permits.stale_reason(now):
            return stale
        if held_down := self._held_down(pair, keys, now):
            return held_down
        stuck = (
            one.pair for one in self.lanes.values() if one.state.halts and one.state.state is State.STUCK
        )
        halted = next((f"{name} is stuck: nothing is opened until a person has looked" for name in stuck), "")
        if not self.describes(keys):
            return "the instruments are not described yet"
        return halted or self.why_not_set_up(keys)  # an opening that a restart has cut off goes on only then

    def taker(self, key: Key) -> Decimal | None:
        """The account's taker fee, a fraction, else the listed one; None where neither is known."""
        info = self._infos.get(key)
        listed = None if info is None or info.taker is None else exact(info.taker)
        return self._taker.get(key, listed)

    def maker_saves(self, key: Key) -> Decimal:
        """What a maker pays less than a taker, a fraction: the account's own fees, else the listed ones."""
        info = self._infos.get(key)
        if key in self._saves or info is None or info.taker is None or info.maker is None:
            return self._saves.get(key, Decimal(0))
        return exact(info.taker) - exact(info.maker)

    def price(self, key: Key, side: Side) -> Decimal | None:
        """The last price that an order of this side would take, whatever its age; else the mark."""
        seen = self.seen(key)
        return seen.best(side) if seen is not None else self.marks.get(key)

    def seen(self, key: Key) -> Seen | None:
        """The last quote; without one and without a mark what an earlier life has seen."""
        recalled = None if key in self.quotes or key in self.marks else self.recalled.get(key)
        return self.quotes.get(key) if recalled is None else recalled.seen

    def sizing_rules(self, key: Key) -> Rules | None:
        """The instrument's filters, else those that an earlier life has known."""
        recalled = self.recalled.get(key)
        return self.rules.get(key) or (None if recalled is None else recalled.rules)

    def sizing_mid(self, key: Key) -> Decimal | None:
        """What an order is sized by: the last mid, else the one that an earlier life has seen."""
        mid, seen = self.mid(key), self.seen(key)
        return seen.mid if mid is None and seen is not None else mid

    def mid(self, key: Key) -> Decimal | None:
        """The last mid, whatever its age; else the mark."""
        seen = self.quotes.get(key)
        if seen is None:
            return self.marks.get(key)
        known = self._mids.get(key)
        if known is None or known[0] is not seen:
            known = self._mids[key] = (seen, seen.mid)
        return known[1]

    def _held_down(self, pair: str, keys: tuple[Key, Key], now: Now) -> str:
        """By risk's level, by a person, or by short collateral."""
        breaker, lane = self.permits.strictest(scopes_of(pair, keys)), self.lanes.get(pair)
        if breaker is not None and breaker.level is not Level.NORMAL:
            return f"{breaker.scope} is {breaker.level}: {breaker.reason}"
        if lane is not None and lane.state.flattened:
            return f"{lane.state.flattened}: `fundarb reset` ends it"
        if lane is not None and lane.state.forced:
            return lane.state.forced
        ratio, who = self.allowed(pair, keys, now)
        return f"{who} {ratio:.0%} of its size" if ratio < 1 else ""

    def describes(self, keys: Iterable[Key]) -> bool:
        """Whether the feed has told steps, minimums and a price of these to this life of the executor."""
        return all(key in self.rules and self.mid(key) is not None for key in keys)

    def fresh(self, key: Key, now: Now) -> bool:
        """Whether the quote is young enough to open on."""
        seen = self.quotes.get(key)
        return seen is not None and now.mono_us - seen.mono_us <= QUOTE_AGE_US_MAX

    def is_old(self, key: Key, now: Now) -> bool:
        """Whether a quote was seen, and has become too old to go by alone (`old_prices`)."""
        return self.seen(key) is not None and not self.fresh(key, now)


def exact(value: float) -> Decimal:
    """The shortest decimal that means this float: observations become prices by their digits."""
    return Decimal(repr(value))


def rules_of(info: InstrumentInfo, *, taker: Decimal | None = None) -> Rules:
    """An instrument's filters as Decimals; a spot buy is taken to lose the taker fee in base.

    `taker`: what the account really pays; the listed rate where that is not known.
    """

    def number(text: str | None, default: str) -> Decimal:
        return Decimal(text if text is not None else default)

    listed = Decimal(str(info.taker or 0)) if taker is None else taker
    fee = listed if info.kind is SPOT else Decimal(0)
    return Rules(
        kind=info.kind,
        base=info.base,
        quote=info.quote,
        settle=info.settle,
        step=number(info.quantity_step, "1e-18"),
        tick=number(info.price_tick, "1e-18"),
        quantity_min=number(info.quantity_min, "0"),
        quantity_max=None if info.quantity_max is None else Decimal(info.quantity_max),
        market_quantity_max=None if info.market_quantity_max is None else Decimal(info.market_quantity_max),
        notional_min=number(info.notional_min, "0"),
        base_fee=max(Decimal(0), fee),
        shortable=info.shortable,
        refused=info.refused or "",
    )
