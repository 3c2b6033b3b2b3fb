"""What is due in market time on paper: funding by its prints, hourly interest, deliveries. Pure.

A print comes seconds or minutes after its instant. It is paid on what was held *then*: where a position has
changed since, on that figure, as a movement of cash of its own. The mark is the last one that was seen before
the instant (prints carry none), else the present one.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from libs.common.instant import MS_PER_HOUR, Now
from libs.common.messages import Funding, FundingHistory, Settlement
from libs.common.subjects import FUTURE, PERP
from libs.exchange.engine.commands import (
    AccrueInterest,
    Command,
    Deliver,
    Deposit,
    SetListing,
    SettleFunding,
    Withdraw,
)
from libs.exchange.engine.ledger import money
from libs.exchange.engine.state import ARITHMETIC
from libs.exchange.engine.types import ZERO, Listing, MarketStatus, PositionSide, Side
from libs.exchange.paper.listings import key_of, price_of
from libs.exchange.paper.reports import FUNDING_REF

if TYPE_CHECKING:
    from libs.exchange.paper.floor import Floor
    from libs.exchange.paper.pictures import Picture

SAME_PRINT_MS: Final = 600_000
"""Two stamps so close are one settlement said twice: the shortest interval is an hour."""


class Calendar:
    """Remembers up to when hours were charged, and the last settlement of each perpetual."""

    def __init__(
        self, *, since_ms: int, hourly_interest: Decimal, settled: dict[str, int] | None = None
    ) -> None:
        self.done_ms = since_ms
        self.settled = {} if settled is None else settled
        self._interest = hourly_interest
        self._ends: dict[str, int] = {}

    # --- hours and ends -----------------------------------------------------------------------------------

    def advance(self, floor: Floor, now: Now) -> None:
        """Do what is due in (done, now]: each full hour's interest, then the ends of dated futures."""
        since_ms, until_ms = self.done_ms, now.market_ms
        if until_ms <= since_ms:
            return
        self.done_ms = until_ms
        for hour in range(since_ms // MS_PER_HOUR + 1, until_ms // MS_PER_HOUR + 1):
            self._accrue(floor, hour * MS_PER_HOUR, now)
        for slug in [slug for slug, ends_ms in self._ends.items() if ends_ms <= until_ms]:
            self._deliver(floor, slug, now)

    def expect(self, listing: Listing) -> None:
        """A dated future ends at its expiry; what has ended, or has no end, is left alone."""
        if listing.kind is FUTURE and listing.expiry_ms and listing.status is not MarketStatus.DELISTED:
            self._ends[listing.symbol] = listing.expiry_ms

    def _accrue(self, floor: Floor, hour_ms: int, now: Now) -> None:
        if not self._interest:
            return
        owed = {
            asset
            for wallet in floor.layout.wallets
            for asset, balance in floor.engine.balances(wallet).items()
            if balance.borrowed > ZERO
        }
        at = replace(now, market_ms=hour_ms)
        for asset in sorted(owed):
            floor.tell(AccrueInterest(asset=asset, hourly_rate=self._interest, hour_ms=hour_ms), at)

    def _deliver(self, floor: Floor, slug: str, now: Now) -> None:
        """At the mark; the engine closes at the entry price where nobody has ever seen one."""
        ends_ms, listing = self._ends.pop(slug), floor.engine.listing(key_of(slug))
        price = floor.price(slug, now)
        ends: Command = SetListing(listing=replace(listing, status=MarketStatus.DELISTED))
        if price is not None:
            ends = Deliver(instrument=listing.key, price=price)
        floor.tell(ends, replace(now, market_ms=ends_ms))
        floor.instruments[slug] = replace(floor.instruments[slug], refused="delivered")

    # --- funding ------------------------------------------------------------------------------------------

    def on_print(self, floor: Floor, message: Funding, picture: Picture, now: Now) -> None:
        """Pay a settlement once; one that was paid already, or an earlier one, changes nothing."""
        item, at_ms = floor.contract(message.instrument), message.settled_ms
        last = self.settled.get(message.instrument)
        if item is None or item.kind is not PERP or at_ms is None or at_ms > now.market_ms:
            return
        if last is not None and at_ms < last + SAME_PRINT_MS:
            return
        told = None if message.mark is None else price_of(message.mark)
        if floor.listing(item.slug) is None:
            return
        mark = told or picture.mark_at(at_ms) or floor.price(item.slug, now)
        if mark is None:
            return  # without a price nothing was ever held
        self.settled[item.slug] = at_ms
        rate, key = Decimal(repr(message.rate)), key_of(item.slug)
        held, change = _held(floor, key), _change_since(floor, key, at_ms)
        at = replace(now, market_ms=at_ms)
        if not change:
            floor.tell(SettleFunding(instrument=key, rate=rate, mark=mark, settled_ms=at_ms), at)
            return
        with localcontext(ARITHMETIC):
            amount = money(-(held - change) * mark * rate)
        _pay(floor, amount, asset=item.settle, ref=f"{FUNDING_REF}{key}@{at_ms}", now=at)

    def on_history(self, floor: Floor, message: FundingHistory, picture: Picture, now: Now) -> None:
        """Settlements whose prints nobody heard (we were down): those after the first trade that is known."""
        if floor.contract(message.instrument) is None or floor.listing(message.instrument) is None:
            return
        fills = floor.engine.fills(floor.layout.contracts, key_of(message.instrument))
        for one in message.prints if fills else ():
            if one.settled_ms > fills[0].market_ms:
                self.on_print(floor, _print_of(message, one), picture, now)


def _print_of(history: FundingHistory, one: Settlement) -> Funding:
    return Funding(
        venue=history.venue,
        instrument=history.instrument,
        kind="settled",
        rate=one.rate,
        interval_hours=one.interval_hours,
        interval_source="settlements",
        settled_ms=one.settled_ms,
        ts_ms=one.settled_ms,
        recv_us=history.recv_us,
    )


def _held(floor: Floor, key: str) -> Decimal:
    """Signed base units, both sides of hedge mode together: payments are linear in them."""
    sides = (floor.engine.position(floor.layout.contracts, key, side) for side in PositionSide)
    return sum((one.position.quantity for one in sides if one is not None), ZERO)


def _change_since(floor: Floor, key: str, market_ms: int) -> Decimal:
    """By how much trades after an instant have moved what is held."""
    change = ZERO
    for fill in reversed(floor.engine.fills(floor.layout.contracts, key)):
        if fill.market_ms <= market_ms:
            break
        change += fill.quantity if fill.side is Side.BUY else -fill.quantity
    return change


def _pay(floor: Floor, amount: Decimal, *, asset: str, ref: str, now: Now) -> None:
    """Cash for a settlement whose position has changed meanwhile; what is not there any more is let go."""
    account = floor.layout.contracts
    due = amount if amount >= ZERO else -min(-amount, floor.engine.max_withdraw(account, asset))
    if due > ZERO:
        floor.tell(Deposit(account=account, asset=asset, amount=due, ref=ref), now)
    elif due < ZERO:
        floor.tell(Withdraw(account=account, asset=asset, amount=-due, ref=ref), now)
