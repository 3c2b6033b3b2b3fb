"""The equity identity, per venue and asset: what an account's balances did, and which lines explain it.

    d(balance) = fills + fees + funding + interest + transfers          in the asset's own units
    residual   = what the account shows - opening - what the lines say  # 0, or something was not booked

A contract moves no coins but its value: quantity * mark less what its fills have cost, in what it settles in.
So balances are taken together with the venue's own unrealised profit, and both sides use the same marks. The
user's own coins are in the opening; what their prices do is nobody's profit here, and neither is what the
price of a coin did after it was paid as a fee.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from libs.carry.pnl import EXACT, ZERO, NoPrice, Prices
from libs.common.messages_exec import LedgerKind, LedgerLine
from libs.common.subjects import SPOT, kind_of, pair_stem, slug

USD_COINS: Final = frozenset({"USD", "USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDE", "USD1", "DAI"})
"""Counted as one USD each: the books are in the quote currency of the pairs."""

Units = Mapping[str, Decimal]
"""Asset (slugged) -> units."""


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """All our fills of one contract: signed quantity, and what they cost (< 0: paid) in `asset`."""

    asset: str
    quantity: Decimal = ZERO
    cash: Decimal = ZERO


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """What the lines of one venue say: `coins` asset -> units, contracts by instrument.

    `outside`: USD value, when booked, of deposits less withdrawals.
    """

    coins: dict[str, Decimal] = {}
    contracts: dict[str, Contract] = {}
    outside: Decimal = ZERO

    def units(self, venue: str, marks: Prices) -> dict[str, Decimal]:
        """Asset -> what it should have changed by. Raises `NoPrice` for an open contract without a mark."""
        with localcontext(EXACT):
            found = dict(self.coins)
            for name, contract in self.contracts.items():
                value = contract.cash
                if contract.quantity:
                    mark = marks.get((venue, name))
                    if mark is None:
                        raise NoPrice(f"{venue} {name}")
                    value += contract.quantity * mark
                found[contract.asset] = found.get(contract.asset, ZERO) + value
            return found


def explain(before: Explained, line: LedgerLine) -> Explained:
    """With one more line. A transfer between wallets that are both looked at (`internal`) moves nothing."""
    if line.kind is LedgerKind.TRANSFER and line.purpose == "internal":
        return before
    with localcontext(EXACT):
        if line.kind is LedgerKind.FILL and kind_of(line.instrument) is not SPOT:
            return _contract(before, line)
        coins = dict(before.coins)
        _move(coins, slug(line.asset), line.amount)
        if line.kind is LedgerKind.FILL:
            _move(coins, pair_stem(line.instrument).split("-")[0], line.quantity or ZERO)
        outside = before.outside
        if is_outside(line):
            outside += line.usd
        return msgspec.structs.replace(before, coins=coins, outside=outside)


def is_outside(line: LedgerLine) -> bool:
    """Whether a line moves money to or from outside of what is looked at."""
    match line.kind:
        case LedgerKind.DEPOSIT | LedgerKind.WITHDRAWAL | LedgerKind.OTHER:
            return True
        case LedgerKind.TRANSFER:
            return not line.pair and line.purpose != "internal"
        case _:
            return False


def residuals(seen: Units, opening: Units, explained: Units) -> dict[str, Decimal]:
    """Asset -> units that no line explains; only those that are not 0."""
    with localcontext(EXACT):
        left = {
            asset: seen.get(asset, ZERO) - opening.get(asset, ZERO) - explained.get(asset, ZERO)
            for asset in sorted({*seen, *opening, *explained})
        }
    return {asset: units for asset, units in left.items() if units}


def opening_of(seen: Units, explained: Units) -> dict[str, Decimal]:
    """What the account must have had before the first line."""
    return residuals(seen, {}, explained)


def in_usd(units: Units, price_of: Mapping[str, Decimal]) -> tuple[Decimal, tuple[str, ...]]:
    """Units at today's prices, and the assets that have none: they are left out, never guessed."""
    total, unpriced = ZERO, []
    with localcontext(EXACT):
        for asset, amount in sorted(units.items()):
            price = Decimal(1) if asset in USD_COINS else price_of.get(asset)
            if price is not None:
                total += amount * price
            elif amount:
                unpriced.append(asset)
    return total, tuple(unpriced)


def _move(coins: dict[str, Decimal], asset: str, units: Decimal) -> None:
    coins[asset] = coins.get(asset, ZERO) + units


def _contract(before: Explained, line: LedgerLine) -> Explained:
    held = before.contracts.get(line.instrument) or Contract(asset=slug(line.asset))
    after = msgspec.structs.replace(
        held, quantity=held.quantity + (line.quantity or ZERO), cash=held.cash + line.amount
    )
    return msgspec.structs.replace(before, contracts={**before.contracts, line.instrument: after})
