from __future__ import annotations

import csv
import io
from collections.abc import Iterable

import pytest

from libs.common.effects import (
    Answered,
    Draining,
    Effect,
    Event,
    Health,
    Measure,
    Publish,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.messages import AlertLevel, AlertRaised, Evaluation, Quarantine
from libs.common.metrics import check_effects
from libs.research.layout import Bar, FundingPrint, Kind, SeriesKey
from libs.research.segments import decode_row
from services.recorder import actor as module
from services.recorder import columns
from services.recorder.actor import FLUSH, MERGE, WATCH, Recorder, Setting
from services.recorder.work import Merged, MergeSegments, WriteBatch, Written
from tests.unit.recorder.makers import (
    PAIR,
    T0_MS,
    current,
    heard,
    history,
    now,
    opportunity,
    pulse,
    quote,
    settled,
    venue,
)

HOUR = 3_600_000
PERP = SeriesKey(Kind.PERP, "binance", "BTC-USDT-PERP")
FUNDING = SeriesKey(Kind.FUNDING, "binance", "BTC-USDT-PERP")


class Driven:
    """The actor with a shell that writes at once, or says that it could not."""

    def __init__(self) -> None:
        setting = Setting(mode="observer", deployment="main", bar_ms=60_000, round_up_us=300_000_000)
        self.actor = Recorder(setting)
        self.sec = 0.0

    def tell(self, event: Event) -> list[Effect]:
        effects = list(self.actor.handle(event, now(self.sec)))
        check_effects(effects)
        return effects

    def hear(self, *messages: object) -> None:
        for message in messages:
            assert self.tell(heard(message)) == []  # type: ignore[arg-type]

    def flush(self, *, sec: float = 0.7) -> WriteBatch:
        self.sec += sec
        batch = one(self.tell(TimerFired(name=FLUSH)), WriteBatch)
        self.answer(batch)
        return batch

    def answer(self, batch: WriteBatch, written: Written | None = None) -> list[Effect]:
        return self.tell(Answered(request=batch, result=written or Written()))


def one(effects: Iterable[Effect], kind: type[WriteBatch]) -> WriteBatch:
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) == 1
    return found[0]


def table(batch: WriteBatch) -> list[dict[str, str]]:
    text = columns.header() + "".join(line.decode() for line in batch.csv)
    return list(csv.DictReader(io.StringIO(text)))


def rows(batch: WriteBatch) -> list[tuple[SeriesKey, FundingPrint | Bar]]:
    return [decode_row(line) for line in batch.rows]


@pytest.fixture
def driven() -> Driven:
    made = Driven()
    effects = made.tell(Started())
    assert {effect.name for effect in effects if isinstance(effect, SetTimer)} == {FLUSH, WATCH, MERGE}
    asked = [effect for effect in effects if isinstance(effect, Publish)]
    assert [effect.subject for effect in asked] == ["sys.want.feed"]
    assert b"mode observer" in made.flush().log[0]
    return made


def test_a_passing_evaluation_is_a_row_each_time_and_a_line_once(driven: Driven) -> None:
    driven.hear(opportunity(), opportunity(daily=0.0004), opportunity())
    batch = driven.flush()
    assert [row["event"] for row in table(batch)] == ["appeared", "passes", "passes"]
    assert [row["daily"] for row in table(batch)] == ["0.0003", "0.0004", "0.0003"]
    assert len(batch.log) == 1
    assert b"appeared" in batch.log[0]


def test_a_repeated_refusal_is_written_once_and_again_when_its_reasons_change(driven: Driven) -> None:
    low = opportunity(
        passes=False, refusals=("daily_below_min",), reasons={"daily_below_min": "0.01 % < 0.02 %"}
    )
    worse = opportunity(passes=False, refusals=("daily_below_min", "stale"))
    driven.hear(low, low, low, worse, worse)
    batch = driven.flush()
    assert [row["refusals"] for row in table(batch)] == ["daily_below_min", "daily_below_min;stale"]
    assert table(batch)[0]["reasons"] == "daily_below_min: 0.01 % < 0.02 %"
    assert batch.log == ()


