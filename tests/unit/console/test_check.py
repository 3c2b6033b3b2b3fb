"""`fundarb check` against a venue in memory: each row, and what one venue's trouble does to the others."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.config.load import load_with_report
from libs.common.config.schema import Config
from libs.common.instant import ManualClock
from libs.console.checks import Row, act_rows, config_rows
from libs.console.main import main
from libs.console.verbs.check import venue_rows
from libs.exchange.port import MarketData
from tests.helpers.fake_market import FakeMarket, down
from tests.unit.config.base import GOOD, with_value, write

CLOCK = ManualClock()
AHEAD_MS = CLOCK.now().market_ms + 3_600_000
SLUGS = ("BTC-USDT", "BTC-USDT-PERP", "ETH-USDT", "ETH-USDT-PERP")


def market(venue: str = "binance", *slugs: str) -> FakeMarket:
    fake = FakeMarket(venue, slugs or SLUGS, CLOCK)
    for one in fake.listed.values():
        one.rows = [(AHEAD_MS, 0.0001)]
        one.instrument = msgspec.structs.replace(
            one.instrument,
            notional_min=Decimal(5),
            quantity_min=Decimal("0.001"),
            quantity_step=Decimal("0.001"),
        )
    return fake


def change(fake: FakeMarket, slug: str, **fields: Any) -> None:
    one = fake.listed[slug]
    one.instrument = msgspec.structs.replace(one.instrument, **fields)


def opening(*markets: MarketData) -> Callable[[str], Awaitable[MarketData]]:
    known = {fake.venue: fake for fake in markets}

    async def open_venue(venue: str) -> MarketData:
        if venue not in known:
            raise ValueError(f"unknown venue {venue!r}")
        return known[venue]

    return open_venue


def config(tmp_path: Path, tree: Any = GOOD) -> Config:
    return load_with_report([write(tmp_path, tree)], {}).config


def states(rows: list[Row]) -> dict[str, str]:
    return {row.subject: row.state for row in rows}


def row(rows: list[Row], subject: str) -> Row:
    (found,) = [row for row in rows if row.subject == subject]
    return found


async def test_all_is_well(tmp_path: Path) -> None:
    binance, bitget = market(), market("bitget", "BTC-USDT-PERP")
    rows = await venue_rows(config(tmp_path), opening(binance, bitget))
    assert set(states(rows).values()) == {"ok"}
    assert binance.closed
    assert bitget.closed
    assert "lists 4 instruments" in row(rows, "binance").text
    assert "+1.000 bps per 8 h (interval from: endpoint)" in row(rows, "binance BTC-USDT-PERP funding").text
    assert "binance BTC-USDT funding" not in states(rows)


@pytest.mark.parametrize(
    ("error_class", "state"),
    [("network", "unreachable"), ("timeout", "unreachable"), ("rate_limit", "unreachable"),
     ("bad_payload", "refused"), ("exchange", "refused")],
)  # fmt: skip
@pytest.mark.parametrize("method", ["load", "fetch_clock_offset_ms", "fetch_quotes", "fetch_funding"])
async def test_one_venue_out_of_reach_leaves_the_other_its_rows(
    tmp_path: Path, method: str, error_class: str, state: str
) -> None:
    binance, bitget = market(), market("bitget", "BTC-USDT-PERP")
    binance.fail(method, down("binance", error_class, "no route to host"))
    rows = await venue_rows(config(tmp_path), opening(binance, bitget))
    failed = [row for row in rows if row.state != "ok"]
    assert [(row.subject, row.state) for row in failed] == [("binance", state)]
    assert "no route to host" in failed[0].text
    assert failed[0].remedy
    assert states(rows)["bitget BTC-USDT-PERP"] == "ok"
    assert binance.closed


@pytest.mark.parametrize(
    ("offset_ms", "state"),
    [(0, "ok"), (-249, "ok"), (250, "warning"), (-499, "warning"), (500, "refused"), (-90_000, "refused")],
)
async def test_the_clock(tmp_path: Path, offset_ms: float, state: str) -> None:
    binance = market()
    binance.offset_ms = offset_ms
    rows = await venue_rows(config(tmp_path), opening(binance, market("bitget", "BTC-USDT-PERP")))
    assert row(rows, "binance clock").state == state
    assert (row(rows, "binance clock").remedy == "") == (state == "ok")


async def test_what_a_venue_does_not_list_or_refuses(tmp_path: Path) -> None:
    binance = market("binance", "BTC-USDT", "BTC-USDT-PERP", "ETH-USDT")
    change(binance, "ETH-USDT", refused="delisted")
    rows = await venue_rows(config(tmp_path), opening(binance, market("bitget", "BTC-USDC-PERP")))
    assert row(rows, "binance ETH-USDT").state == "refused"
    assert row(rows, "binance ETH-USDT").text == "delisted"
    assert row(rows, "binance ETH-USDT-PERP").remedy == "no perp market of ETH is there"
    assert row(rows, "bitget BTC-USDT-PERP").remedy == "there is BTC-USDC-PERP"
    assert row(rows, "binance BTC-USDT").state == "ok"


async def test_a_venue_without_a_record_is_refused(tmp_path: Path) -> None:
    rows = await venue_rows(config(tmp_path), opening(market()))
    assert row(rows, "bitget").state == "refused"
    assert row(rows, "binance").state == "ok"


@pytest.mark.parametrize(
    ("fields", "state", "said"),
    [
        ({"notional_min": Decimal(1000)}, "ok", "at least 1000 USDT"),
        ({"notional_min": Decimal("1000.01")}, "refused", "below its minimum"),
        ({"quantity_min": Decimal(10)}, "ok", "step"),
        ({"quantity_min": Decimal("10.1")}, "refused", "less than one lot"),
        ({"quantity_step": Decimal("0.02")}, "ok", "step 0.02"),
        ({"quantity_step": Decimal("0.03")}, "warning", "one step is 0.30 %"),
        ({"quantity_step": None, "quantity_min": None, "notional_min": None}, "ok", "step unknown"),
        ({"contract_size": Decimal("0.01")}, "ok", "contract 0.01 BTC"),
    ],
)
async def test_the_position_must_fit_lot_and_minimum(
    tmp_path: Path, fields: dict[str, Any], state: str, said: str
) -> None:
    binance = market()  # at a price of 100, 1,000 USD are 10
    binance.listed["BTC-USDT-PERP"].spread = 0.0
    change(binance, "BTC-USDT-PERP", **fields)
    rows = await venue_rows(config(tmp_path), opening(binance, market("bitget", "BTC-USDT-PERP")))
    found = row(rows, "binance BTC-USDT-PERP")
    assert (found.state, said in found.text) == (state, True), found


async def test_a_rate_without_interval_is_never_guessed(tmp_path: Path) -> None:
    binance = market()
    binance.listed["BTC-USDT-PERP"].interval_hours = None
    binance.left_out.add("ETH-USDT-PERP")
    rows = await venue_rows(config(tmp_path), opening(binance, market("bitget", "BTC-USDT-PERP")))
    assert "never guessed" in row(rows, "binance BTC-USDT-PERP funding").remedy
    assert row(rows, "binance ETH-USDT-PERP funding").state == "refused"


class Stuck(FakeMarket):
    """A venue that breaks in a way the port does not allow."""

    async def load(self) -> dict[str, Any]:
        raise TimeoutError


async def test_a_venue_that_never_answers_is_unreachable(tmp_path: Path) -> None:
    stuck = Stuck("binance", SLUGS, CLOCK)
    rows = await venue_rows(config(tmp_path), opening(stuck, market("bitget", "BTC-USDT-PERP")))
    assert row(rows, "binance").state == "unreachable"
    assert stuck.closed


# --- without a network ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "subject", "wanted"),
    [
        (("thresholds", "flip_policy"), "tolerance", "thresholds.flip_policy", ("warning", "-16.6 %")),
        (("thresholds", "flip_policy"), "cost_aware", "thresholds.flip_policy", ("ok", "1 x 40 bps")),
        (
            ("thresholds", "flipExit"),
            True,
            "thresholds.flip_policy",
            ("warning", "tolerance leaves after 2 h"),
        ),
        (("thresholds", "flipExit"), False, "thresholds.flipExit", ("warning", "stays open")),
        (("thresholds", "forecast"), "flat", "thresholds.forecast", ("warning", "taken to last")),
        (("thresholds", "forecast"), "expected", "thresholds.forecast", ("ok", "not taken to last")),
        (("costs", "borrowRateDaily"), 0.001, "costs.borrow_daily", ("ok", "only where spot is borrowed")),
        (("exchanges", "perp", "apiKey"), "k", "exchanges.perp", ("warning", "an observer uses no keys")),
        (("exchanges", "other", "id"), "okx", "okx", ("warning", "never exercised")),
    ],
)
def test_what_the_config_alone_tells(
    tmp_path: Path, path: tuple[str, ...], value: Any, subject: str, wanted: tuple[str, str]
) -> None:
    file = write(tmp_path, with_value(path, value))
    file.chmod(0o600)
    found = row(list(config_rows(load_with_report([file], {}))), subject)
    state, said = wanted
    assert (found.state, said in found.text) == (state, True), found


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"exchanges": GOOD["exchanges"]},
        {"symbols": ["BTC/USDT"]},
        {"exchanges": {"spot": GOOD["exchanges"]["spot"]}, "symbols": []},
    ],
)
def test_without_any_pair_it_refuses_as_up_does(
    tmp_path: Path, tree: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, tree)
    code = main(["check", "--offline", "--json", "--config", str(path)])
    rows = {found["subject"]: found for found in json.loads(capsys.readouterr().out)["rows"]}
    assert (code, rows["pairs"]["state"]) == (1, "refused")
    assert "no pairs to watch" in rows["pairs"]["text"]
    assert "`spot` and `perp`" in rows["pairs"]["remedy"]
    assert main(["up", "--config", str(path)]) == 2
    assert f"no pairs to watch: {rows['pairs']['remedy']}" in capsys.readouterr().err


DECIDED = {
    "thresholds": {"flip_policy": "cost_aware", "forecast": "flat"},
    "limits": {"max_notional_usd": 1000},
}


def test_live_that_is_meant_once_is_told(tmp_path: Path) -> None:
    config = load_with_report([write(tmp_path, {**GOOD, "mode": "live", **DECIDED})], {}).config
    (once,) = act_rows(config, {})
    assert (once.state, once.subject) == ("warning", "mode")
    assert "--live" in once.remedy
    (twice,) = act_rows(config, {"FUNDARB_LIVE": "1"})
    assert twice.state == "ok"
    assert "real orders, at most 1,000 USD" in twice.text
    assert not list(act_rows(Config(), {"FUNDARB_LIVE": "1"}))


def test_live_without_keys_is_refused(tmp_path: Path) -> None:
    tree = {**GOOD, "mode": "live", **DECIDED}
    rows = list(config_rows(load_with_report([write(tmp_path, tree)], {})))
    found = row(rows, "exchanges.other")
    assert found.state == "refused"
    assert "api_key and secret and password" in found.text
    assert "FUNDARB__EXCHANGES__OTHER__API_KEY_FILE" in found.remedy


@pytest.mark.parametrize(("mode", "code"), [("observer", 0), ("paper", 0), ("live", 1)])
def test_the_exit_code_is_the_answer(
    tmp_path: Path, mode: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, {**GOOD, "mode": mode, **DECIDED})
    assert main(["check", "--offline", "--config", str(path)]) == code
    assert "warning" in capsys.readouterr().out
    assert main(["check", "--offline", "--json", "--config", str(path)]) == code
    assert json.loads(capsys.readouterr().out)["ok"] is (code == 0)
