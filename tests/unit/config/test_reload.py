"""What may change while it runs: every setting has a rule, refusals name settings, nothing goes half."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from libs.common.config.reload import RULES, Applied, Refused, Rule, changes_of, compare, rule_of
from libs.common.config.schema import Config, Costs, Exchange, Limits, Mode, Notify, PairLegs, VenueCosts

SECRET = "hunter2hunter2"
OLD = Config(
    symbols=("BTC/USDT",),
    exchanges={
        "spot": Exchange(id="binance", type="spot", api_key="k", secret=SECRET, options={"apiToken": SECRET}),
        "perp": Exchange(id="binance", type="swap"),
    },
    limits=Limits(max_notional_usd=5_000),
)


def settings_of(kind: inspect.Type, path: str = "") -> Iterator[str]:
    """Dotted paths of all settings of the schema, `x` for names of the user's choice."""
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            yield from settings_of(field.type, f"{path}.{field.name}" if path else field.name)
    elif isinstance(kind, inspect.DictType):
        yield from settings_of(kind.value_type, f"{path}.x")
    else:
        yield path


SETTINGS = tuple(settings_of(inspect.type_info(Config)))


def changed(section: str, **fields: Any) -> Config:
    inner = msgspec.structs.replace(getattr(OLD, section), **fields)
    return msgspec.structs.replace(OLD, **{section: inner})


def test_every_section_has_a_rule_and_every_rule_a_setting() -> None:
    assert len(SETTINGS) > 60
    assert {path.partition(".")[0] for path in SETTINGS} == {path for path in RULES if "." not in path}
    prefixes = {path[: len(rule)] for path in SETTINGS for rule in RULES if f"{path}.".startswith(f"{rule}.")}
    assert prefixes == RULES.keys(), "a rule for what no longer is a setting"


# The whole table, said a second time by hand: a new setting belongs here as well as into the schema.
_FREE = """
position.delta_target position.hold_days position.rebalance_threshold
thresholds.consecutive_periods thresholds.daily_funding_min thresholds.flip_exit thresholds.flip_loss_ratio
thresholds.flip_policy thresholds.flip_reverse thresholds.flip_tolerance_hours thresholds.forecast
thresholds.forecast_horizon_days thresholds.max_breakeven_days thresholds.max_entry_basis_bps
thresholds.rotation_hurdle
costs.borrow_daily costs.capital_daily costs.fixed_daily_usd costs.maker costs.role costs.slippage
costs.slippage_bps costs.taker costs.transfer_hours costs.transfer_usd costs.venues.x.borrow_daily
costs.venues.x.maker costs.venues.x.rebate_share costs.venues.x.slippage_bps costs.venues.x.taker
execution.keep_partial execution.slice_interval_sec execution.slices execution.style
"""
_LIMITS = """
limits.acknowledged limits.max_leverage limits.max_naked_usd limits.max_notional_per_venue_usd
limits.max_notional_usd limits.max_pairs
"""


def test_no_setting_is_classified_by_accident() -> None:
    told = [path for path in SETTINGS if not path.startswith("notify.")]  # all free: the notifier's own
    assert sorted(path for path in told if rule_of(path) is Rule.FREE) == sorted(_FREE.split())
    assert sorted(path for path in told if rule_of(path) is Rule.LIMIT) == sorted(_LIMITS.split())
    assert rule_of("nowhere.at.all") is Rule.FIXED


def test_the_same_config_changes_nothing() -> None:
    assert compare(OLD, OLD) == Applied(changes=())


def test_what_is_free_is_told_by_name_and_value() -> None:
    verdict = compare(OLD, changed("costs", taker=0.0004))
    assert isinstance(verdict, Applied)
    assert [str(one) for one in verdict.changes] == ["costs.taker: 0.0005 -> 0.0004"]
    venue = changed("costs", venues={"binance": VenueCosts(taker=0.0002)})
    verdict = compare(OLD, venue)
    assert isinstance(verdict, Applied)
    assert "costs.venues.binance.taker: not set -> 0.0002" in [str(one) for one in verdict.changes]


@pytest.mark.parametrize(
    ("new", "name"),
    [
        (msgspec.structs.replace(OLD, mode=Mode.LIVE), "mode"),
        (msgspec.structs.replace(OLD, deployment="other"), "deployment"),
        (msgspec.structs.replace(OLD, symbols=("ETH/USDT",)), "symbols"),
        (msgspec.structs.replace(OLD, pairs=(PairLegs(symbol="*", legs=("spot", "perp")),)), "pairs"),
        (msgspec.structs.replace(OLD, exchanges={"spot": OLD.exchanges["spot"]}), "exchanges.perp.id"),
        (changed("position", position_mode="hedge"), "position.position_mode"),
        (changed("position", notional_usd=2_000), "position.notional_usd"),
        (changed("security", allow_no_ip_whitelist=True), "security.allow_no_ip_whitelist"),
        (changed("execution", collar_bps=50), "execution.collar_bps"),
        (changed("monitor", interval_sec=1), "monitor.interval_sec"),
    ],
)
def test_what_is_fixed_is_refused_by_name_with_all_else(new: Config, name: str) -> None:
    both = msgspec.structs.replace(new, costs=Costs(taker=0.0001))
    for confirm in (False, True):
        verdict = compare(OLD, both, confirm=confirm)
        assert isinstance(verdict, Refused)
        assert verdict.code == "fixed"
        assert name in verdict.paths
        assert "costs.taker" not in verdict.paths
        assert "nothing was changed" in verdict.text


@pytest.mark.parametrize(
    "raised",
    [
        {"max_notional_usd": 6_000},
        {"max_notional_usd": None},
        {"max_pairs": 21},
        {"max_leverage": 6},
        {"max_naked_usd": 1_001},
        {"acknowledged": True},
    ],
)
def test_raising_a_limit_needs_a_confirmation_and_lowering_none(raised: dict[str, Any]) -> None:
    new = changed("limits", **raised)
    verdict = compare(OLD, new)
    assert isinstance(verdict, Refused)
    assert verdict.code == "confirm"
    assert f"limits.{next(iter(raised))}" in verdict.text
    assert isinstance(compare(OLD, new, confirm=True), Applied)
    assert isinstance(compare(new, OLD), Applied), "back is lower"


def test_a_limit_where_there_was_none_is_lower() -> None:
    new = changed("limits", max_notional_per_venue_usd=1_000)
    assert isinstance(compare(OLD, new), Applied)
    assert isinstance(compare(new, OLD), Refused)


def test_secrets_are_told_as_changed_and_never_shown() -> None:
    perp = msgspec.structs.replace(OLD.exchanges["spot"], secret="x" * 9, options={"apiToken": "y" * 9})
    new = msgspec.structs.replace(
        OLD, exchanges={**OLD.exchanges, "spot": perp}, notify=Notify(heartbeat_url="https://z/" + "z" * 9)
    )
    told = " ".join(str(one) for one in changes_of(OLD, new))
    assert "exchanges.spot.secret" in told
    assert "exchanges.spot.options.apiToken" in told
    assert "notify.heartbeat_url" in told
    assert not any(secret in told for secret in (SECRET, "x" * 9, "y" * 9, "z" * 9))