def test_an_opportunity_that_goes_says_why(driven: Driven) -> None:
    driven.hear(
        opportunity(),
        opportunity(passes=False, refusals=("stale",), reasons={"stale": "quote is 31 s old\nsecond line"}),
    )
    batch = driven.flush()
    assert [row["event"] for row in table(batch)] == ["appeared", "disappeared"]
    assert batch.log[1].decode().endswith(f"disappeared  {PAIR}: stale (quote is 31 s old second line)\n")


def test_a_turned_direction_is_an_event(driven: Driven) -> None:
    driven.hear(opportunity(), opportunity(direction="reverse"))
    batch = driven.flush()
    assert [row["event"] for row in table(batch)] == ["appeared", "turned"]
    assert len(batch.log) == 2


def test_a_settled_print_is_recorded_exactly_once_whatever_its_jitter(driven: Driven) -> None:
    stamp = T0_MS - 8 * HOUR
    driven.hear(
        settled(0.0001, stamp + 7, mark=100_000.0),
        history((stamp - 8 * HOUR, 0.0002, 8.0), (stamp + 431, 0.0001, 8.0)),
        history((stamp - 8 * HOUR, 0.0002, 8.0), (stamp + 431, 0.0001, 8.0)),
        settled(0.0001, stamp + 999),
    )
    assert rows(driven.flush()) == [
        (FUNDING, FundingPrint(stamp + 7, 0.0001, 8.0, 100_000.0)),
        (FUNDING, FundingPrint(stamp - 8 * HOUR, 0.0002, 8.0)),
    ]


def test_quotes_become_bars_of_market_minutes_and_marks_theirs(driven: Driven) -> None:
    driven.hear(
        quote(100.0, T0_MS + 1_000),
        quote(103.0, T0_MS + 2_000),
        quote(99.0, T0_MS + 3_000),
        quote(101.0, T0_MS + 59_999),
        quote(102.0, T0_MS + 60_000),
        quote(50.0, T0_MS, instrument="ETH-USDT"),
        current(100.5, T0_MS),
        current(None, T0_MS),
    )
    assert rows(driven.flush()) == [
        (PERP, Bar(T0_MS, 100.0, 103.0, 99.0, 101.0)),
        (PERP, Bar(T0_MS + 60_000, 102.0, 102.0, 102.0, 102.0)),
        (SeriesKey(Kind.SPOT, "binance", "ETH-USDT"), Bar(T0_MS, 50.0, 50.0, 50.0, 50.0)),
        (SeriesKey(Kind.MARK, "binance", "BTC-USDT-PERP"), Bar(T0_MS, 100.5, 100.5, 100.5, 100.5)),
    ]


def test_the_bar_that_ended_is_written_before_the_one_that_began(driven: Driven) -> None:
    driven.hear(quote(100.0, T0_MS), quote(99.0, T0_MS + 1), quote(102.0, T0_MS + 60_000))
    assert rows(driven.flush()) == [
        (PERP, Bar(T0_MS, 100.0, 100.0, 99.0, 99.0)),
        (PERP, Bar(T0_MS + 60_000, 102.0, 102.0, 102.0, 102.0)),
    ]


def test_rows_are_counted_by_kind(driven: Driven) -> None:
    driven.hear(quote(100.0, T0_MS), settled(0.0001, T0_MS))
    driven.sec += 1
    effects = driven.tell(TimerFired(name=FLUSH))
    counts = {effect.labels["kind"]: effect.value for effect in effects if isinstance(effect, Measure)}
    assert counts == {"perp": 1, "funding": 1}


def test_only_one_batch_is_under_way(driven: Driven) -> None:
    driven.hear(opportunity())
    first = one(driven.tell(TimerFired(name=FLUSH)), WriteBatch)
    driven.hear(opportunity())
    assert [type(effect) for effect in driven.tell(TimerFired(name=FLUSH))] == [SetTimer]
    driven.answer(first)
    assert len(driven.flush().csv) == 1


