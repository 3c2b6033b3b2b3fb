"""total = d(equity) - deposits + withdrawals, to the last digit, whatever happens to an account."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal, localcontext

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.carry.identity import Explained, residuals
from libs.carry.pnl import EXACT, ZERO, summed
from libs.common.messages_exec import LedgerKind, LedgerLine, ProfitAndLoss
from services.executor.books import Books, take_line
from tests.property.pnl_life import Life
from tests.property.pnl_terms import SPOT_NAME, VENUE, market_of

LENGTH = 120
LIVES = settings(derandomize=True, max_examples=25, deadline=None)
seeds = st.integers(0, 2**32)


def parts_of(life: Life, books: Books) -> ProfitAndLoss:
    """All pairs, and nobody, at the prices that value the account."""
    prices = {**life.world.marks, (VENUE, SPOT_NAME): life.prices["BTC"]}
    return summed(sums.parts(prices) for venues in books.pairs.values() for sums in venues.values())


def left(life: Life, books: Books) -> dict[str, Decimal]:
    """Units that no line explains."""
    look = life.look()
    explained = books.explained.get(VENUE, Explained()).units(VENUE, look.marks)
    return residuals(look.units, life.opening.units, explained)


def gained(life: Life) -> Decimal:
    """d(equity) - deposits + withdrawals, by the account alone; own coins count by their change."""
    now, before = life.look().units, life.opening.units
    with localcontext(EXACT):
        usd = sum(
            (
                (now.get(asset, ZERO) - before.get(asset, ZERO)) * life.prices.get(asset, Decimal(1))
                for asset in {*now, *before}
            ),
            ZERO,
        )
        return usd - life.outside


@given(seeds)
@LIVES
def test_the_parts_add_up_to_what_the_account_has_gained(seed: int) -> None:
    life = Life(seed)
    for _ in range(LENGTH):
        life.step()
        assert left(life, life.books) == {}, "the lines explain every asset to the last digit"
        total = parts_of(life, life.books)
        with localcontext(EXACT):
            named = sum(
                (getattr(total, name) for name in ProfitAndLoss.__struct_fields__ if name != "total"), ZERO
            )
            assert named == total.total == gained(life) + nobodys_coins(life, life.lines)


def nobodys_coins(life: Life, lines: list[LedgerLine]) -> Decimal:
    """What interest in coins that no pair owes was worth when it was booked, beyond what it is worth now."""
    with localcontext(EXACT):
        return sum(
            (
                line.usd - line.amount * life.prices[line.asset]
                for line in lines
                if line.kind is LedgerKind.INTEREST and line.quantity is None
            ),
            ZERO,
        )


@given(seeds)
@LIVES
def test_a_line_that_is_dropped_shows_as_residual_and_in_no_part(seed: int) -> None:
    life = Life(seed)
    for _ in range(LENGTH):
        life.step()
    whole = parts_of(life, life.books)
    for kind in (LedgerKind.FEE, LedgerKind.FUNDING, LedgerKind.INTEREST):
        dropped = next((line for line in life.lines if line.kind is kind and line.amount), None)
        if dropped is None:
            continue
        books = Books()
        for line in life.lines:
            if line is not dropped:
                books = take_line(books, line, market_of)
        assert left(life, books) == {dropped.asset: dropped.amount}
        parts = parts_of(life, books)
        with localcontext(EXACT):
            touched = {
                name
                for name in ProfitAndLoss.__struct_fields__
                if getattr(parts, name) != getattr(whole, name)
            }
        own = {LedgerKind.FEE: {"fees", "rebalance"}, LedgerKind.FUNDING: {"funding"}}
        allowed = own.get(kind, {"borrow"}) | {"total"}
        if dropped.quantity is not None and kind is not LedgerKind.FUNDING:
            allowed |= {"basis"}  # the coins that a fee took are held, for the parts, as if they were there
        assert touched <= allowed


def test_the_lives_see_everything_that_the_books_know() -> None:
    seen: Counter[str] = Counter()
    for seed in range(12):
        life = Life(seed)
        for _ in range(LENGTH):
            life.step()
        for line in life.lines:
            seen[f"{line.kind} {'of the leg' if line.kind is LedgerKind.FEE and line.quantity else ''}"] += 1
            seen[f"fee in {line.asset}"] += line.kind is LedgerKind.FEE
            seen[f"for {line.purpose}"] += 1
            seen["nobody's"] += not line.pair
        shares = Counter(line.key.split("@")[0] for line in life.lines if "@" in line.key)
        seen["shared"] += sum(count > 1 for count in shares.values())
    for what in (
        "fill ",
        "fee ",
        "fee of the leg",
        "funding ",
        "interest ",
        "deposit ",
        "withdrawal ",
        "fee in BNB",
        "fee in BTC",
        "fee in USDT",
        "for trim",
        "for shrink",
        "for adl",
        "nobody's",
        "shared",
    ):
        assert seen[what] > 3, (what, seen)
