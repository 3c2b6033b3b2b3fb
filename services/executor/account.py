"""An account as its venue shows it: what is published of it, and what the books compare. Pure.

margin ratio = maintenance margin / equity of the wallet that contracts draw on; liquidation distance = the
least |mark - liquidation price| / mark of its positions; owned = total - borrowed - interest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from libs.carry.identity import Explained, in_usd
from libs.carry.pnl import EXACT, Key, NoPrice
from libs.common.instant import Now
from libs.common.messages_exec import AccountBalance, AccountFees, AccountPosition, AccountStatus
from libs.common.subjects import SPOT, kind_of, slug
from libs.exchange.trading_values import BalanceReport, FeeRates, PositionReport
from services.executor.events import AccountSeen
from services.executor.ledger import usd_price
from services.executor.model import ZERO
from services.executor.reach import Reach
from services.executor.world import World

RUINED: Final = 1e6
"""The margin ratio of positions that nothing backs: JSON has no infinity."""

_CONTRACT_WALLETS: Final = ("futures", "unified")


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What the books compare: units by asset (unrealised profit included), marks and sizes of contracts.

    `split`: several wallets, all of them looked at.
    """

    venue: str
    units: dict[str, Decimal]
    marks: dict[Key, Decimal]
    still: tuple[tuple[str, Decimal], ...]
    split: bool
    asked_us: int

    def is_as(self, other: Look) -> bool:
        """Whether nothing has moved in between: balances and sizes, not what marks make of them."""
        return self.still == other.still


def look_of(seen: AccountSeen, world: World) -> Look:
    """The account for the equity identity."""
    units: dict[str, Decimal] = {}
    marks: dict[Key, Decimal] = {}
    still: list[tuple[str, Decimal]] = []
    with localcontext(EXACT):
        for one in seen.balances:
            asset = slug(one.asset)
            owned = one.total - one.borrowed - one.interest
            units[asset] = units.get(asset, ZERO) + owned
            still.append((f"{one.wallet} {asset}", owned))
        for position in seen.positions:
            key = (seen.venue, position.instrument)
            still.append((position.instrument, position.quantity))
            mark = position.mark or world.marks.get(key) or world.mid(key)
            profit = _unrealised(position, mark)
            asset = settles_in(world, key)
            units[asset] = units.get(asset, ZERO) + profit
            if mark is not None:
                marks[key] = mark
    return Look(
        venue=seen.venue,
        units=units,
        marks=marks,
        still=tuple(sorted(still)),
        split=len({one.wallet for one in seen.balances}) > 1,
        asked_us=seen.asked_mono_us,
    )


def valued(explained: Explained, look: Look, world: World, keys: Iterable[Key]) -> dict[str, Decimal] | None:
    """What the lines say by asset, at the marks of a look; a contract that they hold and the venue does not
    show at its mid. None while that is not known: nothing can be compared.
    """
    mids = {key: mid for key in keys if (mid := world.mid(key)) is not None}
    for prices in (look.marks, {**mids, **look.marks}):
        try:
            return explained.units(look.venue, prices)
        except NoPrice:
            continue
    return None


def differing(explained: Explained, look: Look, keys: Iterable[Key]) -> frozenset[Key]:
    """Contracts of which the venue does not show what the lines add up to."""
    sizes = dict(look.still)
    return frozenset(
        (venue, name)
        for venue, name in keys
        if kind_of(name) is not SPOT
        and sizes.get(name, ZERO) != getattr(explained.contracts.get(name), "quantity", ZERO)
    )


def settles_in(world: World, key: Key) -> str:
    """What a contract pays its profit in, slugged."""
    rules = world.rules.get(key)
    return slug(rules.settle) if rules is not None else key[1].split("-")[1]


def prices_of(world: World, venue: str, assets: Iterable[str]) -> dict[str, Decimal]:
    """USD price of each asset that has one here."""
    found = {asset: usd_price(world, venue, asset) for asset in assets}
    return {asset: price for asset, price in found.items() if price is not None}


