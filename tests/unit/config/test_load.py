"""Files, environment, secrets and modes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from libs.common.config.legs import pair_specs
from libs.common.config.load import ConfigError, Loaded, load_config, load_with_report
from libs.common.config.schema import Mode
from tests.unit.config.base import GOOD, with_value, write


def loaded(folder: Path, tree: Any = GOOD, **env: str) -> Loaded:
    path = write(folder, tree)
    path.chmod(0o600)
    return load_with_report([path], env)


def refusal(folder: Path, tree: Any = GOOD, **env: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, tree, **env)
    return str(caught.value)


# --- files ---------------------------------------------------------------------------------------


def test_the_last_file_wins_and_says_so(tmp_path: Path) -> None:
    first = write(tmp_path, GOOD, "a.json")
    second = write(tmp_path, "[position]\nnotional_usd = 2000\n[costs]\ntaker_bps = 4\n", "b.toml")
    both = load_with_report([first, second], {})
    assert (both.config.position.notional_usd, both.config.costs.taker) == (2000, 0.0004)
    assert both.config.costs.venues["binance"].maker == 0.0001  # sections are merged, not replaced
    assert both.sources["position.notional_usd"] == str(second)
    assert both.sources["costs.venues.binance.maker"] == f"{first}:1"
    assert load_config([second, first], {}).position.notional_usd == 1000


def test_lists_are_replaced_whole(tmp_path: Path) -> None:
    files = [write(tmp_path, GOOD, "a.json"), write(tmp_path, {"symbols": ["SOL/USDT"]}, "b.json")]
    assert load_config(files, {}).symbols == ("SOL/USDT",)


def test_spellings_of_different_files_are_the_same_setting(tmp_path: Path) -> None:
    later = write(tmp_path, {"thresholds": {"daily_funding_min": 0.001}}, "b.json")
    assert load_config([write(tmp_path, GOOD, "a.json"), later], {}).thresholds.daily_funding_min == 0.001


def test_both_spellings_with_one_value_are_fine(tmp_path: Path) -> None:
    tree = with_value(("costs", "taker_bps"), 5)
    assert loaded(tmp_path, tree).config.costs.taker == 0.0005


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.json", None, "there is no such file; `fundarb init` writes one"),
        ("a.json", b"\xff\xfe{\x00}\x00", "is not UTF-8"),
        ("a.json", b"", "the file is empty"),
        ("a.json", b"[]", "a section { ... } is expected at the top"),
        ("a.json", b'{"costs": {"taker": 1,, }}', "a.json:1: column 23"),
        ("a.json", b'{"mode": 1,\n "mode": 1}', ":2: column 2: the key mode stands twice, first in line 1"),
        ("a.json", b'{"costs": {"taker": NaN}}', "only finite numbers"),
        ("a.json", b'{"costs": {"taker": 1e999}}', "only finite numbers"),
        ("a.json", b'{"symbols": ' + b"[" * 5000, "nested deeper"),
        ("a.json", b"{" + b" " * 1_100_000 + b"}", "larger than 1024 KiB"),
        ("a.toml", b"mode = observer", "is no TOML"),
        ("a.toml", b"[costs]\ntaker = nan", "costs.taker: a number is expected, not nan"),
        ("a.toml", b"[costs]\ntaker = 2024-01-01", "costs.taker: a number is expected"),
        ("a.toml", b"[costs]\ntaker = 1\ntaker = 2", "is no TOML"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_config(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config([path], {})
    assert str(caught.value).startswith(str(path))
    assert reason in str(caught.value)


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: is a directory"):
        load_config([tmp_path], {})


def test_a_byte_order_mark_and_chinese_comments(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('\ufeff{ // 名义本金\n"deployment": "x" /* 结束 */ }'.encode())
    assert load_config([path], {}).deployment == "x"


# --- environment ---------------------------------------------------------------------------------


def test_variables_override_files_in_any_spelling(tmp_path: Path) -> None:
    got = loaded(
        tmp_path,
        FUNDARB__THRESHOLDS__DAILYFUNDINGMIN="0.001",
        FUNDARB__POSITION__NOTIONAL_USD="3e3",
        FUNDARB__COSTS__MAKER_BPS="-1",
        FUNDARB__SYMBOLS="SOL/USDT, XRP/USDT",
        FUNDARB__EXCHANGES__OTHER__ID="okx",
        FUNDARB__EXECUTION__KEEP_PARTIAL="false",
        FUNDARB__EXCHANGES__PERP__OPTIONS='{"defaultType": "swap"}',
    )
    assert got.config.thresholds.daily_funding_min == 0.001
    assert got.config.position.notional_usd == 3000
    assert got.config.costs.maker == -0.0001
    assert got.config.symbols == ("SOL/USDT", "XRP/USDT")
    assert got.config.exchanges["other"].id == "okx"
    assert got.config.execution.keep_partial is False
    assert got.config.exchanges["perp"].options == {"defaultType": "swap"}
    assert got.sources["position.notional_usd"] == "FUNDARB__POSITION__NOTIONAL_USD"


def test_numbers_that_are_text_stay_text(tmp_path: Path) -> None:
    tree = with_value(("exchanges", "perp", "api_key"), "...")
    got = loaded(tmp_path, tree, FUNDARB__EXCHANGES__PERP__API_KEY="00123", FUNDARB__DEPLOYMENT="7")
    assert got.config.exchanges["perp"].api_key == "00123"
    assert got.config.deployment == "7"


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("FUNDARB__COSTS__TAKR", "1", "costs.takr: unknown key; did you mean FUNDARB__COSTS__TAKER?"),
        ("FUNDARB__COSTS__TAKER", "5", "5 bps is 0.0005"),
        ("FUNDARB__COSTS__TAKER", "0.05%", "0.05% is 0.0005"),
        ("FUNDARB__COSTS__TAKER", "", "the variable is empty"),
        ("FUNDARB__COSTS__TAKER__X", "1", "costs.taker has no parts"),
        ("FUNDARB__COSTS", "5", "a section { ... } is expected"),
        ("FUNDARB__COSTS", '{"takr": 1}', "costs.takr: unknown key"),
        ("FUNDARB__SYMBOLS", "BTCUSDT", "did you mean BTC/USDT?"),
        ("FUNDARB__EXCHANGES__PERP__OPTIONS__DEFAULTTYPE", "swap", "an option's case matters"),
        ("FUNDARB__MODE", "live", "live must be written in a config file"),
        ("FUNDARB__MODE", "demo", "set by `fundarb demo` alone"),
        ("FUNDARB_MODE", "live", "reserved for the demo verb"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, variable: str, value: str, reason: str) -> None:
    lines = refusal(tmp_path, **{variable: value}).splitlines()
    assert any(line.startswith(f"{variable}: ") and reason in line for line in lines), lines


def test_two_variables_for_one_setting_must_agree(tmp_path: Path) -> None:
    text = refusal(tmp_path, FUNDARB__COSTS__TAKER="0.0004", FUNDARB__COSTS__TAKER_BPS="5")
    assert "FUNDARB__COSTS__TAKER_BPS: costs.taker: contradicts FUNDARB__COSTS__TAKER" in text


def test_a_variable_with_one_underscore_is_pointed_out(tmp_path: Path) -> None:
    (warning,) = loaded(tmp_path, FUNDARB_COSTS__TAKER="0.0004", FUNDARB_CONFIG="x").warnings
    assert str(warning).startswith("FUNDARB_COSTS__TAKER: is ignored")


# --- secrets -------------------------------------------------------------------------------------


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    (tmp_path / "secret").write_text("from-env")
    for name in ("key", "secret"):
        (tmp_path / name).chmod(0o600)
    tree = with_value(("exchanges", "perp", "apiKeyFile"), "key")  # relative to the config
    got = loaded(tmp_path, tree, FUNDARB__EXCHANGES__PERP__SECRET_FILE=str(tmp_path / "secret"))
    assert (got.config.exchanges["perp"].api_key, got.config.exchanges["perp"].secret) == (
        "from-file",
        "from-env",
    )
    assert got.warnings == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "no such file"), (b"\n", "is empty"), (b"\xff\xff", "is not text"), (b"x" * 70_000, "too large")],
)
def test_a_secret_file_that_is_none(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    text = refusal(tmp_path, with_value(("exchanges", "perp", "secret_file"), "key"))
    assert "exchanges.perp.secret_file" in text
    assert reason in text
    assert str(tmp_path / "key") in text


def test_a_secret_and_its_file_must_agree(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter1")
    tree = with_value(
        ("exchanges", "perp"), {"id": "binance", "type": "swap", "secret": "hunter2", "secret_file": "key"}
    )
    text = refusal(tmp_path, tree)
    assert "contradicts exchanges.perp.secret" in text
    assert "hunter2" not in text
    assert "hunter1" not in text


def test_a_placeholder_for_a_secret_file_is_no_file(tmp_path: Path) -> None:
    got = loaded(tmp_path, with_value(("exchanges", "perp", "secret_file"), "<path>"))
    assert got.config.exchanges["perp"].secret == ""


def test_two_spot_legs_are_no_pair(tmp_path: Path) -> None:
    tree = with_value(("exchanges", "other", "type"), "spot")
    tree["pairs"][1]["legs"] = ["spot", "other"]
    assert "pairs[1].legs: both legs are spot, and spot earns no funding" in refusal(tmp_path, tree)


def test_a_placeholder_does_not_hide_an_earlier_key(tmp_path: Path) -> None:
    first = write(tmp_path, with_value(("exchanges", "perp", "apiKey"), "real-key"), "a.json")
    second = write(tmp_path, {"exchanges": {"perp": {"apiKey": "<your key>", "secret": "..."}}}, "b.json")
    perp = load_config([first, second], {}).exchanges["perp"]
    assert (perp.api_key, perp.secret) == ("real-key", "")


def test_a_key_never_follows_to_another_exchange(tmp_path: Path) -> None:
    first = write(tmp_path, with_value(("exchanges", "perp", "secret"), "binance-secret"), "a.json")
    second = write(tmp_path, {"exchanges": {"perp": {"id": "okx"}}}, "b.json")
    with pytest.raises(ConfigError, match="changes the exchange whose secret stands in") as caught:
        load_config([first, second], {})
    assert "binance-secret" not in str(caught.value)


LIVE = {
    **GOOD,
    "mode": "live",
    "thresholds": {"flip_policy": "cost_aware", "forecast": "expected"},
    "limits": {"max_notional_usd": 1000},
}


def test_a_readable_secret_is_a_warning_for_an_observer_and_a_refusal_in_live(tmp_path: Path) -> None:
    keyed = {"exchanges": {"perp": {"secret": "hunter2"}}}
    secret = write(tmp_path, keyed, "keys.json")
    secret.chmod(0o640)
    observer, live = write(tmp_path, GOOD, "o.json"), write(tmp_path, LIVE, "l.json")
    (warning,) = load_with_report([observer, secret], {}).warnings
    assert str(secret) in str(warning)
    assert "chmod 600" in str(warning)
    with pytest.raises(ConfigError, match="live trading refuses that") as caught:
        load_config([live, secret], {})
    assert "hunter2" not in f"{warning}{caught.value}"
    secret.chmod(0o600)
    assert load_with_report([live, secret], {}).config.exchanges["perp"].secret == "hunter2"


def test_a_world_readable_secret_file_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    (tmp_path / "key").chmod(0o644)
    tree = with_value(("exchanges", "perp", "secret_file"), "key")
    (warning,) = loaded(tmp_path, tree).warnings
    assert "every user of this machine can read" in str(warning)


def test_a_secrets_own_file_that_others_may_read_is_refused_in_live(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("hunter2hunter2")
    key.chmod(0o640)
    tree = {**LIVE, "exchanges": {**GOOD["exchanges"]}}
    tree["exchanges"]["perp"] = {**GOOD["exchanges"]["perp"], "secret_file": "key"}
    text = refusal(tmp_path, tree)
    assert f"its group can read {key}" in text
    assert f"chmod 600 {key}" in text
    assert "hunter2" not in text
    key.write_text("<填>")
    assert loaded(tmp_path, tree).config.exchanges["perp"].secret == "", "a placeholder is no secret"
    key.write_text("hunter2hunter2")
    key.chmod(0o600)
    assert loaded(tmp_path, tree).config.exchanges["perp"].secret == "hunter2hunter2"


# --- modes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "key"),
    [("limits", "max_notional_usd"), ("thresholds", "flip_policy"), ("thresholds", "forecast")],
)
def test_live_demands_explicit_decisions(tmp_path: Path, section: str, key: str) -> None:
    assert loaded(tmp_path, LIVE).config.mode is Mode.LIVE
    tree = {**LIVE, section: {name: value for name, value in LIVE[section].items() if name != key}}
    text = refusal(tmp_path, tree)
    assert f"{section}.{key}: must be written explicitly in live mode" in text


def test_the_demo_sets_its_mode_and_takes_nobodys_keys(tmp_path: Path) -> None:
    tree = with_value(("exchanges", "perp", "secret"), "hunter2")
    config = loaded(tmp_path, tree, FUNDARB_MODE="demo").config
    assert config.mode is Mode.DEMO
    assert config.exchanges["perp"].secret == ""
    assert "hunter2" not in repr(config)


# --- warnings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("exchanges", "other", "id"), "deepcoin", "never exercised here"),
        (("thresholds", "flipExit"), False, "stays open when its funding turns"),
        (("pairs",), [], "exchanges.other.id: is part of no pair"),
        (("symbols",), ["BTC/USDT", "BTC/USDT"], "listed twice"),
        (("symbols",), ["BTC/UZDT"], "did you mean USDT?"),
    ],
)
def test_doubtful_settings_are_pointed_out(
    tmp_path: Path, path: tuple[str, ...], value: Any, said: str
) -> None:
    tree = with_value(path, value)
    if path == ("symbols",):
        tree["pairs"] = [{"symbol": "ETH/USDT", "legs": ["perp", "other"]}]
    assert any(said in str(warning) for warning in loaded(tmp_path, tree).warnings)


def test_two_keys_for_one_account_are_doubtful(tmp_path: Path) -> None:
    tree = with_value(("exchanges", "perp", "api_key"), "a")
    tree["exchanges"]["spot"]["api_key"] = "b"
    (warning,) = loaded(tmp_path, tree).warnings
    assert "set account" in str(warning)
    tree["exchanges"]["spot"]["account"] = "sub1"
    tree["pairs"] = tree["pairs"][:1]
    got = loaded(tmp_path, tree)
    assert pair_specs(got.config)[0].id == "BTC-USDT_binance-sub1-spot_binance-perp"


def test_symbols_without_a_spot_and_perp_are_paired_with_nothing(tmp_path: Path) -> None:
    tree = {
        "symbols": ["BTC/USDT"],
        "exchanges": {"spto": GOOD["exchanges"]["spot"], "perp": GOOD["exchanges"]["perp"]},
    }
    assert "rename exchanges.spto to exchanges.spot" in refusal(tmp_path, tree)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        path = Path("/proc/self/mem")  # not even root reads it from the start
        reason = "cannot be read"
    else:
        path = write(tmp_path, GOOD)
        path.chmod(0)
        reason = "permission denied"
    with pytest.raises(ConfigError, match=reason):
        load_config([path], {})
