"""The feed goes on whatever risk says, and marks what it says of a venue."""

from __future__ import annotations

from libs.common.effects import Note, Publish
from libs.common.instant import ManualClock, Now
from libs.common.messages import VenueHealth
from libs.common.messages_exec import Breaker, Level, Permit
from services.feed.marks import Marks


def permit(now: Now, *breakers: Breaker, revision: int = 1) -> Permit:
    return Permit(risk_epoch=1, revision=revision, build="b", wall_us=now.wall_us, breakers=breakers)


def said(marks: Marks, now: Now) -> list[str]:
    effects = [
        Publish(
            subject=f"md.health.{venue}",
            message=VenueHealth(venue=venue, connected=True, ages_sec={}, recv_us=now.wall_us),
        )
        for venue in ("a", "b")
    ]
    found = list(marks.marked([*effects, Note(text="n")], now))
    assert found[-1] == Note(text="n")
    return [one.message.breaker for one in found if isinstance(one, Publish)]  # type: ignore[attr-defined]


def test_where_nobody_permits_there_is_no_mark() -> None:
    clock = ManualClock()
    assert said(Marks(build="b"), clock.now()) == ["", ""]


def test_levels_of_the_venue_and_of_everything_and_their_absence() -> None:
    clock, marks = ManualClock(), Marks(build="b")
    marks.apply(permit(clock.now(), Breaker(scope="venue:a", level=Level.NO_OPENS, reason="r")), clock.now())
    assert said(marks, clock.now()) == ["no_opens", "normal"]
    whole = Breaker(scope="global", level=Level.REDUCE_ONLY, reason="r")
    marks.apply(permit(clock.now(), whole, revision=2), clock.now())
    assert said(marks, clock.now()) == ["reduce_only", "reduce_only"]
    assert said(marks, clock.advance(sec=1.1)) == ["no_permit", "no_permit"]