def status_of(
    seen: AccountSeen,
    world: World,
    *,
    rates: Mapping[str, FeeRates],
    borrow_daily: Mapping[str, float],
    reach: Reach,
    problems: tuple[str, ...] = (),
    trusted: bool = True,
    unexplained: Decimal | None = None,
    now: Now,
) -> AccountStatus:
    """The account for risk and signal. Coins without a price are no part of the equity, and are named."""
    look = look_of(seen, world)
    equity, unpriced = in_usd(look.units, prices_of(world, seen.venue, look.units))
    if unpriced:
        problems = (*problems, f"no price for {', '.join(unpriced)}: not in the equity")
    return AccountStatus(
        venue=seen.venue,
        balances=tuple(_balance(one, world, seen.venue) for one in seen.balances),
        positions=tuple(_position(one, world, seen.venue) for one in seen.positions),
        equity_usd=float(equity),
        margin_ratio=margin_ratio(seen, equity),
        liquidation_distance=min(_distances(seen.positions), default=None),
        fees=tuple(
            AccountFees(instrument=name, maker=float(rate.maker), taker=float(rate.taker))
            for name, rate in sorted(rates.items())
        ),
        borrow_daily=dict(borrow_daily),
        clock_offset_ms=reach.clock_offset_ms,
        calls=reach.calls,
        calls_failed=reach.failed,
        call_p99_ms=reach.p99_ms,
        problems=problems,
        trusted=trusted,
        unexplained_usd=None if unexplained is None else float(unexplained),
        wall_us=now.wall_us,
    )


def margin_ratio(seen: AccountSeen, equity: Decimal) -> float | None:
    """Maintenance / equity of the contracts' wallet; 0 without positions, None when a venue tells no
    maintenance. In a unified account all of its coins back the positions.
    """
    if not seen.positions:
        return 0.0
    if any(one.maintenance is None for one in seen.positions):
        return None
    with localcontext(EXACT):
        maintenance = sum((one.maintenance or ZERO for one in seen.positions), ZERO)
        backing = equity
        if not any(one.wallet == "unified" for one in seen.balances):
            wallet = (one.total for one in seen.balances if one.wallet in _CONTRACT_WALLETS)
            profit = (_unrealised(one, one.mark) for one in seen.positions)
            backing = sum(wallet, ZERO) + sum(profit, ZERO)
    return float(maintenance / backing) if backing > 0 else RUINED


def _distances(positions: Iterable[PositionReport]) -> list[float]:
    return [
        float(abs(one.mark - one.liquidation_price) / one.mark)
        for one in positions
        if one.mark and one.liquidation_price is not None
    ]


def _unrealised(position: PositionReport, mark: Decimal | None) -> Decimal:
    """As the venue says; by entry price and mark where it does not."""
    if position.unrealised is not None:
        return position.unrealised
    if mark is None or position.entry_price is None:
        return ZERO
    return position.quantity * (mark - position.entry_price)


def _balance(one: BalanceReport, world: World, venue: str) -> AccountBalance:
    price = usd_price(world, venue, one.asset)
    owned = one.total - one.borrowed - one.interest
    return AccountBalance(
        wallet=one.wallet,
        asset=one.asset,
        total=one.total,
        free=one.free,
        borrowed=one.borrowed,
        interest=one.interest,
        usd=None if price is None else float(owned * price),
    )


def _position(one: PositionReport, world: World, venue: str) -> AccountPosition:
    mark = one.mark or world.marks.get((venue, one.instrument))
    return AccountPosition(
        instrument=one.instrument,
        quantity=one.quantity,
        entry_price=one.entry_price,
        mark=None if mark is None else float(mark),
        leverage=one.leverage,
        liquidation_price=None if one.liquidation_price is None else float(one.liquidation_price),
        margin_mode="" if one.margin_mode is None else one.margin_mode.value,
    )
