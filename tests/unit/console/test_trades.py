"""What the console makes of the executor's words: held pairs, counts, summary, page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Console

from libs.common.messages_exec import BookSummary, PairLeg, PairStatus, ProfitAndLoss
from libs.common.subjects import Kind
from libs.console.live import screen
from libs.console.trades import BOOKED_US
from libs.console.verbs.positions import answer
from libs.console.verbs.up import traded_words
from libs.console.watch import Watch
from tests.unit.console.test_watch import WALL_US, hear, opportunity

PAIR = "APT-USDT_binance-spot_binance-perp"
PNL = ProfitAndLoss(funding=Decimal("3.6"), fees=Decimal("-1.5"), total=Decimal("2.1"))


def status(state: str, *, at: int = 0, **given: Any) -> PairStatus:
    held = Decimal(0) if state == "idle" else Decimal("254.5")
    short = PairLeg(venue="binance", instrument="APT-USDT", kind=Kind.SPOT, quantity=-held, borrowed=held)
    long = PairLeg(venue="binance", instrument="APT-USDT-PERP", kind=Kind.PERP, quantity=held)
    figures: dict[str, Any] = {
        "version": at,
        "direction": "reverse",
        "legs": (short, long),
        "notional_usd": Decimal(1000),
        "delta": Decimal(0),
        "delta_ratio": 0.0012,
        "naked_usd": 1.2,
        "reason": "reverse at 0.8 % a day",
        "owner": "somebody",
        "wall_us": WALL_US + at,
    }
    return PairStatus(pair=PAIR, state=state, **{**figures, **given})  # type: ignore[arg-type]


def books(**given: Any) -> BookSummary:
    figures: dict[str, Any] = {
        "pnl": PNL,
        "by_pair": {PAIR: PNL},
        "equity_start_usd": Decimal(1000),
        "equity_usd": Decimal("1002.1"),
        "residual_usd": Decimal(0),
        "funding_received_usd": Decimal("3.6"),
        "funding_expected_usd": Decimal("3.5"),
        "settlements": 3,
        "orders": 4,
        "pairs_opened": 1,
        "market_ms": 1,
        "wall_us": WALL_US,
    }
    return BookSummary(**{**figures, **given})


def heard(*states: str) -> Watch:
    watch = Watch(started_us=WALL_US)
    for at, state in enumerate(states):
        hear(watch, f"exec.pair.{PAIR}", status(state, at=at))
    hear(watch, "exec.books", books())
    return watch


def summary(watch: Watch) -> dict[str, Any]:
    return watch.summary(wall_us=WALL_US, services={}, extra={})


def page(watch: Watch, width: int) -> str:
    console = Console(width=width)
    with console.capture() as said:
        console.print(screen(watch, title="t", notes=(), states={}, wall_us=WALL_US, width=width, height=30))
    return said.get()


def test_moves_are_counted_once_however_often_a_state_is_said() -> None:
    watch = heard("idle", "opening", "active", "active", "closing", "idle", "idle", "opening", "active")
    told = summary(watch)["by_pair"][PAIR]
    assert (told["opened"], told["closed"], told["state"]) == (2, 1, "active")


def test_an_older_word_and_one_of_somebody_who_does_not_lead_count_for_nothing() -> None:
    watch = heard("opening", "active")
    hear(watch, f"exec.pair.{PAIR}", status("idle", at=-1))
    hear(watch, f"exec.pair.{PAIR}", status("idle", at=9, owner=""))
    assert [one.state for one in watch.trades.held] == ["active"]


def test_the_summary_is_that_of_the_books() -> None:
    told = summary(heard("opening", "active"))
    assert told["funding_received_usd"] == 3.6
    assert told["pnl"]["total"] == 2.1
    assert (told["equity_start_usd"], told["equity_end_usd"]) == (1000.0, 1002.1)
    assert told["positions_open"] == [PAIR]
    assert told["by_pair"][PAIR]["legs"]["binance.APT-USDT"]["borrowed"] == 254.5


def test_without_an_executor_everything_is_zero_and_equity_unknown() -> None:
    told = summary(Watch(started_us=WALL_US))
    assert told["orders"] == 0
    assert set(told["pnl"].values()) == {0.0}
    assert told["equity_end_usd"] is None
    assert traded_words(told) == []


def test_the_page_shows_what_is_held_at_any_width() -> None:
    watch = heard("opening", "active")
    narrow, wide = page(watch, 80), page(watch, 140)
    for text in (narrow, wide):
        assert "APT binance" in text
        assert "active" in text
        assert "reverse" in text
        assert "equity $1,002.10 (+2.10)" in text
        assert "3 settlements" in text
    assert "owes 254.5" in wide
    assert "reverse at 0.8 % a day" in wide
    assert max(len(line) for line in narrow.splitlines()) <= 80


def test_a_pair_that_passes_and_is_not_opened_says_what_it_waits_for() -> None:
    watch = heard("idle")
    hear(watch, "signal.opportunity.x", opportunity(reasons={"resting": "left lately; rests for 3 h"}))
    assert "waits: left lately; rests for 3 h" in page(watch, 170)


def test_positions_that_stay_open_are_said_at_the_end() -> None:
    words = "\n".join(traded_words(summary(heard("opening", "active"))))
    assert "1 pairs opened, 0 closed, 4 orders" in words
    assert f"still open at the end, and left as they are: {PAIR}" in words


def test_the_positions_verb_answers_with_state_legs_and_parts() -> None:
    told = answer("demo", heard("opening", "active"))
    assert told["pairs"][PAIR]["state"] == "active"
    assert told["pairs"][PAIR]["pnl"]["funding"] == 3.6
    assert told["pairs"][PAIR]["reason"] == "reverse at 0.8 % a day"
    assert told["idle"] == 0
    assert answer("demo", heard("opening", "active", "closing", "idle"))["pairs"] == {}


def test_the_last_words_wait_for_books_that_know_every_state_and_every_account() -> None:
    watch = heard("opening", "active")
    trades, moved_us = watch.trades, WALL_US + 1

    def final(residual: str | None, at_us: int, since_us: int = WALL_US) -> bool:
        left = None if residual is None else Decimal(residual)
        hear(watch, "exec.books", books(residual_usd=left, wall_us=at_us))
        return trades.is_final(since_us)

    assert not trades.is_final(WALL_US)
    assert not final("0", moved_us + BOOKED_US - 1), "the books may not have read what was told"
    assert not final(None, moved_us + BOOKED_US), "an account was not compared"
    assert not final("0", moved_us + BOOKED_US, since_us=moved_us + 2 * BOOKED_US)
    assert final("0", moved_us + BOOKED_US)
    hear(watch, f"exec.pair.{PAIR}", status("closing", at=9))
    assert not final("0", moved_us + 9 * BOOKED_US), "it moves"


def test_a_residual_that_is_not_known_is_not_said_to_be_0() -> None:
    watch = heard("opening", "active")
    hear(watch, "exec.books", books(residual_usd=None, residual_by_venue={"binance": Decimal(3)}, orders=4))
    told = summary(watch)
    assert told["equity_residual_usd"] is None
    assert told["equity_residual_by_venue"] == {}
    assert "not compared" in "\n".join(traded_words(told))
    assert "residual not compared yet" in page(watch, 140)
    hear(watch, "exec.books", books(residual_usd=Decimal(3), residual_by_venue={"binance": Decimal(-3)}))
    assert summary(watch)["equity_residual_by_venue"] == {"binance": -3.0}
