"""Judging: a leak is noticed, noise, steps and a warm-up are not; every other fault has its reason."""

from __future__ import annotations

import random

import msgspec
import pytest

from tests.soak.curves import Curves, Trend, trend
from tests.soak.judge import Allowance, Facts, Heard, is_leak, reasons
from tests.soak.picture import PANELS, picture
from tests.soak.record import Record, curves_of, growth_of, points_of, read, write

PAIR = "BTC-USDT_binance-spot_binance-perp"
MINUTES = 10
LOOKS = MINUTES * 30


def calm() -> Facts:
    return Facts(
        restarts={"executor": 0},
        unwell={},
        states={PAIR: "active"},
        alerts=[Heard(level="info", key=f"signal:{PAIR}", text="asks to open")],
        tracebacks={},
        residual_usd=1e-8,
        settlements_missing=0,
        malformed=0,
    )


def run(
    *, mb_per_hour: float = 0.0, noise_mb: float = 0.0, warm_mb: float = 0.0, fds_step: int = 0
) -> Curves:
    """Ten minutes of a process of 150 MB; `warm_mb` come in the first two, a step of fds in the eighth."""
    dice = random.Random(3)  # noqa: S311 - noise
    curves = Curves()
    for number in range(LOOKS):
        sec = number * 2.0
        memory = 150 + mb_per_hour * sec / 3_600 + dice.gauss(0, noise_mb) + warm_mb * min(1.0, sec / 120)
        orders = float(number)
        curves.add(
            sec,
            {
                "rss_mb/executor": memory,
                "fds/executor": 40.0 + (fds_step if sec > 480 else 0),
                "stream/journal": 8 * orders,
                "stream/ledger": 2 * orders,
                "store/keys": 40.0,
                "store/mb": 2 + 10 * orders * 500 / 1e6,
                "traded/orders": orders,
                "traded/opened": orders / 5,
                "residual_usd/all": 1e-8,
                "bus_lost/executor": 0.0,
            },
        )
    return curves


@pytest.mark.parametrize("noise_mb", [0.0, 0.5, 2.0])
def test_a_leak_is_noticed_and_told_with_its_bounds(noise_mb: float) -> None:
    found = reasons(run(mb_per_hour=120, noise_mb=noise_mb), calm())
    assert len(found) == 1
    assert found[0].startswith("rss_mb of executor grows by +1")
    slope = run(mb_per_hour=120, noise_mb=noise_mb).trend(
        run(mb_per_hour=120, noise_mb=noise_mb).by_name["rss_mb/executor"]
    )
    assert slope is not None
    assert slope.low <= 120.001
    assert slope.high >= 119.999


def test_noise_a_warm_up_and_a_little_creeping_are_no_leak() -> None:
    assert reasons(run(noise_mb=5), calm()) == []
    assert reasons(run(warm_mb=60, noise_mb=0.2), calm()) == []
    assert reasons(run(mb_per_hour=20, noise_mb=0.2), calm()) == []


def test_only_what_is_surely_above_the_allowance_is_a_leak() -> None:
    allowed = Allowance(per_hour=40.0, grown_min=3.0, unit="MB")
    assert is_leak(Trend(per_hour=60.0, low=41.0, high=80.0, grown=4.0), allowed)
    assert not is_leak(Trend(per_hour=60.0, low=39.0, high=80.0, grown=4.0), allowed), "it may be 39"
    assert not is_leak(Trend(per_hour=60.0, low=41.0, high=80.0, grown=2.0), allowed), "it came to nothing"


