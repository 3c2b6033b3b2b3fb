"""A house in the market's time: orders meet their step's book, what is due happens once and in order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.instant import MS_PER_HOUR
from libs.exchange.engine.commands import (
    Borrow,
    Event,
    Ordered,
    Positioned,
    Refused,
    Submit,
)
from libs.exchange.engine.types import (
    EntryKind,
    MarketStatus,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from services.venue.desk import STEP_MS, Instant
from services.venue.house import House
from tests.helpers.venue_calls import WALL0_MS, Bench

BTC = "perp:BTCUSDT"
STEPS_START = -(-WALL0_MS // STEP_MS)


def order(
    side: Side = Side.BUY,
    quantity: str = "0.1",
    price: str | None = None,
    *,
    instrument: str = BTC,
    account: str = "u1:usdm",
    client_id: str = "",
    tif: TimeInForce = TimeInForce.GTC,
) -> Submit:
    return Submit(
        account=account,
        instrument=instrument,
        side=side,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        client_id=client_id,
        tif=tif,
    )


def best(bench: Bench, house: House, now: Instant, key: str = BTC) -> tuple[Decimal, Decimal]:
    instrument = house.instrument(key)
    assert instrument is not None
    top = bench.desks[house.protocol].top(instrument, now, "test")
    return Decimal(top.bid), Decimal(top.ask)


def funding_stamps(house: House, account: str) -> list[int]:
    return [one.market_ms for one in house.engine.entries(account) if one.kind is EntryKind.FUNDING]


# --- orders ---------------------------------------------------------------------------------------


def test_an_order_trades_at_the_prices_that_the_public_half_shows_for_its_step() -> None:
    bench = Bench()
    house = bench.houses["binance"]
    for after_ms in (0, 250, 5_000, 60_000):
        now = bench.instant(after_ms)
        bid, ask = best(bench, house, now)
        house.apply(order(Side.BUY, "0.001"), now)
        house.apply(order(Side.SELL, "0.001"), now)
        bought, sold = house.engine.fills("u1:usdm")[-2:]
        assert (bought.price, sold.price) == (ask, bid)


def test_what_is_eaten_of_a_step_is_back_in_the_next_one() -> None:
    bench = Bench()
    house = bench.houses["binance"]
    now = bench.instant()
    first = [house.apply(order(Side.BUY, "0.5"), now) for _ in range(3)]
    prices = [next(e.fill.price for e in events if isinstance(e, Ordered) and e.fill) for events in first]
    assert prices == sorted(prices)
    assert prices[0] < prices[-1]
    later = bench.instant(STEP_MS)
    house.apply(order(Side.BUY, "0.001"), later)
    assert house.engine.fills("u1:usdm")[-1].price == best(bench, house, later)[1]


def test_a_resting_order_is_filled_by_the_trades_of_others_and_the_same_in_every_run() -> None:
    def filled_after() -> int:
        bench = Bench()
        house = bench.houses["binance"]
        now = bench.instant()
        house.apply(order(Side.BUY, "0.01", str(best(bench, house, now)[0]), client_id="rests"), now)
        for step in range(1, 400):
            house.step(bench.instant(step * STEP_MS))
            found = house.engine.order("u1:usdm", client_id="rests")
            assert found is not None
            if found.status is OrderStatus.FILLED:
                assert house.engine.fills("u1:usdm")[-1].liquidity == "maker"
                return step
        raise AssertionError("never filled")

    assert filled_after() == filled_after()


def test_a_user_hears_of_his_own_accounts_only_and_until_he_stops() -> None:
    bench = Bench()
    house = bench.houses["binance"]
    now = bench.instant()
    house.open_user("other", now)
    heard: list[Event] = []
    foreign: list[Event] = []
    end = house.listen("u1", lambda events, _: heard.extend(events))
    house.listen("other", lambda events, _: foreign.extend(events))
    house.apply(order(), now)
    assert {type(event) for event in heard} >= {Ordered, Positioned}
    assert not foreign
    count = len(heard)
    end()
    house.apply(order(Side.SELL), now)
    assert len(heard) == count


def test_a_refused_order_changes_nothing_and_is_not_told() -> None:
    bench = Bench()
    house = bench.houses["binance"]
    heard: list[Event] = []
    house.listen("u1", lambda events, _: heard.extend(events))
    before = house.engine.balances("u1:usdm")
    with pytest.raises(Refused):
        house.apply(order(quantity="0.00001"), bench.instant())
    assert (house.engine.balances("u1:usdm"), heard) == (before, [])


# --- what is due ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["binance", "bitget"])
def test_funding_settles_each_recorded_instant_once_with_the_recorded_rate_and_mark(protocol: str) -> None:
    bench = Bench(speed=2_880.0)
    house = bench.houses[protocol]  # type: ignore[index]
    account = "u1:usdm" if protocol == "binance" else "u1:unified"
    house.apply(order(account=account), bench.instant())
    end = bench.instant(60_000)  # two days of the market
    for after_ms in range(0, 60_000, 7_000):  # each step jumps over more than five hours
        house.step(bench.instant(after_ms))
        house.step(bench.instant(after_ms))
    house.step(end)
    begin_ms = bench.clock.market0_ms
    recorded = bench.market.settled(house.protocol, "BTCUSDT", since_ms=begin_ms + 1, until_ms=end.market_ms)
    entries = [one for one in house.engine.entries(account) if one.kind is EntryKind.FUNDING]
    assert [one.market_ms for one in entries] == [one.settled_ms for one in recorded]
    assert len(entries) == 6
    for entry, one in zip(entries, recorded, strict=True):
        exact = -Decimal("0.1") * Decimal(f"{one.mark:.8f}") * Decimal(f"{one.rate:.8f}")
        assert abs(entry.amount - exact) <= Decimal("1e-8")


def test_an_order_after_a_settlement_that_no_step_has_seen_does_not_share_in_it() -> None:
    bench = Bench(speed=2_880.0)
    house = bench.houses["binance"]
    house.apply(order(), bench.instant())
    settled_ms = bench.market.funding("binance", "BTCUSDT", bench.clock.market0_ms)
    assert settled_ms is not None
    wall_ms = (settled_ms.next_ms - bench.clock.market0_ms) // 2_880 + 1
    house.apply(order(Side.BUY, "0.3"), bench.instant(wall_ms))
    entry = next(one for one in house.engine.entries("u1:usdm") if one.kind is EntryKind.FUNDING)
    rate, mark = Decimal(f"{settled_ms.rate:.8f}"), bench.market
    instrument = house.instrument(BTC)
    assert instrument is not None
    expected = -Decimal("0.1") * Decimal(f"{mark.mark(instrument, settled_ms.next_ms):.8f}") * rate
    assert abs(entry.amount - expected) <= Decimal("1e-8")


def test_a_changed_interval_is_really_settled_and_the_public_history_says_so() -> None:
    bench = Bench(speed=2_880.0)
    house = bench.houses["binance"]
    house.apply(order(), bench.instant())
    bench.fault(kind="interval_change", interval_hours=1.0, symbol="BTC*")
    end = bench.instant(15_000)  # half a day
    for after_ms in range(STEP_MS, 15_000 + STEP_MS, STEP_MS):
        house.step(bench.instant(after_ms))
    begin_ms = bench.clock.market0_ms
    hours = list(range(begin_ms // MS_PER_HOUR * MS_PER_HOUR + MS_PER_HOUR, end.market_ms + 1, MS_PER_HOUR))
    assert funding_stamps(house, "u1:usdm") == hours
    assert len(hours) == 12
    instrument = house.instrument(BTC)
    assert instrument is not None
    told = bench.desks["binance"].settled(instrument, end, since_ms=begin_ms + 1, until_ms=end.market_ms)
    assert [one.settled_ms for one in told] == hours


def test_interest_accrues_once_an_hour_of_the_market() -> None:
    bench = Bench(speed=2_880.0)
    house = bench.houses["binance"]
    house.deposit("u1", "margin", "USDT", Decimal(200_000), bench.instant())
    house.apply(Borrow(account="u1:margin", asset="BTC", amount=Decimal("0.5")), bench.instant())
    before = house.engine.balances("u1:margin")["BTC"].interest
    for after_ms in range(0, 10_001, 2_500):  # eight hours in steps of two
        house.step(bench.instant(after_ms))
    accrued = house.engine.balances("u1:margin")["BTC"].interest - before
    hourly = Decimal("0.5") * house.borrow_rate_hourly("BTC")
    assert accrued == pytest.approx(8 * hourly, rel=Decimal("0.02"))
    lines = [one for one in house.engine.entries("u1:margin") if one.kind is EntryKind.INTEREST]
    stamps = [one.market_ms for one in lines if one.market_ms % MS_PER_HOUR == 0]
    assert len(set(stamps)) >= 8


def test_a_market_that_ends_settles_its_positions_and_cancels_its_orders() -> None:
    bench = Bench(speed=2_880.0)
    market = bench.market
    ending = next(
        one
        for one in market.all("binance")
        if one.kind == "perp" and not market.ended("binance", one.ended_ms)
    )
    bench = Bench(start_ms=ending.ended_ms - 3 * MS_PER_HOUR, speed=2_880.0, market=market)
    house = bench.houses["binance"]
    key = f"perp:{ending.symbol}"
    now = bench.instant()
    low = best(bench, house, now, key)[0] - 100 * ending.tick
    house.apply(order(Side.BUY, "100", instrument=key), now)
    house.apply(order(Side.BUY, "100", str(low), instrument=key, client_id="rests"), now)
    for after_ms in range(0, 6_000, STEP_MS):
        house.step(bench.instant(after_ms))
    assert house.engine.listing(key).status is MarketStatus.DELISTED
    assert house.engine.positions("u1:usdm") == []
    rests = house.engine.order("u1:usdm", client_id="rests")
    assert rests is not None
    assert rests.status is OrderStatus.CANCELED
    with pytest.raises(Refused, match="not_trading"):
        house.apply(order(instrument=key), bench.instant(6_000))


def test_the_end_of_the_recording_delists_nothing() -> None:
    bench = Bench()
    end = bench.market.span_ms("binance")[1]
    bench = Bench(start_ms=end - 1_000, market=bench.market)
    house = bench.houses["binance"]
    house.step(bench.instant(5_000))
    assert house.engine.listing(BTC).status is MarketStatus.TRADING


def test_a_dead_mans_switch_cancels_at_its_time_unless_it_is_called_off() -> None:
    bench = Bench()
    house = bench.houses["binance"]
    now = bench.instant()
    low = str(best(bench, house, now)[0] * 9 // 10)
    house.apply(order(Side.BUY, "0.1", low, client_id="a"), now)
    house.countdown("u1:usdm", BTC, now.wall_ms + 1_000)
    house.countdown("u1:usdm", BTC, None)
    house.step(bench.instant(2_000))
    assert len(house.engine.open_orders("u1:usdm")) == 1
    house.countdown("u1:usdm", "", now.wall_ms + 3_000)
    house.step(bench.instant(2_999))
    assert len(house.engine.open_orders("u1:usdm")) == 1
    house.step(bench.instant(3_000))
    assert house.engine.open_orders("u1:usdm") == []


def test_money_is_conserved_over_a_life_and_the_same_life_gives_the_same_bytes() -> None:
    def lived() -> House:
        bench = Bench(speed=2_880.0)
        house = bench.houses["binance"]
        for number in range(60):
            now = bench.instant(number * 500)
            house.apply(order(Side.BUY if number % 3 else Side.SELL, "0.05"), now)
            house.step(now)
        return house

    house = lived()
    assert set(house.engine.totals().values()) == {Decimal(0)}
    assert house.engine.snapshot() == lived().engine.snapshot()


def test_listings_follow_the_market() -> None:
    bench = Bench()
    house = bench.houses["binance"]
    assert house.listing_key("perp", "BTCUSDT", bench.instant()) == BTC
    assert house.listing_key("perp", "NOPEUSDT", bench.instant()) is None
    listing = house.engine.listing(BTC)
    instrument = house.instrument(BTC)
    assert instrument is not None
    assert (listing.price_tick, listing.quantity_step) == (instrument.tick, instrument.step)
    assert [tier.leverage_max for tier in listing.tiers] == [125, 100, 50, 20, 10, 1]
    floor = Decimal(0)
    for tier in listing.tiers:  # maintenance has no step where a bracket begins
        below = next((one for one in listing.tiers if one.notional_max == floor), None)
        if below is not None:
            at = [floor * one.maintenance_ratio - one.maintenance_amount for one in (below, tier)]
            assert at[0] == at[1]
        floor = tier.notional_max
    assert house.engine.listing("spot:BTCUSDT").marginable
