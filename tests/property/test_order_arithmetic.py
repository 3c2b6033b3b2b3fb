"""The arithmetic of orders by a shared context and by tables is, to the last digit, that of the plain way."""

from __future__ import annotations

import hashlib
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common import money
from libs.common.subjects import SPOT, Kind
from services.executor.ids import LENGTH, mark_of, order_id
from services.executor.model import IntentState, Leg, PairState, State
from services.executor.reserve import amounts_of, held_of
from services.executor.sizing import Rules, ceil_to, floor_to, grossed_up, limit_price, order_min

FINAL = {"done", "rejected", "void", "not_accepted", "foreign"}
EXAMPLES = settings(derandomize=True, max_examples=200, deadline=None)

values = st.decimals(min_value="0", max_value="1e9", allow_nan=False, allow_infinity=False, places=9)
prices = st.decimals(min_value="0.00000001", max_value="1e7", allow_nan=False, allow_infinity=False, places=8)
fractions = st.decimals(min_value="0", max_value="0.05", allow_nan=False, allow_infinity=False, places=6)
steps = st.sampled_from(
    [Decimal(text) for text in ("0.001", "0.1", "1", "10", "0.0002", "0.03", "1e-18", "7")]
)


def stepped(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    with localcontext() as context:
        context.prec = money.PRECISION
        return (value / step).to_integral_value(rounding=rounding) * step


@EXAMPLES
@given(values, steps)
def test_steps(value: Decimal, step: Decimal) -> None:
    assert str(floor_to(value, step)) == str(stepped(value, step, ROUND_FLOOR))
    assert str(ceil_to(value, step)) == str(stepped(value, step, ROUND_CEILING))
    assert str(money.floor_to(-value, step)) == str(stepped(-value, step, ROUND_DOWN))


@EXAMPLES
@given(values, prices, steps, fractions)
def test_minimums_fees_and_limits(value: Decimal, price: Decimal, step: Decimal, fraction: Decimal) -> None:
    for kind in (SPOT, Kind.PERP):
        rules = Rules(
            kind=kind, base="B", quote="Q", settle="Q", step=step, quantity_min=value / 7,
            notional_min=value, base_fee=fraction,
        )  # fmt: skip
        least = stepped(max(step, rules.quantity_min), step, ROUND_CEILING)
        with localcontext() as context:
            context.prec = money.PRECISION
            worth = stepped(value / price, step, ROUND_CEILING)
            bought = stepped(value / (1 - fraction), step, ROUND_CEILING) if fraction else value
        for reduces in (False, True):
            exempt = reduces and kind is not SPOT
            wanted = least if exempt or not value else max(least, worth)
            assert order_min(rules, price, reduces=reduces) == wanted
        assert str(grossed_up(value, rules)) == str(bought)
    bid, ask = price * (1 - fraction), price * (1 + fraction)  # of few digits: exact in any context
    up, down = stepped(ask, step, ROUND_FLOOR), stepped(bid, step, ROUND_CEILING)
    assert limit_price("buy", price, fraction, step) == max(step, up, stepped(price, step, ROUND_CEILING))
    assert limit_price("sell", price, fraction, step) == max(step, down)


@EXAMPLES
@given(st.text(max_size=20), st.text(alphabet="abc-_01", max_size=20), st.integers(0, 2**40))
def test_ids_are_the_digits_of_a_hash(store_id: str, deployment: str, n: int) -> None:
    """A store keeps them for ever: an order of an earlier version must be found by its id."""
    text = f"{store_id}.{deployment}.p.1.open.{n}"
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % 36 ** (LENGTH - 6)
    tail = ""
    for _ in range(LENGTH - 6):
        number, digit = divmod(number, 36)
        tail += "0123456789abcdefghijklmnopqrstuvwxyz"[digit]
    found = order_id(store_id=store_id, deployment=deployment, pair="p", leg=1, purpose="open", n=n)
    assert found == mark_of(deployment) + tail


def test_which_states_are_final() -> None:
    assert {state.value for state in IntentState if state.is_final} == FINAL


@EXAMPLES
@given(values, st.sampled_from(["binance", "binance-sub1", "bitget"]), st.sampled_from(list(State)))
def test_what_a_pair_takes_is_said_as_it_is_counted(notional: Decimal, venue: str, state: State) -> None:
    legs = (
        Leg(venue="binance", instrument="B-Q", kind=SPOT),
        Leg(venue=venue, instrument="B-Q-PERP", kind=Kind.PERP),
    )
    pair = PairState(pair="p", legs=legs, state=state, notional_usd=notional)
    amounts = amounts_of(pair)
    amounts["changed by its reader"] = 1  # and nobody else sees it
    cents = int((notional * 100).to_integral_value(rounding=ROUND_CEILING))
    each = {"usd_cents:binance": 2} if venue != "bitget" else {"usd_cents:binance": 1, "usd_cents:bitget": 1}
    wanted = {"pairs": 1, "usd_cents": cents, **{name: cents * legs for name, legs in each.items()}}
    wanted = {} if state is State.IDLE else wanted
    assert amounts_of(pair) == wanted
    words = " ".join(f"{name}={amount}" for name, amount in sorted(wanted.items())).encode()
    assert held_of(pair) == (words or None)
