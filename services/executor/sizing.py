"""How much to trade: common steps of two legs, minimums, base fees. Pure Decimal arithmetic.

Rules are the instrument's filters in base units (contract sizes are already applied by the exchange port).
"""

from __future__ import annotations

import functools
import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import msgspec

from libs.common.money import EXACT
from libs.common.subjects import SPOT, Kind
from services.executor.model import ZERO, Side

_ONE: Final = Decimal(1)
FINEST: Final = Decimal("1e-18")
"""The step of an instrument that has none."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue allows for one instrument. `base_fee`: what a buy of a spot leg loses to its fee."""

    kind: Kind
    base: str
    quote: str
    settle: str
    step: Decimal = FINEST
    tick: Decimal = FINEST
    quantity_min: Decimal = ZERO
    quantity_max: Decimal | None = None
    market_quantity_max: Decimal | None = None
    notional_min: Decimal = ZERO
    base_fee: Decimal = ZERO
    shortable: bool = True
    refused: str = ""


class CannotSize(Exception):
    """No quantity satisfies both legs; one line that names what stands against it."""


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value` (>= 0)."""
    steps = EXACT.divide(value, step).to_integral_value(rounding=ROUND_FLOOR, context=EXACT)
    return EXACT.multiply(steps, step)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value` (>= 0)."""
    steps = EXACT.divide(value, step).to_integral_value(rounding=ROUND_CEILING, context=EXACT)
    return EXACT.multiply(steps, step)


@functools.lru_cache(maxsize=1_024)
def common_step(first: Decimal, second: Decimal) -> Decimal:
    """The smallest quantity that is a multiple of both steps: 0.001 and 0.0002 -> 0.001, 3 and 2 -> 6."""
    exponent = min(_exponent(first), _exponent(second))
    scale = _ONE.scaleb(exponent, context=EXACT)
    steps = math.lcm(int(EXACT.divide(first, scale)), int(EXACT.divide(second, scale)))
    return EXACT.multiply(Decimal(steps), scale)


def _exponent(value: Decimal) -> int:
    exponent = value.normalize(EXACT).as_tuple().exponent
    if not isinstance(exponent, int) or value <= 0:
        raise ValueError(f"a step is a number above 0, not {value}")
    return exponent


def order_min(rules: Rules, price: Decimal, *, reduces: bool) -> Decimal:
    """The smallest quantity that the venue takes at `price`.

    A multiple of the step, also where the venue's own minimum is none. Contracts may always be reduced by a
    step (reduce-only orders are exempt from the minimum notional); spot has no such exemption.
    """
    exempt = reduces and rules.kind is not SPOT
    return _least(rules.step, rules.quantity_min, ZERO if exempt else rules.notional_min, price)


def order_max(rules: Rules, *, market: bool) -> Decimal | None:
    """The largest quantity that the venue takes in one order; None where it names none."""
    own = (rules.quantity_max, rules.market_quantity_max) if market else (rules.quantity_max,)
    return min((one for one in own if one is not None and one > 0), default=None)


@functools.lru_cache(maxsize=1_024)
def _least(step: Decimal, quantity_min: Decimal, notional_min: Decimal, price: Decimal) -> Decimal:
    """Asked several times in the turn that opens a pair, always at the same price."""
    least = ceil_to(max(step, quantity_min), step)
    return max(least, ceil_to(EXACT.divide(notional_min, price), step)) if notional_min else least


def pair_quantity(notional_usd: Decimal, price: Decimal, first: Rules, second: Rules) -> Decimal:
    """Base quantity of each leg: at most `notional_usd` at `price`, a multiple of both steps.

    Raises `CannotSize` for legs that cannot be a pair, and below what either venue takes (with some room:
    a partial fill or a price that fell must still be closable).
    """
    check_pair(first, second)
    step = common_step(first.step, second.step)
    quantity = floor_to(notional_usd / price, step)
    for rules in (first, second):
        least = order_min(rules, price, reduces=False)
        if quantity < least:
            raise CannotSize(
                f"{notional_usd} USD buy {quantity} {rules.base}, its venue takes {least} at least:"
                " raise position.notional_usd"
            )
    return quantity


def check_pair(first: Rules, second: Rules) -> None:
    """Linear legs of one base in one quote currency; anything else is refused by name."""
    if first.base != second.base:
        raise CannotSize(f"the legs have different bases: {first.base} and {second.base}")
    if first.quote != second.quote:
        raise CannotSize(f"the legs have different quote currencies: {first.quote} and {second.quote}")
    for rules in (first, second):
        if rules.refused:
            raise CannotSize(rules.refused)
        if rules.kind is not SPOT and rules.settle != rules.quote:
            raise CannotSize(f"not linear: quoted in {rules.quote}, settled in {rules.settle}")


def grossed_up(wanted: Decimal, rules: Rules) -> Decimal:
    """What to buy so that at least `wanted` less one step is received after a fee in base."""
    if rules.base_fee <= 0:
        return wanted
    return ceil_to(EXACT.divide(wanted, EXACT.subtract(_ONE, rules.base_fee)), rules.step)


def slice_goal(total: Decimal, slices: int, index: int, step: Decimal) -> Decimal:
    """What both legs have after slice `index` (1-based) of `slices`; the last one ends at `total`."""
    return total if index >= slices else floor_to(total * index / slices, step)


def limit_price(side: Side, best: Decimal, collar: Decimal, tick: Decimal) -> Decimal:
    """The worst price of an IOC order: `best` of the side it takes, `collar` (a fraction) beyond it.

    Rounded to the tick towards the book, so that it never goes beyond the collar; at least one tick.
    """
    if side == "buy":
        return max(tick, floor_to(EXACT.multiply(best, EXACT.add(_ONE, collar)), tick), ceil_to(best, tick))
    return max(tick, ceil_to(EXACT.multiply(best, EXACT.subtract(_ONE, collar)), tick))


LADDER: Final = (Decimal("0.005"), Decimal("0.02"))
"""Collars of the first tries of an unwind; then market orders."""

SPOT_BUY_LAST: Final = Decimal("0.05")
"""A market buy may count in quote on some venues: spot buys end with an IOC at 5 %."""

FIRST_PAUSE_US: Final = 250_000
LAST_PAUSE_US: Final = 5_000_000


def ladder_collar(tries: int, *, spot_buy: bool) -> Decimal | None:
    """The collar of try number `tries` (from 0); None is a market order."""
    if tries < len(LADDER):
        return LADDER[tries]
    return SPOT_BUY_LAST if spot_buy else None


def ladder_pause_us(tries: int) -> int:
    """Monotonic pause before try number `tries`: none before the first, then 0.25 s growing to 5 s."""
    return 0 if tries <= 0 else min(LAST_PAUSE_US, FIRST_PAUSE_US << min(tries - 1, 10))
