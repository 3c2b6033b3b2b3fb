"""What risk forbids, as `fundarb status` tells it: who ends it and how, and nothing while risk is silent."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from libs.common import messages as m
from libs.common import subjects
from libs.common.messages_exec import Breaker, Level, Permit
from libs.common.runtime_file import Deployment
from libs.console.status_page import page
from libs.console.status_risk import HALTS_SAID_MAX, endings, halts_of, said_of
from libs.console.status_view import Status, status_of
from libs.console.watch import Watch
from tests.unit.console.test_watch import WALL_US, hear

PAIR = "SOL-USDT_binance-spot_bitget-perp"
HALT = Breaker(
    scope="global",
    level=Level.REDUCE_ONLY,
    reason="operator_halt: weekend (by ann@desk)",
    controls=("operator_halt",),
    latched=True,
    since_us=WALL_US - 240_000_000,
    until="a reset",
)
STALE = Breaker(
    scope="symbol:bitget-SOL-USDT-PERP",
    level=Level.NO_OPENS,
    reason="data_age: 4 s",
    controls=("data_age",),
    until="30 s of fresh data",
)


def permit(*breakers: Breaker, revision: int = 1) -> Permit:
    return Permit(risk_epoch=1, revision=revision, build="x", wall_us=WALL_US, breakers=breakers)


@pytest.mark.parametrize(
    ("controls", "scope", "commands"),
    [
        (("operator_halt",), "global", ("fundarb reset",)),
        (("operator_pause",), "global", ("fundarb resume",)),
        (("operator_pause",), f"pair:{PAIR}", (f"fundarb resume --scope pair:{PAIR}",)),
        (("naked_exposure",), "venue:okx", ("fundarb reset --scope venue:okx",)),
        (
            ("operator_flatten", "operator_pause"),
            "venue:okx",
            ("fundarb reset --scope venue:okx", "fundarb resume --scope venue:okx"),
        ),
    ],
)
def test_what_a_person_ends_has_its_commands(
    controls: tuple[str, ...], scope: str, commands: tuple[str, ...]
) -> None:
    latched = Breaker(scope=scope, level=Level.NO_OPENS, reason="x", controls=controls, latched=True)
    assert endings(latched) == commands


def test_what_ends_by_itself_has_none() -> None:
    assert endings(STALE) == ()


def test_the_strictest_is_told_first_and_normal_scopes_are_not() -> None:
    over = Breaker(scope="venue:okx", level=Level.NORMAL, reason="it is over")
    found = halts_of(permit(STALE, over, HALT), wall_us=WALL_US)
    assert [one.scope for one in found] == ["global", STALE.scope]
    assert [one.for_sec for one in found] == [240.0, None]
    assert said_of(found[0], "4 min") == (
        "global: reduce only for 4 min (operator_halt: weekend (by ann@desk)) - ends with `fundarb reset`"
    )
    assert said_of(found[1], "") == f"{STALE.scope}: no opens (data_age: 4 s) - ends with 30 s of fresh data"


# --- the screen -------------------------------------------------------------------------------------


def seen(
    *permits: Permit, executor: dict[str, Any] | None = None, age_us: int = 200_000, **signal: Any
) -> Status:
    watch = Watch(started_us=WALL_US)
    for service in ("feed", "signal", "risk", "executor"):
        beat = m.ServiceHealth(
            service=service,
            ok=True,
            build="x",
            pid=1,
            uptime_sec=5,
            lag_ms=1,
            inbox_depth=0,
            wall_us=WALL_US,
        )
        hear(watch, subjects.health(service), beat)
    for one in permits:
        hear(watch, subjects.PERMIT, one)
    replies = {"signal": signal} | ({"executor": executor} if executor else {})
    when = (watch.permit_us or WALL_US) + age_us
    known = Deployment(started_us=WALL_US)
    return status_of("main", known, watch, replies, wall_us=when, unheard={})


def text(status: Status, width: int) -> str:
    console = Console(width=width)
    with console.capture() as said:
        console.print(page(status))
    return said.get()


def test_a_halt_is_on_the_screen_with_the_command_that_ends_it() -> None:
    status = seen(permit(HALT, STALE))
    assert status.permit["fresh"]
    assert status.why[0].startswith("global: reduce only for 4 min")
    for width in (80, 120):
        shown = text(status, width)
        assert all(len(line.rstrip()) <= width for line in shown.splitlines())
        assert "deployment main   reduce only" in shown
        assert "ends with `fundarb reset`" in shown
        assert "permit 0.2 s" in shown


def test_what_is_shut_in_part_is_not_called_shut() -> None:
    assert "deployment main   1 scope shut" in text(seen(permit(STALE)), 80)


def test_a_permit_that_is_old_permits_nothing() -> None:
    status = seen(permit(), age_us=3_000_000)
    assert not status.permit["fresh"]
    assert "no permit of risk for 3 s: nothing is opened without one" in status.why


def test_where_risk_should_be_and_no_permit_is_heard_that_is_said() -> None:
    assert "no permit of risk has been heard: nothing is opened without one" in seen().why
    assert "no permit" in text(seen(), 80)


def test_an_older_permit_does_not_take_the_place_of_a_newer_one() -> None:
    assert seen(permit(HALT, revision=2), permit(revision=1)).halts[0].scope == "global"


def test_many_scopes_are_cut_and_counted() -> None:
    many = [Breaker(scope=f"symbol:okx-A{count}", level=Level.NO_OPENS, reason="x") for count in range(9)]
    status = seen(permit(*many))
    assert len(status.halts) == 9
    assert sum(line.startswith("symbol:") for line in status.why) == HALTS_SAID_MAX
    assert "and 4 more scopes, which `fundarb status --json` lists" in status.why


def test_held_pairs_tell_what_they_wait_for_and_unknown_orders_are_counted() -> None:
    executor = {
        "pairs": {
            PAIR: {"state": "unwinding", "waits": "bitget does not answer", "may_keep": 0.75},
            "BTC-USDT_binance-spot_binance-perp": {"state": "idle", "waits": ""},
        },
        "unknown_orders": [{"pair": PAIR, "id": "a"}, {"pair": PAIR, "id": "b"}],
        "store": "9 % of its memory is free: nothing is opened",
    }
    holds = {PAIR: {"direction": "forward", "notional_usd": 1000.0, "state": "active", "silent": ""}}
    status = seen(permit(), executor=executor, holds=holds)
    assert list(status.holds) == [PAIR]
    assert status.holds[PAIR]["state"] == "unwinding"
    assert f"2 orders have an unknown outcome ({PAIR}): the venue is asked until it is known" in status.why
    assert "the store: 9 % of its memory is free: nothing is opened" in status.why
    assert f"{PAIR} waits: bitget does not answer" in status.why
    assert f"holds {PAIR}: unwinding forward, 1,000 USD, may keep 75%, waits" in text(status, 120)


def test_a_pair_that_passes_and_that_the_executor_does_not_open_says_why() -> None:
    other, third = "BTC-USDT_binance-spot_binance-perp", "ETH-USDT_binance-spot_binance-perp"
    fine = {"passes": True, "net_daily_usd": 1.0, "reasons": {}}
    out = {"passes": False, "net_daily_usd": 0.1, "reasons": {"low": "too little"}}
    text_of = {
        PAIR: "limits.max_pairs 1 are taken, those of other executors included",
        other: "flattened by hand (ann): `fundarb reset` ends it",
        third: "a quote is missing or too old",
    }
    pairs = {pair: {"state": "idle", "waits": "", "opens": text} for pair, text in text_of.items()}
    pairs[other]["flattened"] = "flattened by hand (ann)"
    status = seen(permit(), executor={"pairs": pairs}, pairs={PAIR: fine, other: out, third: out})
    said = [line for line in status.why if line.startswith("the executor opens nothing of ")]
    assert said == [
        f"the executor opens nothing of {pair}: {text_of[pair]}" for pair in sorted((PAIR, other))
    ], "whose market is not looked at that closely does not pass either"
    shut = {PAIR: {"state": "idle", "opens": f"{HALT.scope} is {HALT.level}: {HALT.reason}"}}
    status = seen(permit(HALT), executor={"pairs": shut}, pairs={PAIR: fine})
    assert not any("opens nothing of" in line for line in status.why), "risk's halt is said once"


def test_an_observer_needs_no_permit() -> None:
    status = status_of(
        "main", Deployment(), Watch(started_us=WALL_US), {}, wall_us=WALL_US, unheard={"feed": "silent"}
    )
    assert not status.trading
    assert not any("permit" in line for line in status.why)
    assert "observes" in text(status, 80)
