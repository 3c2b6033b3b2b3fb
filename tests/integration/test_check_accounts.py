"""`fundarb check` over accounts, by real ccxt on the simulated venue: what is to be mended is in its rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Limits, Mode, PairLegs, Position, Thresholds
from libs.console.account_check import account_rows_of
from libs.console.checks import Row
from libs.console.verbs.check import venue_rows
from libs.exchange.factory import NoKeys, open_market_data, open_trading
from libs.exchange.port import MarketData
from libs.exchange.trading import MarginMode, PositionMode, Trading
from services.venue import customers, keys
from tests.helpers.trading import config_of, trading_on
from tests.helpers.venue import Venue, running_venue

PAIRS = (
    PairLegs(symbol="BTC/USDT", legs=("spot", "perp")),
    PairLegs(symbol="BTC/USDT", legs=("perp", "unified")),
)


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue() as running:
        yield running


def config_on(venue: Venue, **fields: Any) -> Config:
    return msgspec.structs.replace(
        config_of(customers.told(venue.server.keys["u1"])),
        symbols=("BTC/USDT",),
        pairs=PAIRS,
        position=Position(notional_usd=1_000, futures_margin_leverage=3),
        **fields,
    )


def live_on(venue: Venue) -> Config:
    rules = Thresholds(flip_policy="cost_aware", forecast="expected")
    return config_on(venue, mode=Mode.LIVE, thresholds=rules, limits=Limits(max_notional_usd=1_000))


async def rows_of(venue: Venue, config: Config) -> dict[str, Row]:
    async def open_account(name: str) -> Trading | None:
        try:
            return await open_trading(name, config=config, clock=SystemClock(), redirect=venue.redirect)
        except NoKeys:
            return None

    return {row.subject: row for row in await account_rows_of(config, open_account)}


def with_key(venue: Venue, config: Config, **fields: Any) -> Config:
    """The config with a new key at Binance."""
    house = venue.server.houses["binance"]
    key = keys.make("binance", "u1", seed=5, number=9, **fields)
    house.add_key(key)
    exchanges = {
        name: msgspec.structs.replace(one, api_key=key.api_key, secret=key.secret)
        if one.id.startswith("binance")
        else one
        for name, one in config.exchanges.items()
    }
    return msgspec.structs.replace(config, exchanges=exchanges)


async def test_a_sound_account_has_a_row_for_each_thing(venue: Venue) -> None:
    rows = await rows_of(venue, live_on(venue))
    assert rows["binance key"].state == rows["bitget key"].state == "ok"
    assert rows["binance spot USDT"].state == "ok"
    assert rows["binance futures USDT"].state == "ok"
    assert rows["bitget unified USDT"].state == "ok"
    assert rows["binance BTC-USDT-PERP settings"].state in ("ok", "warning")
    assert not any(row.state == "refused" for row in rows.values()), rows


async def test_settings_that_differ_are_told_and_are_ok_once_set(venue: Venue) -> None:
    config = config_on(venue)
    async with trading_on(venue.redirect, config, "binance") as trading:
        await trading.configure(
            "BTC-USDT-PERP",
            margin_mode=MarginMode.CROSS,
            leverage=17,
            position_mode=PositionMode.ONE_WAY,
        )
    row = (await rows_of(venue, config))["binance BTC-USDT-PERP settings"]
    assert row.state == "warning"
    assert "leverage is 17, 3 is configured" in row.text


async def test_a_key_that_may_withdraw_and_one_without_addresses_are_refused(venue: Venue) -> None:
    rows = await rows_of(venue, with_key(venue, live_on(venue), permissions=keys.ALL))
    assert rows["binance key"].state == "refused"
    assert "Enable Withdrawals" in rows["binance key"].remedy
    assert rows["bitget key"].state == "ok"


async def test_a_key_that_works_from_anywhere_is_refused_in_live_alone(venue: Venue) -> None:
    free: dict[str, Any] = {"ip_bound": False}
    rows = await rows_of(venue, with_key(venue, live_on(venue), **free))
    assert rows["binance key"].state == "refused"
    assert "trusted IPs" in rows["binance key"].remedy


async def test_funds_in_the_wrong_wallet_are_found_with_the_way_back(venue: Venue) -> None:
    config = live_on(venue)
    async with trading_on(venue.redirect, config, "binance") as trading:
        free = next(
            one.free for one in await trading.balances() if (one.wallet, one.asset) == ("futures", "USDT")
        )
        await trading.transfer("USDT", free - Decimal(40), source="futures", target="spot")
    row = (await rows_of(venue, config))["binance futures USDT"]
    assert row.state == "refused"
    assert "move 300 USDT from spot to futures (Binance > Wallet > Transfer)" in row.remedy


async def test_a_wrong_secret_is_refused_and_the_other_venue_has_its_rows(venue: Venue) -> None:
    config = config_on(venue)
    exchanges = {
        name: msgspec.structs.replace(one, secret="wrong" * 8) if one.id.startswith("binance") else one
        for name, one in config.exchanges.items()
    }
    rows = await rows_of(venue, msgspec.structs.replace(config, exchanges=exchanges))
    assert rows["binance account"].state == "refused"
    assert "belong together" in rows["binance account"].remedy
    assert "wrongwrong" not in f"{rows}"
    assert rows["bitget key"].state == "ok"


async def test_without_keys_the_public_part_stands_alone(venue: Venue) -> None:
    config = config_on(venue)
    bare = {
        name: msgspec.structs.replace(one, api_key="", secret="", password="")
        for name, one in config.exchanges.items()
    }
    config = msgspec.structs.replace(config, exchanges=bare)
    assert await rows_of(venue, config) == {}

    async def open_venue(name: str) -> MarketData:
        return await open_market_data(name, config=config, clock=SystemClock(), redirect=venue.redirect)

    rows = {row.subject: row for row in await venue_rows(config, open_venue)}
    assert rows["binance latency"].state in ("ok", "warning")
    assert "answers in" in rows["binance latency"].text
    assert rows["binance clock"].state == "ok"
    sizes = [row for subject, row in rows.items() if subject.startswith("BTC-USDT_")]
    assert len(sizes) == 2
    assert all("common step" in row.text for row in sizes)
