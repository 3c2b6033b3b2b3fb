"""Each broken config is refused with its path, the reason and, where a name was meant, the nearest one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libs.common.config.load import ConfigError, load_config, load_with_report
from libs.console.main import main
from tests.unit.config.base import (
    ABSENT,
    GOOD,
    Broken,
    misspelled,
    out_of_bounds,
    with_value,
    wrong_types,
    wrong_words,
    write,
)

BY_HAND = [
    Broken(name=name, path=path, value=value, at=at, reason=reason, nearest=nearest)
    for name, path, value, at, reason, nearest in [
        ("bps as a fraction", ("costs", "taker"), 5, "costs.taker", "5 bps is 0.0005", ""),
        ("percent as a fraction", ("costs", "taker"), 0.05, "costs.taker", "0.05 % is 0.0005", ""),
        ("a fraction as bps", ("costs", "slippage_bps"), 0.0005, "costs.slippage_bps", "0.0005 is 5 bps", ""),
        ("a fraction as taker_bps", ("costs", "maker_bps"), 0.0002, "costs.maker_bps", "0.0002 is 2 bps", ""),
        ("a percent text", ("costs", "maker"), "0.02%", "costs.maker", "0.02% is 0.0002", ""),
        ("a percent text for bps", ("costs", "slippage_bps"), "0.05%", "costs.slippage_bps", "0.05% is 5 bps", ""),
        ("a number in quotes", ("position", "notional_usd"), "50,000", "position.notional_usd", "write 50000", ""),
        ("no interval", ("monitor", "intervalSec"), 0, "monitor.intervalSec", "at least 1", ""),
        ("milliseconds", ("monitor", "intervalSec"), 30_000, "monitor.intervalSec", "30000 milliseconds are 30", ""),
        ("a negative notional", ("position", "notional_usd"), -1, "position.notional_usd", "above 0", ""),
        ("leverage above the limit", ("position", "futures_margin_leverage"), 10,
         "position.futures_margin_leverage", "exceeds max_leverage 5", ""),
        ("half a period", ("thresholds", "consecutive_periods"), 2.5, "thresholds.consecutive_periods", "whole number", ""),
        ("a bool in quotes", ("thresholds", "flipExit"), "yes", "thresholds.flipExit", "write true", ""),
        ("an integer beyond floats", ("position", "notional_usd"), 10**39, "position.notional_usd", "at most", ""),
        ("taker and taker_bps disagree", ("costs", "taker_bps"), 6, "costs.taker_bps", "contradicts costs.taker", ""),
        ("both spellings disagree", ("thresholds", "daily_funding_min"), 0.001,
         "thresholds.daily_funding_min", "contradicts thresholds.dailyFundingMin", ""),
        ("unknown venue", ("exchanges", "perp", "id"), "binnance", "exchanges.perp.id", "unknown exchange", "binance"),
        ("former name", ("exchanges", "other", "id"), "huobi", "exchanges.other.id", "unknown exchange", "htx"),
        ("coin-margined", ("exchanges", "other", "id"), "binancecoinm", "exchanges.other.id", "margined in coins", "binance"),
        ("no spot there", ("exchanges", "spot", "id"), "binanceusdm", "exchanges.spot.type", "has no spot market", ""),
        ("spot is swap", ("exchanges", "spot", "type"), "swap", "exchanges.spot.type", "named spot has type swap", "spot"),
        ("perp is spot", ("exchanges", "perp", "type"), "spot", "exchanges.perp.type", "named perp has type spot", "swap"),
        ("id is missing", ("exchanges", "other", "id"), ABSENT, "exchanges.other.id", "is missing", ""),
        ("type is missing", ("exchanges", "other", "type"), ABSENT, "exchanges.other.type", "is missing", ""),
        ("a bad account", ("exchanges", "other", "account"), "my sub", "exchanges.other.account", "is no name", ""),
        ("a bad exchange name", ("exchanges", "my perp"), {"id": "okx", "type": "swap"},
         "exchanges.my perp", "is no name", ""),
        ("a bad deployment", ("deployment",), "a.b", "deployment", "is no name", ""),
        ("no slash", ("symbols",), ["BTCUSDT"], "symbols[0]", "BASE/QUOTE is expected", "BTC/USDT"),
        ("a dash", ("symbols",), ["BTC/USDT", "eth-usdt"], "symbols[1]", "BASE/QUOTE is expected", "ETH/USDT"),
        ("lower case", ("symbols",), ["btc/usdt"], "symbols[0]", "BASE/QUOTE is expected", "BTC/USDT"),
        ("unified perpetual", ("symbols",), ["BTC/USDT:USDT"], "symbols[0]", "names one market", "BTC/USDT"),
        ("coin-settled", ("symbols",), ["BTC/USD:BTC"], "symbols[0]", "different currencies", ""),
        ("no date", ("symbols",), ["BTC/USDT:USDT-249999"], "symbols[0]", "has no date", ""),
        ("symbols are no list", ("symbols",), "BTC/USDT", "symbols", 'write ["BTC/USDT"]', ""),
        ("a number as a symbol", ("symbols",), [7], "symbols[0]", "text in quotes is expected", ""),
        ("unknown leg", ("pairs", 1, "legs"), ["perp", "othr"], "pairs[1].legs", "none of the exchanges", "other"),
        ("identical legs", ("pairs", 1, "legs"), ["perp", "perp"], "pairs[1].legs", "both legs are BTC-USDT-PERP", ""),
        ("three legs", ("pairs", 1, "legs"), ["perp", "other", "spot"], "pairs[1].legs", "a list of 2", ""),
        ("a pair without legs", ("pairs", 1, "legs"), ABSENT, "pairs[1]", "legs is missing", ""),
        ("a typo in a pair", ("pairs", 1, "leg"), [], "pairs[1].leg", "unknown key", "legs"),
        ("the same pair twice", ("pairs", 1, "legs"), ["spot", "perp"], "pairs[1]", "same pair as in pairs[0]", ""),
        ("a dated pair without a future", ("pairs", 1, "symbol"), "BTC/USDT:USDT-261225",
         "pairs[1].symbol", "no leg has type future", ""),
        ("policy without exit", ("thresholds",), {"flip_exit": False, "flip_policy": "cost_aware"},
         "thresholds.flip_policy", "flip_exit is false", ""),
        ("reverse without exit", ("thresholds",), {"flipExit": False, "flip_reverse": True},
         "thresholds.flip_reverse", "flip_exit is false", ""),
        ("limit below a position", ("limits", "max_notional_usd"), 500, "limits.max_notional_usd", "nothing opens", ""),
        ("polling slower than giving up", ("timeouts",), {"open_timeout_sec": 2, "poll_interval_sec": 2},
         "timeouts.poll_interval_sec", "reaches open_timeout", ""),
        ("costs of nobody", ("costs", "venues"), {"binanse": {}}, "costs.venues.binanse", "is no exchange", "costs.venues.binance"),
        ("no address", ("notify", "heartbeat_url"), "ftp:x", "notify.heartbeat_url", "no web address", ""),
        ("demo in a file", ("mode",), "demo", "mode", "set by `fundarb demo` alone", ""),
        ("a key of another section", ("notional_usd",), 1000, "notional_usd", "unknown key", "position.notional_usd"),
        ("a section that is a number", ("costs",), 5, "costs", "a section { ... } is expected", ""),
        ("history too short to expect", ("monitor", "history_days"), 3, "monitor.history_days", "too short", ""),
    ]
]  # fmt: skip

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
