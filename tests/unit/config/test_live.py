"""The gate before real orders: two acts, explicit decisions, a cap, whole keys; what is missing is named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.common.config.live import CAP_USD, capped, gate, meant
from libs.common.config.schema import Config, Exchange, Limits, Mode, Thresholds
from services.executor.failpoints import ENV as FAILPOINT_ENV

KEY: dict[str, Any] = {"api_key": "k" * 8, "secret": "s" * 8}
YES = {"FUNDARB_LIVE": "1"}
LIVE = Config(
    mode=Mode.LIVE,
    exchanges={
        "spot": Exchange(id="binance", type="spot", **KEY),
        "perp": Exchange(id="bitget", type="swap", password="p" * 8, **KEY),
    },
    thresholds=Thresholds(flip_policy="cost_aware", forecast="expected"),
    limits=Limits(max_notional_usd=CAP_USD),
)


def changed(**fields: Any) -> Config:
    return msgspec.structs.replace(LIVE, **fields)


def without(name: str, **fields: Any) -> Config:
    one = msgspec.structs.replace(LIVE.exchanges[name], **fields)
    return changed(exchanges={**LIVE.exchanges, name: one})


def test_both_acts_and_every_decision_let_live_begin() -> None:
    assert gate(LIVE, YES) == ()
    assert gate(LIVE, {}, flag=True) == ()
    assert gate(changed(limits=Limits(max_notional_usd=50_000, acknowledged=True)), YES) == ()


@pytest.mark.parametrize(
    ("config", "env", "path", "remedy"),
    [
        (LIVE, {}, "mode", "--live"),
        (LIVE, {"FUNDARB_LIVE": "true"}, "mode", "FUNDARB_LIVE=1"),
        (LIVE, {"FUNDARB_LIVE": ""}, "mode", "FUNDARB_LIVE=1"),
        (LIVE, YES | {FAILPOINT_ENV: "after_release"}, FAILPOINT_ENV, "unset"),
        (changed(limits=Limits()), YES, "limits.max_notional_usd", "USD"),
        (changed(thresholds=Thresholds(forecast="flat")), YES, "thresholds.flip_policy", "cost_aware"),
        (changed(thresholds=Thresholds(flip_policy="tolerance")), YES, "thresholds.forecast", "expected"),
        (without("spot", secret=""), YES, "exchanges.spot", "FUNDARB__EXCHANGES__SPOT__SECRET_FILE"),
        (without("perp", password=""), YES, "exchanges.perp", "password_file"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    config: Config, env: dict[str, str], path: str, remedy: str
) -> None:
    (found,) = gate(config, env)
    assert found.path == path
    assert remedy in found.remedy


@pytest.mark.parametrize("mode", [Mode.OBSERVER, Mode.PAPER, Mode.DEMO])
def test_the_second_act_alone_is_half_meant(mode: Mode) -> None:
    config = changed(mode=mode, limits=Limits())
    assert gate(config, YES) == (), "a variable that lies around starts nothing"
    (found,) = gate(config, {}, flag=True)
    assert mode.value in found.reason
    assert '"mode": "live"' in found.remedy


def test_only_the_one_value_means_it() -> None:
    assert meant({}, flag=True)
    assert meant(YES)
    assert not any(meant({"FUNDARB_LIVE": text}) for text in ("0", "yes", "true", "1 ", ""))


def test_what_is_above_the_live_cap_is_told_and_may_start() -> None:
    bold = changed(limits=Limits(max_notional_usd=5_000))
    assert gate(bold, YES) == ()
    told = capped(bold)
    assert told is not None
    assert "1,000 USD are traded at most, and not 5,000" in told.reason
    assert capped(LIVE) is None
    assert capped(changed(limits=Limits(max_notional_usd=5_000, acknowledged=True))) is None
    assert capped(changed(mode=Mode.PAPER, limits=Limits(max_notional_usd=5_000))) is None