def test_one_step_of_descriptors_is_no_leak_and_three_a_minute_are() -> None:
    assert reasons(run(fds_step=2), calm()) == []
    curves = run()
    for number in range(LOOKS):
        curves.add(number * 2.0, {"fds/feed": 30.0 + number // 10})
    assert ["fds of feed" in one for one in reasons(curves, calm())] == [True]


def test_a_third_of_wild_samples_does_not_move_the_slope() -> None:
    dice = random.Random(1)  # noqa: S311 - noise
    points = [(2.0 * x, 100.0 + (500.0 if dice.random() < 0.2 else 0.0)) for x in range(300)]
    found = trend(points)
    assert found is not None
    assert (found.per_hour, found.grown) == (0.0, 0.0)


def test_too_few_samples_say_nothing() -> None:
    assert trend([(2.0 * x, 100.0 * x) for x in range(7)]) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"restarts": {"risk": 2}}, "risk was started again 2 times"),
        ({"unwell": {"feed": "restarting"}}, "feed is not well: restarting"),
        ({"tracebacks": {"signal": 1}}, "signal.log has 1 tracebacks"),
        ({"residual_usd": None}, "the accounts were not compared"),
        ({"residual_usd": 0.2}, "the residual was 0.2000 USD"),
        ({"settlements_missing": 1}, "1 settlements are missing"),
        ({"malformed": 3}, "3 messages were malformed"),
        ({"states": {PAIR: "opening"}}, f"{PAIR} is opening in the end"),
        ({"states": {PAIR: "stuck"}}, f"{PAIR} is stuck and nobody was paged"),
        ({"states": {}}, "no pair was heard of"),
        (
            {"alerts": [Heard(level="warning", key="books:residual", text="0.3 USD")]},
            "alert books:residual was raised 1 times, the last: 0.3 USD",
        ),
    ],
)
def test_each_fault_has_its_reason(change: dict[str, object], said: str) -> None:
    found = reasons(run(), msgspec.structs.replace(calm(), **change))
    assert len(found) == 1
    assert found[0].startswith(said)


def test_a_leg_that_fails_now_and_then_is_explained_and_many_are_not() -> None:
    one = Heard(level="warning", key=f"{PAIR}:unwind:3", text="a leg failed")
    assert reasons(run(), msgspec.structs.replace(calm(), alerts=[one] * 2)) == []
    found = reasons(run(), msgspec.structs.replace(calm(), alerts=[one] * 4))
    assert found == ["4 openings of 60 were unwound"]


def test_a_store_may_grow_with_its_streams_and_a_process_may_not() -> None:
    curves = run()
    for number in range(LOOKS):
        curves.add(number * 2.0, {"rss_mb/valkey": 8.0 + number / 20, "rss_mb/nats": 20.0 + number / 20})
    assert ["rss_mb of nats" in one for one in reasons(curves, calm())] == [True]


def test_a_stuck_pair_with_a_page_fails_by_the_page_alone() -> None:
    page = Heard(level="critical", key=f"stuck:{PAIR}", text="stuck")
    found = reasons(run(), msgspec.structs.replace(calm(), states={PAIR: "stuck"}, alerts=[page]))
    assert [one.startswith(f"alert stuck:{PAIR}") for one in found] == [True]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("stream/journal", 20_000.0, "stream/journal: 20000 entries"),
        ("stream/ledger", 4_000.0, "stream/ledger: 4000 lines"),
        ("store/keys", 500.0, "store/keys: 500 keys"),
        ("store/mb", 60.0, "store/mb: 60 MB"),
        ("bus_lost/executor", 1.0, "executor counts 1 bus_lost"),
        ("traded/orders", 0.0, "nothing was traded"),
        ("residual_usd/all", 0.5, "the residual was 0.5000 USD"),
    ],
)
def test_what_trading_does_not_explain_is_a_reason(name: str, value: float, said: str) -> None:
    curves = run()
    curves.add(MINUTES * 60.0, {name: value})
    assert any(one.startswith(said) for one in reasons(curves, calm()))


def test_the_record_is_read_back_as_it_was_and_drawn(tmp_path_factory: pytest.TempPathFactory) -> None:
    curves = run(mb_per_hour=120)
    facts = msgspec.structs.replace(calm(), tracebacks={"<feed>": 1})
    why = reasons(curves, facts)
    made = Record(
        seconds=600.0,
        seed=7,
        passed=False,
        reasons=why,
        growth=growth_of(curves),
        answers={"open executor: ok": 3},
        facts=facts,
        curves=points_of(curves),
    )
    path = tmp_path_factory.mktemp("soak") / "new" / "soak.json"
    write(made, path)
    again = read(path)
    assert again == made
    assert reasons(curves_of(again.curves), again.facts) == why
    drawn = picture(again)
    assert drawn.count("<polyline") == sum(
        name.split("/")[0] in panel.kinds for name in made.curves for panel in PANELS
    )
    assert "failed" in drawn
    assert "&lt;feed&gt;.log" in drawn
