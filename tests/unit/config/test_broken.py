"""Each broken config is refused with its path, the reason and, where a name was meant, the nearest one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.config.assign import dotted
from libs.common.config.legs import pair_specs
from libs.common.config.load import ConfigError, load_config, load_with_report
from libs.common.subjects import Kind
from libs.console.main import main
from tests.unit.config.base import (
    ABSENT,
    GOOD,
    Broken,
    misspelled,
    out_of_bounds,
    with_value,
    write,
    wrong_types,
    wrong_words,
)


def by_hand(name: str, path: str, value: Any, reason: str, *, at: str = "", nearest: str = "") -> Broken:
    """`path` with dots, indices included; `at` is what the message names when that is another place."""
    parts = tuple(int(part) if part.isdecimal() else part for part in path.split("."))
    return Broken(name=name, path=parts, value=value, at=at or dotted(parts), reason=reason, nearest=nearest)


BY_HAND = [
    by_hand("bps as a fraction", "costs.taker", 5, "5 bps is 0.0005"),
    by_hand("percent as a fraction", "costs.taker", 0.05, "0.05 % is 0.0005"),
    by_hand("a fraction as bps", "costs.slippage_bps", 0.0005, "0.0005 is 5 bps"),
    by_hand("a fraction as taker_bps", "costs.maker_bps", 0.0002, "0.0002 is 2 bps"),
    by_hand("a percent text", "costs.maker", "0.02%", "0.02% is 0.0002"),
    by_hand("a percent text for bps", "costs.slippage_bps", "0.05%", "0.05% is 5 bps"),
    by_hand("a number in quotes", "position.notional_usd", "50,000", "write 50000"),
    by_hand("no interval", "monitor.intervalSec", 0, "at least 1"),
    by_hand("milliseconds", "monitor.intervalSec", 30000, "30000 milliseconds are 30"),
    by_hand("a negative notional", "position.notional_usd", -1, "above 0"),
    by_hand("a delta on purpose", "position.deltaTarget", 0.1, "write 0, or leave it out"),
    by_hand("a delta the other way", "position.delta_target", -0.02, "0 is expected, not -0.02"),
    by_hand("leverage above the limit", "position.futures_margin_leverage", 10, "exceeds max_leverage 5"),
    by_hand("half a period", "thresholds.consecutive_periods", 2.5, "whole number"),
    by_hand("a bool in quotes", "thresholds.flipExit", "yes", "write true"),
    by_hand("an integer beyond floats", "position.notional_usd", 10**39, "at most"),
    by_hand("taker and taker_bps disagree", "costs.taker_bps", 6, "contradicts costs.taker"),
    by_hand(
        "both spellings disagree",
        "thresholds.daily_funding_min",
        0.001,
        "contradicts thresholds.dailyFundingMin",
    ),
    by_hand("unknown venue", "exchanges.perp.id", "binnance", "unknown exchange", nearest="binance"),
    by_hand("a receive window", "exchanges.perp.options.recvWindow", 60_000, "counted on"),
    by_hand("another spelling", "exchanges.perp.options.recv_window", 60_000, "counted on"),
    by_hand("former name", "exchanges.other.id", "huobi", "unknown exchange", nearest="htx"),
    by_hand("coin-margined", "exchanges.other.id", "binancecoinm", "margined in coins", nearest="binance"),
    by_hand(
        "no spot there", "exchanges.spot.id", "binanceusdm", "has no spot market", at="exchanges.spot.type"
    ),
    by_hand("spot is swap", "exchanges.spot.type", "swap", "named spot has type swap", nearest="spot"),
    by_hand("perp is spot", "exchanges.perp.type", "spot", "named perp has type spot", nearest="swap"),
    by_hand("id is missing", "exchanges.other.id", ABSENT, "is missing"),
    by_hand("type is missing", "exchanges.other.type", ABSENT, "is missing"),
    by_hand("a bad account", "exchanges.other.account", "my sub", "is no name"),
    by_hand("a bad exchange name", "exchanges.my perp", {"id": "okx", "type": "swap"}, "is no name"),
    by_hand("a bad deployment", "deployment", "a.b", "is no name"),
    by_hand(
        "no slash", "symbols", ["BTCUSDT"], "BASE/QUOTE is expected", at="symbols[0]", nearest="BTC/USDT"
    ),
    by_hand(
        "a dash",
        "symbols",
        ["BTC/USDT", "eth-usdt"],
        "BASE/QUOTE is expected",
        at="symbols[1]",
        nearest="ETH/USDT",
    ),
    by_hand(
        "lower case", "symbols", ["btc/usdt"], "BASE/QUOTE is expected", at="symbols[0]", nearest="BTC/USDT"
    ),
    by_hand(
        "unified perpetual",
        "symbols",
        ["BTC/USDT:USDT"],
        "names one market",
        at="symbols[0]",
        nearest="BTC/USDT",
    ),
    by_hand("coin-settled", "symbols", ["BTC/USD:BTC"], "different currencies", at="symbols[0]"),
    by_hand("no date", "symbols", ["BTC/USDT:USDT-249999"], "has no date", at="symbols[0]"),
    by_hand("symbols are no list", "symbols", "BTC/USDT", 'write ["BTC/USDT"]'),
    by_hand("a number as a symbol", "symbols", [7], "text in quotes is expected", at="symbols[0]"),
    by_hand("unknown leg", "pairs.1.legs", ["perp", "othr"], "none of the exchanges", nearest="other"),
    by_hand("identical legs", "pairs.1.legs", ["perp", "perp"], "both legs are BTC-USDT-PERP"),
    by_hand("three legs", "pairs.1.legs", ["perp", "other", "spot"], "a list of 2"),
    by_hand("a pair without legs", "pairs.1.legs", ABSENT, "legs is missing", at="pairs[1]"),
    by_hand("a typo in a pair", "pairs.1.leg", [], "unknown key", nearest="legs"),
    by_hand(
        "the same pair twice", "pairs.1.legs", ["spot", "perp"], "same pair as in pairs[0]", at="pairs[1]"
    ),
    by_hand(
        "a dated pair without a future",
        "pairs.1.symbol",
        "BTC/USDT:USDT-261225",
        'set exchanges.perp.type or exchanges.other.type to "future"',
    ),
    by_hand(
        "a dated symbol of every pair, on a swap",
        "symbols",
        ["BTC/USDT", "BTC/USDT:USDT-261225"],
        'set exchanges.perp.type to "future"',
        at="pairs[0].symbol",
    ),
    by_hand(
        "policy without exit",
        "thresholds",
        {"flip_exit": False, "flip_policy": "cost_aware"},
        "flip_exit is false",
        at="thresholds.flip_policy",
    ),
    by_hand(
        "reverse without exit",
        "thresholds",
        {"flipExit": False, "flip_reverse": True},
        "flip_exit is false",
        at="thresholds.flip_reverse",
    ),
    by_hand("limit below a position", "limits.max_notional_usd", 500, "nothing opens"),
    by_hand(
        "polling slower than giving up",
        "timeouts",
        {"open_timeout_sec": 2, "poll_interval_sec": 2},
        "reaches open_timeout",
        at="timeouts.poll_interval_sec",
    ),
    by_hand(
        "costs of nobody",
        "costs.venues",
        {"binanse": {}},
        "is no exchange, sub-account or product",
        at="costs.venues.binanse",
        nearest="costs.venues.binance",
    ),
    by_hand("no address", "notify.heartbeat_url", "ftp:x", "no web address"),
    by_hand("demo in a file", "mode", "demo", "set by `fundarb demo` alone"),
    by_hand("a key of another section", "notional_usd", 1000, "unknown key", nearest="position.notional_usd"),
    by_hand("a section that is a number", "costs", 5, "a section { ... } is expected"),
    by_hand("history too short to expect", "monitor.history_days", 3, "too short"),
]

GENERATED = [*out_of_bounds(), *misspelled(), *wrong_words(), *wrong_types()]


def tree_of(broken: Broken) -> dict[str, Any]:
    tree = with_value(broken.path, broken.value)
    if broken.name == "history too short to expect":
        tree["thresholds"]["forecast"] = "expected"
    return tree


def check(broken: Broken, path: Path, text: str) -> None:
    lines = [line for line in text.splitlines() if f": {broken.at}: " in line and broken.reason in line]
    assert lines, f"no line about {broken.at} ({broken.reason}) in:\n{text}"
    assert all(line.startswith(f"{path}") for line in text.splitlines())
    if broken.nearest:
        assert any("did you mean" in line and broken.nearest in line for line in lines), text


def test_there_are_enough_of_them() -> None:
    assert len(BY_HAND) >= 50
    assert len(GENERATED) >= 150


def test_what_they_are_made_from_is_accepted(tmp_path: Path) -> None:
    loaded = load_with_report([write(tmp_path, GOOD)], {})
    assert loaded.warnings == ()
    assert len(loaded.config.exchanges) == 3


@pytest.mark.parametrize("broken", [*BY_HAND, *GENERATED], ids=str)
def test_a_broken_config_is_refused(broken: Broken, tmp_path: Path) -> None:
    path = write(tmp_path, tree_of(broken))
    with pytest.raises(ConfigError) as caught:
        load_config([path], {})
    check(broken, path, str(caught.value))


@pytest.mark.parametrize("broken", BY_HAND, ids=str)
def test_the_command_says_so_and_exits_with_2(
    broken: Broken, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, tree_of(broken))
    for verb in (["check", "--offline"], ["config", "show"]):
        assert main([*verb, "--config", str(path)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        check(broken, path, said.err)


@pytest.mark.parametrize("broken", BY_HAND[:5], ids=str)
def test_check_tells_scripts_in_json(
    broken: Broken, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, tree_of(broken))
    assert main(["check", "--offline", "--json", "--config", str(path)]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert [row["state"] for row in answer["rows"]] == ["refused"]
    assert answer["rows"][0]["subject"] == broken.at


def test_a_dated_symbol_never_becomes_the_perpetual_by_itself(tmp_path: Path) -> None:
    """Neither through the default pair of `spot` and `perp`; a future against a perpetual is asked for."""
    exchanges = {"spot": {"id": "binance", "type": "spot"}, "perp": {"id": "binance", "type": "swap"}}
    dated = "BTC/USDT:USDT-261225"
    with pytest.raises(ConfigError, match=r"symbols\[0\].*is dated.*exchanges\.perp\.type to \"future\""):
        load_config([write(tmp_path, {"symbols": [dated], "exchanges": exchanges})], {})
    future = {**exchanges, "perp": {"id": "binance", "type": "future"}}
    (pair,) = pair_specs(load_config([write(tmp_path, {"symbols": [dated], "exchanges": future})], {}))
    assert pair.id == "BTC-USDT_binance-spot_binance-261225"
    both = {**exchanges, "quarter": {"id": "binance", "type": "future"}}
    spread = {"exchanges": both, "pairs": [{"symbol": dated, "legs": ["perp", "quarter"]}]}
    (pair,) = pair_specs(load_config([write(tmp_path, spread)], {}))
    assert [leg.kind for leg in pair.legs] == [Kind.PERP, Kind.FUTURE]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    tree = {"mode": "liv", "costs": {"taker": 5, "makr": 1}, "symbols": ["BTCUSDT"], "pears": []}
    with pytest.raises(ConfigError) as caught:
        load_config([write(tmp_path, tree)], {})
    said = {problem.path for problem in caught.value.problems}
    assert said == {"mode", "costs.taker", "costs.makr", "symbols[0]", "pears"}


def test_a_mistake_names_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, '{\n  // costs\n  "costs": {\n    "taker": 0.0005,\n    "makr": 0.0002\n  }\n}')
    with pytest.raises(
        ConfigError, match=r"config\.json:5: costs\.makr: unknown key; did you mean costs\.maker\?"
    ):
        load_config([path], {})
