"""What a pair has earned, part by part, out of booked ledger lines and the prices of now (economics.md).

    slippage = sum of q * (mid - price)          q: signed base quantity of a fill, mid: when it was decided
    basis    = sum of q * (now - mid)            = units * now - cost, the unrealised part included
    fees, funding, borrow, transfer = the lines' own value when they were booked

What a fee or an interest took out of the leg's own coin has left its inventory at the value booked: it is a
quantity like a fill's, at that price. So for a leg that is closed no price of now counts, and

    total = funding + fees + slippage + basis + borrow + transfer + rebalance
          = d(equity) - deposits + withdrawals

holds to the last digit. Basis is never a remainder: a line that is missing shows as `residual`
(`libs.carry.identity`). Lines of kind fill, fee and interest that change a leg's inventory say so by their
`quantity`; lines of no pair are summed under "" in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, localcontext
from typing import Final

import msgspec

from libs.common.messages_exec import LedgerKind, LedgerLine, ProfitAndLoss
from libs.common.money import PRECISION

ZERO: Final = Decimal(0)
EXACT: Final = Context(prec=PRECISION)
REBALANCING: Final = frozenset({"trim", "shrink"})
"""Purposes of trades that answer drift (of delta, of collateral). Following what a venue took is none of
them: nobody could have avoided it by a wider band, and `rebalance_share` would advise exactly that.
"""

Key = tuple[str, str]
"""(venue, instrument)."""

Prices = Mapping[Key, Decimal]
"""(venue, instrument) -> quote units now: the same ones that value the equity."""


class NoPrice(LookupError):
    """An instrument that is held has no price: its basis is not known."""


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument of a pair: `units` held, `cost` of them at the mids of their decisions, signed alike."""

    venue: str
    instrument: str
    units: Decimal = ZERO
    cost: Decimal = ZERO

    def basis(self, prices: Prices) -> Decimal:
        """Price profit up to now; raises `NoPrice` when something is held that has none."""
        if self.units == ZERO:
            return -self.cost
        price = prices.get((self.venue, self.instrument))
        if price is None:
            raise NoPrice(f"{self.venue} {self.instrument}")
        return self.units * price - self.cost


class PairBook(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of one pair's lines at one venue, USD, signed: a cost is negative."""

    funding: Decimal = ZERO
    fees_maker: Decimal = ZERO
    fees_taker: Decimal = ZERO
    slippage: Decimal = ZERO
    borrow: Decimal = ZERO
    transfer: Decimal = ZERO
    rebalance: Decimal = ZERO
    inventories: dict[str, Inventory] = {}

    @property
    def fees(self) -> Decimal:
        """All fees but those of rebalance trades."""
        return EXACT.add(self.fees_maker, self.fees_taker)

    def parts(self, prices: Prices) -> ProfitAndLoss:
        """The parts and their sum at the prices of now. Raises `NoPrice`."""
        with localcontext(EXACT):
            basis = sum((one.basis(prices) for one in self.inventories.values()), ZERO)
            return ProfitAndLoss(
                funding=self.funding,
                fees=self.fees,
                slippage=self.slippage,
                basis=basis,
                borrow=self.borrow,
                transfer=self.transfer,
                rebalance=self.rebalance,
                total=self.funding
                + self.fees
                + self.slippage
                + basis
                + self.borrow
                + self.transfer
                + self.rebalance,
            )


def book(before: PairBook, line: LedgerLine) -> PairBook:
    """The sums with one more line. Movements to and from outside the account earn and cost nothing."""
    with localcontext(EXACT):
        match line.kind:
            case LedgerKind.FILL:
                return _fill(before, line)
            case LedgerKind.FEE:
                return _stock(_fee(before, line), line, at=line.usd)
            case LedgerKind.FUNDING:
                return _add(before, "funding", line.usd)
            case LedgerKind.INTEREST:
                return _stock(_add(before, "borrow", line.usd), line, at=line.usd)
            case LedgerKind.TRANSFER if line.pair:
                return _add(before, "transfer", line.usd)
            case _:
                return before


def summed(parts: Iterable[ProfitAndLoss]) -> ProfitAndLoss:
    """Part by part."""
    every = list(parts)
    with localcontext(EXACT):
        return ProfitAndLoss(
            **{
                name: sum((getattr(one, name) for one in every), ZERO)
                for name in ProfitAndLoss.__struct_fields__
            }
        )


def _fill(before: PairBook, line: LedgerLine) -> PairBook:
    if line.quantity is None or line.price is None:
        raise ValueError(f"{line.key}: a fill has a quantity and a price")
    mid = line.price if line.mid is None else line.mid
    slippage = line.quantity * (mid - line.price)
    part = "rebalance" if line.purpose in REBALANCING else "slippage"
    return _stock(_add(before, part, slippage), line, at=line.quantity * mid)


def _fee(before: PairBook, line: LedgerLine) -> PairBook:
    if line.purpose in REBALANCING:
        return _add(before, "rebalance", line.usd)
    return _add(before, "fees_maker" if line.liquidity == "maker" else "fees_taker", line.usd)


def _add(before: PairBook, part: str, usd: Decimal) -> PairBook:
    return msgspec.structs.replace(before, **{part: getattr(before, part) + usd})


def _stock(before: PairBook, line: LedgerLine, *, at: Decimal) -> PairBook:
    """`line.quantity` units came in (< 0: went) at `at` quote units in total."""
    if not line.quantity:
        return before
    name = f"{line.venue}|{line.instrument}"
    held = before.inventories.get(name) or Inventory(venue=line.venue, instrument=line.instrument)
    after = msgspec.structs.replace(held, units=held.units + line.quantity, cost=held.cost + at)
    return msgspec.structs.replace(before, inventories={**before.inventories, name: after})
