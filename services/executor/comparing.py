"""How the account of one venue stands against its lines. Pure.

    left = what a look shows - opening - what the lines say        asset -> units, at the marks of that look

Every look is compared when nothing of ours moves: that costs no request. A look that shows what the figure
says keeps it; any other asks for a round that reads the venue's records and compares again, and
only such rounds make a figure (`Twice`). So a figure stands for the account as it was seen last, with every
line of the venue that is booked.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Final

import msgspec

from libs.carry.identity import USD_COINS, Explained, residuals
from libs.carry.pnl import EXACT, Key
from libs.common.instant import Now
from libs.exchange.trading_values import RecordKind
from services.executor.account import Look, differing, prices_of, valued
from services.executor.books import Opening
from services.executor.early import Early
from services.executor.events import AccountSeen
from services.executor.model import ZERO
from services.executor.twice import Twice, agree, differing_in
from services.executor.world import World

if TYPE_CHECKING:
    from services.executor.round_owner import Owner

LEAST_USD: Final = Decimal("0.0001")
"""Last digits: venues keep eight decimals of coins, and round each profit that they pay out."""
OF_VALUE: Final = Decimal("0.000001")
"""Of an open contract's value: its mark is shown rounded, and its unrealised profit by another one."""
CENT: Final = Decimal("0.01")
BY_ITSELF: Final[tuple[RecordKind, ...]] = ("funding", "interest")
"""What moves an account without us, again and again."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One venue: units of its last look (None before the first), units that no line explains (None before
    the first figure), and whether the latter stands for that look and for every line.
    """

    units: Mapping[str, Decimal] | None = None
    left: Mapping[str, Decimal] | None = None
    known: bool = False


class Comparing:
    """One venue. `left`: the figure; `look`: the last one, None before the first."""

    def __init__(self, venue: str, keys: tuple[Key, ...], owner: Owner) -> None:
        self.venue = venue
        self.keys = keys
        self.left = Twice()
        self.look: Look | None = None
        self._owner = owner
        self._early = Early()
        self._known = False
        self._odd: frozenset[str] | None = None  # assets of the last look that are not what the figure says

    @property
    def sees(self) -> bool:
        """Whether the last look could be compared, so that records may explain it; or is to be an opening."""
        return self.opening is None or self._odd is not None

    @property
    def by_itself(self) -> tuple[RecordKind, ...]:
        """What may explain the last look. Funding is paid in dollar coins; its records are the dearest."""
        return ("interest",) if self._odd and not self._odd & USD_COINS else BY_ITSELF

    def shown(self, *, fresh: bool) -> Shown:
        """For the summary. `fresh`: the last look is not old."""
        return Shown(
            units=None if self.look is None else self.look.units,
            left=self.left.units if self.left.compared else None,
            known=self._known and fresh,
        )

    @property
    def opening(self) -> Opening | None:
        """The account before the first line."""
        return self._owner.books.openings.get(self.venue)

    @property
    def explained(self) -> Explained:
        """What the lines say."""
        return self._owner.books.explained.get(self.venue, Explained())

    def begin_anew(self) -> None:
        """A booking was lost: the wait for the opening begins again."""
        self._early = Early()

    def is_early(self, look: Look, seen: AccountSeen | None, now: Now) -> bool:
        """Whether the account may show what is yet to be booked, so that it is no opening."""
        odd = differing(self.explained, look, self.keys)
        return self._early.waits(odd, seen, self._owner.world.lanes.values(), now)

    def booked(self) -> None:
        """A line has come since the last comparison."""
        self._known = False

    def is_still(self, since_us: int, began: Now, now: Now) -> bool:
        """Whether the ledger as it was read and a look asked for at `since_us` or later show one instant.
        `began`: when the first look of a round was asked for; no trade was booked since.
        """
        owner = self._owner
        if owner.books.traded_us.get(self.venue, 0) >= began.wall_us:
            return False
        return owner.stillness.is_still(self.venue, since_us, now)

    def left_in(self, look: Look, began: Now, now: Now) -> dict[str, Decimal] | None:
        """What no line explains of a look that has just come; None while something moves, or nothing can be
        compared.
        """
        since_us = min(look.asked_us, self._owner.read_us)
        return self.found_in(look) if self.is_still(since_us, began, now) else None

    def saw(self, look: Look, found: Mapping[str, Decimal] | None) -> bool | None:
        """A look, and what no line explains of it. True: all is explained; False: it is not what the figure
        says, and a round should find out why; None: neither.
        """
        before, self.look = self.look, look
        if found is None:
            self._odd = None
            self._known = self._known and before is not None and look.is_as(before)
            return None
        tolerance = self.tolerances(look)
        self._odd = differing_in(found, self.left.units, tolerance)
        self._known = self.left.settled and not self._odd
        if self._known:
            return True if agree(found, {}, tolerance) else None
        return False

    def take(self, look: Look, found: Mapping[str, Decimal]) -> int | None:
        """What a round has found; answers as `Twice.take`."""
        pause_us = self.left.take(found, self.tolerances(look))
        self.look, self._known = look, self.left.settled
        return pause_us

    def found_in(self, look: Look) -> dict[str, Decimal] | None:
        """Asset -> units in a look that no line explains; None before the opening, or without a price."""
        units, opening = self.units(look), self.opening
        if units is None or opening is None:
            return None
        return residuals(look.units, opening.units, units)

    def units(self, look: Look) -> dict[str, Decimal] | None:
        """What the lines say at the marks of a look."""
        return valued(self.explained, look, self._owner.world, self.keys)

    def tolerances(self, look: Look) -> dict[str, Decimal]:
        """Of this venue now."""
        return tolerances(self._owner.world, self.explained, look)


def tolerances(world: World, explained: Explained, look: Look) -> dict[str, Decimal]:
    """Asset -> units by which two comparisons may differ: what venues round, and never more than a cent.
    Coins without a price have none: they are compared to the last digit.
    """
    assets = {*look.units, *explained.coins, *(one.asset for one in explained.contracts.values())}
    prices = {**prices_of(world, look.venue, assets), **dict.fromkeys(assets & USD_COINS, Decimal(1))}
    with localcontext(EXACT):
        values = dict.fromkeys(assets, ZERO)
        for name, contract in explained.contracts.items():
            mark = look.marks.get((look.venue, name), ZERO)
            price = prices.get(contract.asset, ZERO)
            values[contract.asset] += abs(contract.quantity) * mark * price
        return {
            asset: min(CENT, LEAST_USD + OF_VALUE * values[asset]) / price
            for asset, price in prices.items()
            if price > 0
        }
