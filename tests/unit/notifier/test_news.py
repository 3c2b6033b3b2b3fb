"""News that are no alerts: pairs that newly pass (Scout), and the day in a few lines (Recap)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from libs.common.instant import US_PER_SEC, ManualClock
from libs.common.messages import AlertLevel, AlertRaised, Evaluation, LegFigures, Opportunity
from libs.common.messages_exec import BookSummary, ProfitAndLoss
from libs.common.subjects import BOOKS, EVALUATION, Kind, alert, opportunity
from services.notifier.model import Position, Route
from services.notifier.news import PAIRS_MAX, Scout
from tests.unit.notifier.rig import Rig, setting

HOUR = 3_600
DAY = 24 * HOUR
BTC = "BTC-USDT_binance-spot_binance-perp"
ETH = "ETH-USDT_binance-spot_binance-perp"


def figures(pair: str = BTC, net_usd: float | None = 2.5, *, passes: bool = True) -> Opportunity:
    def leg(side: str, kind: Kind, instrument: str) -> LegFigures:
        return LegFigures(venue="binance", instrument=instrument, kind=kind, side=side)  # type: ignore[arg-type]

    return Opportunity(
        pair=pair,
        symbol="BTC/USDT",
        direction="forward",
        long=leg("long", Kind.SPOT, "BTC-USDT"),
        short=leg("short", Kind.PERP, "BTC-USDT-PERP"),
        notional_usd=1_000.0,
        hold_days=30.0,
        forecast="flat",
        apr=0.1095,
        net_daily_usd=net_usd,
        breakeven_days=13.33,
        passes=passes,
        market_ms=0,
        eval_us=0,
    )


def evaluation(passing: int) -> Evaluation:
    return Evaluation(pairs=7, passing=passing, evaluations_total=9, market_ms=0, eval_us=0)


def books(total: str, funding: str, *, equity: str | None = None) -> BookSummary:
    nothing = dict.fromkeys(msgspec.structs.asdict(ZERO), Decimal(0))
    pnl = ProfitAndLoss(**{**nothing, "total": Decimal(total), "funding": Decimal(funding)})
    usd = None if equity is None else Decimal(equity)
    return BookSummary(
        pnl=pnl, equity_usd=usd, pairs_opened=3, pairs_closed=2, orders=12, market_ms=0, wall_us=0
    )


ZERO = ProfitAndLoss()


async def watching(*names: str, **more: object) -> Rig:
    rig = await Rig(setting(*(names or ("phone",)), **{"opportunities": True, **more})).start()
    await rig.run(2)
    return rig


async def see(rig: Rig, found: Opportunity) -> None:
    await rig.hear(found, opportunity(found.pair))
    await rig.run(10)


# --- Scout --------------------------------------------------------------------------------------------------


async def test_a_pair_that_newly_passes_is_told_once_with_its_figures() -> None:
    rig = await watching()
    for _ in range(5):
        await see(rig, figures())
    (send,) = rig.sent
    assert send.notice.level is AlertLevel.INFO
    assert send.notice.title == f"BTC/USDT {BTC} passes: +2.50 USD a day after costs  [test]"
    assert send.notice.lines == (f"BTC/USDT {BTC} passes: +2.50 USD a day after costs",)
    facts = dict(send.notice.facts)
    assert facts["long"] == "binance BTC-USDT"
    assert facts["short"] == "binance BTC-USDT-PERP"
    assert facts["notional"] == "1,000 USD per leg"
    assert facts["apr"] == "10.9 % before costs"
    assert facts["costs earned back"] == "in 13.3 days"
    assert send.notice.footer == "", "there is nothing to acknowledge"


async def test_one_that_comes_and_goes_is_told_again_only_after_the_time_that_is_set() -> None:
    rig = await watching(opportunity_every_us=6 * HOUR * US_PER_SEC)
    await see(rig, figures())
    await see(rig, figures(passes=False))
    await see(rig, figures())
    assert len(rig.sent) == 1
    await rig.run(6 * HOUR)
    await see(rig, figures())
    assert len(rig.sent) == 1, "it has passed all the while: that is no news"
    await see(rig, figures(passes=False))
    await see(rig, figures())
    assert len(rig.sent) == 2


async def test_a_restart_does_not_tell_it_again() -> None:
    rig = await watching()
    await see(rig, figures())
    second = await Rig(setting("phone", opportunities=True), store=rig.store).start()
    await second.run(2)
    await see(second, figures())
    await see(second, figures(ETH))
    assert [send.notice.title.split()[1] for send in rig.sent] == [BTC]
    assert [send.notice.title.split()[1] for send in second.sent] == [ETH]


async def test_what_earns_too_little_is_told_when_it_has_grown() -> None:
    rig = await watching(opportunity_net_daily_usd=2.0)
    await see(rig, figures(net_usd=1.99))
    assert rig.sent == []
    await see(rig, figures(net_usd=2.0))
    assert len(rig.sent) == 1


@pytest.mark.parametrize("found", [figures(passes=False), figures(net_usd=None)])
async def test_what_does_not_pass_or_is_not_known_is_no_news(found: Opportunity) -> None:
    rig = await watching()
    await see(rig, found)
    assert rig.sent == []


async def test_nobody_is_told_who_does_not_want_to_be() -> None:
    rig = await watching(opportunities=False)
    await see(rig, figures())
    assert rig.sent == []
    loud = Route(name="phone", min_level=AlertLevel.WARNING)
    rig = await watching(routes={"phone": loud})
    await see(rig, figures())
    assert rig.sent == []


async def test_while_the_store_is_away_nothing_is_told_that_would_be_told_twice() -> None:
    rig = await Rig(setting("phone", opportunities=True)).start()
    rig.store.down = True
    rig = await Rig(setting("phone", opportunities=True), store=rig.store).start()
    await see(rig, figures())
    assert rig.sent == []
    rig.store.down = False
    await rig.run(5)
    await see(rig, figures())
    assert len(rig.sent) == 1


def test_what_was_told_long_ago_is_forgotten_and_pairs_are_bounded() -> None:
    scout = Scout(setting("phone", opportunities=True, opportunity_every_us=HOUR * US_PER_SEC))
    assert scout.remembered({"old": 0, "new": 3_000 * US_PER_SEC}, BTC, HOUR * US_PER_SEC) == {
        "new": 3_000 * US_PER_SEC,
        BTC: HOUR * US_PER_SEC,
    }
    now, position = ManualClock().now(), Position(cursor="0-0")
    for number in range(PAIRS_MAX + 5):
        assert scout.judge(figures(f"P{number}", passes=False), position, now) is None
    assert len(scout._passing) == PAIRS_MAX


# --- Recap --------------------------------------------------------------------------------------------------


async def told_days(rig: Rig) -> list[str]:
    return [send.notice.lines[0] for send in rig.sent if send.notice.lines[0].startswith("Day ")]


async def test_the_day_is_told_once_when_it_ends_with_what_is_known_of_it() -> None:
    rig = await Rig(setting("phone", daily_digest=True)).start()
    await rig.run(2)
    await rig.hear(evaluation(3), EVALUATION)
    await rig.hear(books("12.344", "-1.5", equity="1000.5"), BOOKS)
    for pair, usd in (("A", 1.0), ("B", 4.0), ("C", 3.0), ("D", 2.0), ("E", 9.0)):
        await rig.hear(figures(pair, usd), opportunity(pair))
    await rig.hear(figures("E", passes=False), opportunity("E"))
    raised = AlertRaised(
        level=AlertLevel.WARNING, key="k", text="t", service="risk", wall_us=rig.time.now().wall_us
    )
    await rig.hear(raised, alert("warning"))
    await rig.run(6_000)
    assert rig.sent == [], "the day has not ended"
    await rig.run(500)
    (send,) = rig.sent
    assert "\n".join(send.notice.lines) == (
        "Day 2023-11-14\n"
        "PnL since the start +12.34 USD, funding -1.50 USD, equity 1,000.50 USD\n"
        "pairs opened 3, closed 2, orders 12\n"
        "3 of 7 pairs pass every gate\n"
        "  B: +4.00 USD a day after costs\n"
        "  C: +3.00 USD a day after costs\n"
        "  D: +2.00 USD a day after costs\n"
        "alerts heard: 1 warning"
    )
    assert send.notice.title.startswith("Day 2023-11-14")
    await rig.run(DAY)
    assert [line.split("\n")[0] for line in await told_days(rig)] == ["Day 2023-11-14", "Day 2023-11-15"]
    assert "alerts heard: none" in (await told_days(rig))[1]


async def test_of_a_day_before_its_first_start_it_says_nothing() -> None:
    rig = await Rig(setting("phone", daily_digest=True)).start()
    await rig.hear(evaluation(3), EVALUATION)
    await rig.run(60)
    assert rig.sent == []


async def test_a_day_that_ended_while_it_was_down_is_told_once_after() -> None:
    first = await Rig(setting("phone", daily_digest=True)).start()
    await first.hear(evaluation(3), EVALUATION)
    await first.run(60)
    first.time.advance(sec=3 * HOUR)
    for _life in range(2):
        rig = await Rig(setting("phone", daily_digest=True), store=first.store).start()
        await rig.run(5)
        assert rig.sent == [], "nothing is known yet"
        await rig.hear(evaluation(2), EVALUATION)
        await rig.run(10)
        first.sent += rig.sent
    assert [line.split("\n")[0] for line in await told_days(first)] == ["Day 2023-11-14"]


@pytest.mark.parametrize(("hour", "after_sec"), [(0, 6_400), (1, 6_400 + HOUR), (23, 6_400 - HOUR)])
async def test_it_comes_at_the_hour_that_is_set(hour: int, after_sec: int) -> None:
    rig = await Rig(setting("phone", daily_digest=True, digest_hour_utc=hour)).start()
    await rig.hear(evaluation(3), EVALUATION)
    await rig.run(after_sec - 5)
    assert rig.sent == []
    await rig.run(10)
    assert len(rig.sent) == 1


async def test_a_channel_may_go_without_it_and_so_may_all() -> None:
    routes = {
        "phone": Route(name="phone", min_level=AlertLevel.CRITICAL),
        "mail": Route(name="mail", min_level=AlertLevel.INFO, daily_digest=False),
    }
    rig = await Rig(setting(routes=routes, daily_digest=True)).start()
    await rig.hear(evaluation(3), EVALUATION)
    await rig.run(6_500)
    assert [send.channel for send in rig.sent] == ["phone"]
    rig = await Rig(setting("phone", daily_digest=False)).start()
    await rig.hear(evaluation(3), EVALUATION)
    await rig.run(6_500)
    assert rig.sent == []


async def test_books_without_an_equity_are_told_without_one() -> None:
    rig = await Rig(setting("phone", daily_digest=True)).start()
    await rig.hear(books("1", "1"), BOOKS)
    await rig.run(6_500)
    assert "PnL since the start +1.00 USD, funding +1.00 USD\n" in rig.sent[0].notice.lines[0]
