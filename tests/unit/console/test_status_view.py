"""What `fundarb status` says of those that are not heard: for how long, and that they are there."""

from __future__ import annotations

import os
from typing import Any

import pytest
from rich.console import Console

from libs.common import messages as m
from libs.common import subjects
from libs.common.runtime_file import Deployment
from libs.console.status_page import page
from libs.console.status_view import Status, silence, status_of
from libs.console.watch import Watch
from tests.unit.console.test_watch import WALL_US, hear

PAIR = "BTC-USDT_binance-spot_bitget-perp"
FIGURES = {"passes": False, "net_daily_usd": None, "reasons": {"no_data": "nothing seen"}}
HOUR_US = 3_600_000_000
LONG_AGO = Deployment(
    started_us=WALL_US - 2 * HOUR_US,
    pids={"feed": os.getpid(), "recorder": 4_194_305},  # Linux gives none above 2**22
    metrics_ports={"feed": 9101, "recorder": 9107},
)
UNREACHABLE = {"state": "unreachable", "problems": ["port 9101 does not answer (refused)"]}


@pytest.mark.parametrize(
    ("service", "answer", "said"),
    [
        ("feed", {"state": "unwell", "age_sec": 73.4, "problems": ["frozen: no pulse"]}, "silent for 73 s"),
        ("feed", {"state": "unwell", "age_sec": 900.0, "problems": []}, "silent for 15 min"),
        ("feed", {"state": "unwell", "age_sec": 0.5, "problems": ["starting"]}, "starting"),
        ("feed", {"state": "ok", "age_sec": 0.5, "problems": []}, "well, but not heard on the bus"),
        ("feed", UNREACHABLE, "silent: process {own} is there, port 9101 does not answer"),
        ("recorder", UNREACHABLE, "silent: process 4194305 has ended"),
        ("signal", None, "silent since the start 2 h 00 min ago"),
    ],
)
def test_a_service_that_is_not_heard(service: str, answer: dict[str, Any] | None, said: str) -> None:
    assert silence(LONG_AGO, service, answer, wall_us=WALL_US) == said.format(own=os.getpid())


@pytest.mark.parametrize("known", [Deployment(), Deployment(started_us=WALL_US - 5_000_000)])
def test_one_that_may_still_be_starting(known: Deployment) -> None:
    assert silence(known, "signal", None, wall_us=WALL_US) == "not heard yet"


def status(watch: Watch, *, unheard: dict[str, str], venues: tuple[str, ...] = ()) -> Status:
    replies = {"signal": {"pairs": {PAIR: FIGURES}}}
    return status_of(
        "main", LONG_AGO, watch, replies, wall_us=WALL_US + 60_000_000, unheard=unheard, venues=venues
    )


def text(shown: Status) -> str:
    console = Console(width=200)
    with console.capture() as said:
        console.print(page(shown))
    return said.get()


def test_venues_of_pairs_and_config_stay_when_nobody_speaks_of_them() -> None:
    shown = status(Watch(started_us=WALL_US), unheard={"feed": "silent for 73 s"}, venues=("okx",))
    assert shown.services["feed"] == "silent for 73 s"
    assert list(shown.venues) == ["binance", "bitget", "okx"]
    assert {venue["connected"] for venue in shown.venues.values()} == {None}
    assert "feed is not well: silent for 73 s" in shown.why
    assert "okx is not heard" in shown.why
    assert "okx is not connected" not in shown.why
    assert text(shown).count("not heard\n") >= 1
    assert "not heard" in text(shown)


def test_a_venue_that_was_heard_once_is_not_connected_for_ever() -> None:
    watch = Watch(started_us=WALL_US)
    seen = m.VenueHealth(venue="binance", connected=True, ages_sec={"quote": 0.1}, recv_us=WALL_US)
    hear(watch, subjects.md_health("binance"), seen)
    shown = status(watch, unheard={})
    assert shown.venues["binance"]["connected"] is None
    assert shown.venues["binance"]["silent_sec"] == 60.0
    assert "binance is not heard for 60 s" in shown.why
    assert "not heard for 60 s" in text(shown)


def test_one_that_runs_elsewhere_is_up_as_long_as_its_longest_running_service() -> None:
    watch = Watch(started_us=WALL_US)
    assert status_of("main", Deployment(), watch, {}, wall_us=WALL_US, unheard={}).uptime_sec == 0.0
    for service, uptime_sec in (("feed", 90), ("signal", 7_200)):
        beat = m.ServiceHealth(
            service=service, ok=True, build="b", pid=1, uptime_sec=uptime_sec, lag_ms=0, inbox_depth=0,
            wall_us=WALL_US,
        )  # fmt: skip
        hear(watch, subjects.health(service), beat)
    shown = status_of("main", Deployment(), watch, {}, wall_us=WALL_US, unheard={})
    assert shown.uptime_sec == 7_200
    assert "up 2 h 00 min" in text(shown)