def test_what_could_not_be_written_is_kept_in_order_and_health_says_so(driven: Driven) -> None:
    driven.hear(opportunity(daily=0.1))
    first = one(driven.tell(TimerFired(name=FLUSH)), WriteBatch)
    driven.hear(opportunity(daily=0.2))
    failed = driven.answer(first, Written(csv="cannot write it: No space left on device"))
    assert Health(key="write", problem="cannot write it: No space left on device") in failed
    batch = driven.flush()
    assert [row["daily"] for row in table(batch)] == ["0.1", "0.2"]
    assert not any(line in batch.log for line in first.log)  # the story had been written
    assert Health(key="write", problem="") in driven.answer(batch)


def test_a_handler_that_raised_loses_nothing(driven: Driven) -> None:
    driven.hear(opportunity(), settled(0.0001, T0_MS))
    first = one(driven.tell(TimerFired(name=FLUSH)), WriteBatch)
    driven.tell(Answered(request=first, error="boom", error_class="RuntimeError"))
    again = driven.flush()
    assert (again.csv, again.log, again.rows) == (first.csv, first.log, first.rows)


def test_a_disk_that_takes_nothing_costs_the_oldest_lines_and_says_how_many(
    driven: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINES_MAX", 3)
    for daily in (0.1, 0.2, 0.3, 0.4, 0.5):
        driven.hear(opportunity(daily=daily))
    batch = one(driven.tell(TimerFired(name=FLUSH)), WriteBatch)
    assert [row["daily"] for row in table(batch)] == ["0.3", "0.4", "0.5"]
    lost = [effect for effect in driven.answer(batch) if isinstance(effect, Health) and effect.key == "lost"]
    assert "2 lines were lost" in lost[0].problem


def test_the_last_flush_comes_with_the_end(driven: Driven) -> None:
    driven.hear(opportunity())
    under_way = one(driven.tell(TimerFired(name=FLUSH)), WriteBatch)
    driven.hear(quote(100.0, T0_MS))
    last = one(driven.tell(Draining()), WriteBatch)
    assert last != under_way
    assert [key for key, _ in rows(last)] == [PERP]
    assert b"ended" in last.log[-1]


def test_merging_goes_on_and_a_failure_is_told_and_tried_again_soon(driven: Driven) -> None:
    effects = driven.tell(TimerFired(name=MERGE))
    assert effects == [MergeSegments()]
    failed = driven.tell(Answered(request=MergeSegments(), error="no space", error_class="MergeFailed"))
    timers = [effect.after_us for effect in failed if isinstance(effect, SetTimer)]
    assert timers == [module.MERGE_RETRY_US]
    assert any(isinstance(e, Health) and "no space" in e.problem for e in failed)
    done = driven.tell(Answered(request=MergeSegments(), result=Merged(segments=1, added=5)))
    assert Health(key="merge", problem="") in done
    assert [effect.after_us for effect in done if isinstance(effect, SetTimer)] == [module.MERGE_US]


def test_contradictions_found_by_the_merge_are_in_the_story(driven: Driven) -> None:
    driven.tell(Answered(request=MergeSegments(), result=Merged(segments=1, conflicts=2)))
    assert b"2 settled rates were restated" in driven.flush().log[0]


def test_a_restated_rate_is_written_again_and_an_unchanged_one_is_not(driven: Driven) -> None:
    first, later = T0_MS, T0_MS + 28_800_000
    driven.hear(history((first, 0.0001, 8.0), (later, 0.0002, 8.0)), settled(0.0002, later + 7, mark=100.0))
    assert len(rows(driven.flush())) == 2
    driven.hear(history((first, 0.0001, 8.0), (later, 0.0003, 8.0)))  # same count, same ends
    driven.hear(history((first, 0.0001, 8.0), (later, 0.0003, 8.0)), settled(0.0003, later + 7))
    assert [row for _, row in rows(driven.flush())] == [FundingPrint(later, 0.0003, 8.0)]
    driven.hear(settled(0.0004, later + 7), settled(0.0004, later - 9))
    assert [row for _, row in rows(driven.flush())] == [FundingPrint(later + 7, 0.0004, 8.0)]
    driven.hear(history((first, 0.0001, 4.0), (later, 0.0004, 8.0)))
    assert [row for _, row in rows(driven.flush())] == [FundingPrint(first, 0.0001, 4.0)]


def test_health_of_services_is_told_when_it_changes(driven: Driven) -> None:
    driven.hear(
        pulse(),
        pulse(),
        pulse(ok=False, problems=("bus is gone",)),
        pulse(ok=False, problems=("bus is gone",)),
    )
    driven.hear(pulse(), pulse(pid=2))
    told = [line.decode().split("service", 1)[1].strip() for line in driven.flush().log]
    assert told == [
        "feed runs (pid 1)",
        "feed is unwell: bus is gone",
        "feed is well again",
        "feed was restarted (pid 1 -> 2)",
    ]


def test_a_service_that_falls_silent_is_told_once_and_its_return_too(driven: Driven) -> None:
    driven.hear(pulse())
    driven.flush(sec=4.0)
    driven.tell(TimerFired(name=WATCH))
    driven.sec += 3.0
    driven.tell(TimerFired(name=WATCH))
    driven.tell(TimerFired(name=WATCH))
    assert [b"has said nothing for 7 s" in line for line in driven.flush().log] == [True]
    driven.hear(pulse())
    assert [b"feed is heard again" in line for line in driven.flush().log] == [True]


def test_quarantines_come_and_go_in_the_story(driven: Driven) -> None:
    shut = Quarantine(instrument="INJ-USDT-PERP", reason="absurd_rate", text="rate 1.8e9", since_ms=T0_MS)
    driven.hear(venue(), venue(quarantined=(shut,)), venue(quarantined=(shut,)), venue(connected=False))
    told = [line.decode() for line in driven.flush().log]
    assert [text.split()[1] for text in told] == ["venue", "quarantined", "venue", "released"]
    assert "bybit INJ-USDT-PERP: absurd_rate, rate 1.8e9" in told[1]
    assert "bybit is not connected" in told[2]


def test_the_round_up_comes_when_the_choice_changes_and_every_five_minutes(driven: Driven) -> None:
    def evaluated(*selected: str) -> Evaluation:
        return Evaluation(
            pairs=3,
            passing=len(selected),
            selected=selected,
            evaluations_total=9,
            refusals={"stale": 1, "daily_below_min": 2},
            market_ms=T0_MS,
            eval_us=T0_MS,
        )

    driven.hear(evaluated(), evaluated(), evaluated("A"))
    lines = driven.flush().log
    assert len(lines) == 2
    assert b"1 of 3 pairs pass, selected: A; refusals: daily_below_min 2, stale 1" in lines[1]
    driven.hear(evaluated("A"))
    driven.sec += 301
    driven.hear(evaluated("A"), evaluated("A"))
    assert len(driven.flush().log) == 1


def test_alerts_are_in_the_story(driven: Driven) -> None:
    driven.hear(
        AlertRaised(level=AlertLevel.CRITICAL, key="k", text="stop", service="risk", wall_us=T0_MS * 1_000)
    )
    assert b"alert        (critical) risk: stop" in driven.flush().log[0]


def test_market_time_is_named_where_it_is_not_the_wall(driven: Driven) -> None:
    event = heard(opportunity())
    assert list(driven.actor.handle(event, now(1.0, market_ms=T0_MS + 10**9))) == []
    assert (
        driven.flush()
        .log[0]
        .startswith(b"2025-10-10T08:00:01.000Z (market 2025-10-21T21:46:40.000Z) appeared")
    )
