"""Decimals that travel as text: finite, plain notation, nothing lost on the way.

Quantities, prices and money that reach a venue or the ledger are `Decimal`; a float never becomes one here.
"""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Final

DIGITS_MAX: Final = 40
"""More than any venue or ledger carries, and few enough that exact sums stay exact (`PRECISION`)."""

PRECISION: Final = 60
EXACT: Final = Context(prec=PRECISION)
"""For operations by its methods (`EXACT.divide(a, b)`): the same figures as within a `localcontext`, at a
part of its price.
"""

ZERO: Final = Decimal(0)

_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")


class BadAmount(ValueError):
    """Text that is no finite amount; the message repeats it, cut to a readable length."""


def parse(text: str | int) -> Decimal:
    """The amount that `text` says, exactly. Floats are refused by type, NaN and Infinity by name.

    >>> parse("0.00010"), parse("-1e-8")
    (Decimal('0.00010'), Decimal('-1E-8'))
    """
    if isinstance(text, bool) or not isinstance(text, str | int):
        raise BadAmount(f"an amount comes as text, not as {type(text).__name__}")
    written = str(text)
    if _NUMBER.fullmatch(written) is None:
        raise BadAmount(f"{written[:40]!r} is no amount: digits, one point, no spaces are")
    value = Decimal(written)
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) > DIGITS_MAX or abs(exponent) > DIGITS_MAX:
        raise BadAmount(f"{written[:40]!r} has more than {DIGITS_MAX} digits")
    return value


def plain(value: Decimal) -> str:
    """Plain notation without superfluous zeros: venues and people do not read 1E-8.

    >>> plain(Decimal("1E-8")), plain(Decimal("-0.00")), plain(Decimal("1.50")), plain(Decimal("1E+3"))
    ('0.00000001', '0', '1.5', '1000')
    """
    check(value)
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def check(value: Decimal) -> Decimal:
    """`value`, when it is finite; `BadAmount` otherwise."""
    if not value.is_finite():
        raise BadAmount(f"{value} is no amount")
    return value


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """`value` rounded towards zero to a multiple of `step` (> 0): never more than was asked for."""
    if step <= 0:
        raise BadAmount(f"a step is above 0, not {step}")
    steps = EXACT.divide(check(value), step).to_integral_value(rounding=ROUND_DOWN, context=EXACT)
    return EXACT.multiply(steps, step)


def cents(value: Decimal, places: int = 4) -> str:
    """For people: fixed places, half to even. Never to be parsed back into the ledger."""
    with localcontext(Context(prec=PRECISION)):
        return f"{check(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN):f}"


def total(values: list[Decimal]) -> Decimal:
    """Exact sum: the default context's 28 digits would round a long ledger silently."""
    with localcontext(Context(prec=PRECISION)):
        return sum((check(value) for value in values), ZERO)
