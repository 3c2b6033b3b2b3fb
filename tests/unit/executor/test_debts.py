from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.subjects import SPOT
from libs.exchange.trading_values import BalanceReport, Wallet
from services.executor.debts import (
    debt_of,
    repaid,
    repayable,
    share,
    with_interest,
    with_spare,
)
from services.executor.lending import CLAIM_US, Claims, Debt
from services.executor.model import Leg

D = Decimal
ZERO = Decimal(0)
ASSET = ("binance", "BTC")
amounts = st.decimals(min_value=0, max_value=1_000, places=8)
some = st.decimals(min_value=D("0.00000001"), max_value=1_000, places=8)


def leg(**fields: Decimal) -> Leg:
    return replace(Leg(venue="binance", instrument="BTC-USDT", kind=SPOT), **fields)


def debt(borrowed: Decimal, interest: Decimal = ZERO, total: Decimal = ZERO) -> Debt:
    return Debt(borrowed=borrowed, interest=interest, total=total, asked_us=1)


def balance(wallet: Wallet, total: str, borrowed: str = "0", asset: str = "BTC") -> BalanceReport:
    return BalanceReport(
        wallet=wallet, asset=asset, total=D(total), free=D(total), borrowed=D(borrowed), interest=D("0.1")
    )


@settings(derandomize=True)
@given(sold=amounts, borrowed=some, known=amounts, others=amounts, interest=amounts)
def test_interest_moves_no_coin_and_is_shared_by_principal(
    sold: Decimal, borrowed: Decimal, known: Decimal, others: Decimal, interest: Decimal
) -> None:
    held = leg(quantity=-sold - known, borrowed=borrowed, interest=known)
    shown = debt(borrowed + others, interest)
    after = with_interest(held, shown)
    assert after.coins == held.coins
    assert after.borrowed == borrowed
    assert 0 <= after.interest <= interest
    theirs = share(leg(borrowed=others), shown)
    assert after.interest + theirs >= interest, "together the parts are never less than what is owed"
    assert after.interest + theirs - interest <= 2 * D("1e-8") or others == 0


@settings(derandomize=True)
@given(borrowed=amounts, interest=amounts, part=st.decimals(min_value=0, max_value=1, places=4))
def test_a_repayment_takes_as_many_coins_as_debt_and_interest_first(
    borrowed: Decimal, interest: Decimal, part: Decimal
) -> None:
    held = leg(quantity=D(5), borrowed=borrowed, interest=interest)
    amount = held.owed * part
    after = repaid(held, amount)
    assert after.owed == held.owed - amount
    assert after.coins == held.coins - amount
    assert after.interest == 0 or after.borrowed == borrowed


@settings(derandomize=True)
@given(quantity=st.decimals(-1_000, 1_000, places=8), borrowed=amounts, shown=amounts)
def test_only_own_coins_pay_only_own_debt(quantity: Decimal, borrowed: Decimal, shown: Decimal) -> None:
    held = leg(quantity=quantity, borrowed=borrowed)
    amount = repayable(held, debt(shown, total=D(10_000)))
    assert 0 <= amount <= min(borrowed, shown)
    assert amount == 0 or amount <= held.coins


def test_spare_coins_count_only_towards_what_is_sold() -> None:
    assert with_spare(leg(quantity=D(-1), spare=D("0.1"))) == leg(quantity=D("-0.9"))
    assert with_spare(leg(spare=D("0.1"))) == leg(spare=D("0.1"))


def test_a_debt_is_the_lenders_and_coins_are_everywhere() -> None:
    seen = [balance("margin", "2", "5"), balance("spot", "3", "9"), balance("margin", "7", "7", "ETH")]
    found = debt_of(seen, "BTC", 42)
    assert (found.borrowed, found.interest, found.total, found.asked_us) == (D(5), D("0.1"), D(5), 42)


def test_one_pair_at_a_time_moves_an_asset() -> None:
    claims = Claims()
    assert claims.take(ASSET, "a", 100)
    assert not claims.take(ASSET, "b", 200)
    assert claims.is_others(ASSET, "b", 200)
    assert claims.take(ASSET, "a", 300)
    assert claims.since_us(ASSET) == 100, "a claim that is kept began when it was made"
    claims.free(ASSET, "b", 350)
    assert not claims.take(ASSET, "b", 350), "nobody frees another's claim"
    claims.free(ASSET, "a", 400)
    assert claims.since_us(ASSET) == 400, "looks before then do not show what has been moved"
    assert claims.take(ASSET, "b", 500)


def test_a_claim_that_nobody_renews_ends() -> None:
    claims = Claims()
    claims.take(ASSET, "a", 0, for_us=60 * CLAIM_US)
    claims.take(ASSET, "a", 1)
    assert not claims.take(ASSET, "b", 59 * CLAIM_US), "a short renewal does not shorten a long claim"
    assert claims.take(ASSET, "b", 60 * CLAIM_US)
