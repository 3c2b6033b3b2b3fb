"""What `fundarb status` says, made from the bus: pure, so that a script and a person get the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from libs.common import messages as m
from libs.common.bus import Frame
from libs.common.instant import US_PER_SEC
from libs.common.runtime_file import Deployment
from libs.common.subjects import venues_of
from libs.console.watch import SILENT_SEC, Watch

if TYPE_CHECKING:
    from rich.console import RenderableType

NEAREST_MAX: Final = 5
WHY_MAX: Final = 3
SERVERS: Final = frozenset({"console", "nats", "valkey", "nats-server", "valkey-server"})
EXPECTED: Final = ("feed", "signal")
STARTING_SEC: Final = 60.0  # a service may take so long until its first beat
VENUE_SILENT_SEC: Final = 5.0  # the feed tells each second how it sees a venue


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that is kept out, with every reason in words."""

    pair: str
    net_daily_usd: float | None
    reasons: dict[str, str]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One screen. `why` answers "why is nothing happening", most important first."""

    deployment: str
    uptime_sec: float
    services: dict[str, str]
    venues: dict[str, dict[str, Any]]
    pairs: int
    passing: list[str]
    would_hold: dict[str, Any]
    holds: dict[str, Any]
    waiting: dict[str, Any]
    refusals: dict[str, int]
    nearest: list[Near]
    problems: dict[str, str]
    why: list[str]


def replies_of(frames: Iterable[Frame]) -> dict[str, dict[str, Any]]:
    """Service -> result of those that answered `cmd.status` with ok; what is no reply is left out."""
    found: dict[str, dict[str, Any]] = {}
    for frame in frames:
        try:
            reply = m.decode(frame.payload, m.CommandReply)
        except m.BadMessage:
            continue
        if reply.ok:
            found[reply.service] = reply.result
    return found


def unheard_services(known: Deployment, watch: Watch) -> tuple[str, ...]:
    """Services that belong to the deployment and of which no beat was heard."""
    return tuple(sorted({*EXPECTED, *known.metrics_ports} - SERVERS - watch.services.keys()))


def silence(known: Deployment, service: str, answer: Mapping[str, Any] | None, *, wall_us: int) -> str:
    """What is known of a service that is not heard on the bus, in words.

    `answer` is what its /health says (`age_sec`: since its event loop last moved), None without a port.
    """
    up_sec = (wall_us - known.started_us) / US_PER_SEC if known.started_us else 0.0
    if answer is None:
        return f"silent since the start {_span(up_sec)} ago" if up_sec > STARTING_SEC else "not heard yet"
    age_sec = answer.get("age_sec")
    if age_sec is None:
        pid = known.pids.get(service)
        if pid is not None and not _runs(pid):
            return f"silent: process {pid} has ended"
        there = f"process {pid} is there, " if pid is not None else ""
        return f"silent: {there}port {known.metrics_ports[service]} does not answer"
    if age_sec > SILENT_SEC:
        return f"silent for {_span(age_sec)}"
    return "; ".join(answer["problems"]) or "well, but not heard on the bus"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def status_of(
    name: str,
    known: Deployment,
    watch: Watch,
    replies: Mapping[str, dict[str, Any]],
    *,
    wall_us: int,
    unheard: Mapping[str, str],
    venues: Iterable[str] = (),
) -> Status:
    """Fold what was heard in a moment of listening.

    `unheard` says of services without a beat what `silence` knows; `venues` are those of the config.
    """
    services = watch.service_states(tuple(sorted({*watch.services, *unheard})), wall_us) | dict(unheard)
    signal = replies.get("signal", {})
    pairs: dict[str, dict[str, Any]] = signal.get("pairs") or _heard_pairs(watch)
    passing = [pair for pair, figures in pairs.items() if figures["passes"]]
    refusals = dict(signal.get("refusals") or watch.refusals_now)
    wanted = {*venues, *watch.venues, *(venue for pair in pairs for venue in venues_of(pair))}
    seen = {venue: _venue(watch.venues.get(venue), wall_us) for venue in sorted(wanted)}
    kept_out = [
        Near(pair=pair, net_daily_usd=figures["net_daily_usd"], reasons=figures["reasons"])
        for pair, figures in pairs.items()
        if not figures["passes"]
    ]
    nearest = sorted(kept_out, key=lambda near: len(near.reasons))[
        :NEAREST_MAX
    ]  # stable: signal's order within
    problems = dict(signal.get("problems") or {})
    return Status(
        deployment=name,
        uptime_sec=max(0.0, (wall_us - known.started_us) / US_PER_SEC) if known.started_us else 0.0,
        services=dict(sorted(services.items())),
        venues=seen,
        pairs=len(pairs),
        passing=passing,
        would_hold=dict(signal.get("would_hold") or {}),
        holds=dict(signal.get("holds") or {}),
        waiting=dict(signal.get("waiting") or {}),
        refusals=dict(sorted(refusals.items(), key=lambda item: -item[1])),
        nearest=nearest,
        problems=problems,
        why=_why(
            services,
            seen,
            pairs=len(pairs),
            passing=len(passing),
            nearest=nearest,
            problems=problems,
            trading=str(signal["nothing_because"]) if signal.get("holds") or watch.trades.pairs else None,
        ),
    )


def _heard_pairs(watch: Watch) -> dict[str, dict[str, Any]]:
    return {
        item.pair: {"passes": item.passes, "net_daily_usd": item.net_daily_usd, "reasons": item.reasons}
        for item in watch.ranked()
    }


def _venue(health: m.VenueHealth | None, wall_us: int) -> dict[str, Any]:
    """`connected` is None when nobody says, `silent_sec` for how long (None: since we listen)."""
    if health is None:
        health = m.VenueHealth(venue="", connected=False, ages_sec={}, recv_us=0)
    silent_sec = (wall_us - health.recv_us) / US_PER_SEC if health.recv_us else None
    silent = silent_sec is None or silent_sec > VENUE_SILENT_SEC
    return {
        "connected": None if silent else health.connected,
        "silent_sec": silent_sec if silent else None,
        "ages_sec": health.ages_sec,
        "clock_offset_ms": health.clock_offset_ms,
        "gaps": health.gaps,
        "quarantined": [
            f"{item.instrument or 'the whole venue'}: {item.text or item.reason}"
            for item in health.quarantined
        ],
    }


def _why(
    services: Mapping[str, str],
    venues: Mapping[str, dict[str, Any]],
    *,
    pairs: int,
    passing: int,
    nearest: list[Near],
    problems: Mapping[str, str],
    trading: str | None = None,
) -> list[str]:
    """Sentences, the root first: what does not run explains what is not seen. `trading`: signal's own words
    where an executor runs, None with an observer.
    """
    said = [f"{name} is not well: {state}" for name, state in services.items() if state != "ok"]
    said += [f"{venue} is {_sight(seen)}" for venue, seen in venues.items() if not seen["connected"]]
    said += list(problems.values())
    if pairs == 0 and services.get("signal") == "ok":
        said.append("signal has not evaluated a pair yet: it waits for data, or the config names no pair")
    if passing:
        count = "1 pair passes" if passing == 1 else f"{passing} pairs pass"
        if trading is None:
            said.append(f"{count} every rule; an observer writes that down and sends no order")
        else:
            said.append(f"{count} every rule" + (f"; {trading}" if trading else ""))
    elif pairs:
        said.append(f"none of {pairs} pairs passes every rule, which is a normal answer")
        said += [f"{near.pair}: {'; '.join(near.reasons.values())}" for near in nearest[:WHY_MAX]]
    return said


def page(status: Status) -> RenderableType:
    """One screen of a terminal, 80 columns and more."""
    from rich.console import Group  # noqa: PLC0415 - --json must not pay for rich
    from rich.text import Text  # noqa: PLC0415

    from libs.console.output import table  # noqa: PLC0415

    head = Text(f"deployment {status.deployment}", style="bold cyan")
    head.append(f"   up {_span(status.uptime_sec)}", style="white")
    head.append(f"   {len(status.passing)} of {status.pairs} pairs pass", style="bold white")
    seen = table(["what", "state"])
    for name, state in status.services.items():
        seen.add_row(name, Text(state, style="green" if state == "ok" else "red"))
    for name, venue in status.venues.items():
        seen.add_row(name, _venue_text(venue))
    parts: list[RenderableType] = [head, seen]
    if status.refusals:
        counts = ", ".join(f"{code.replace('_', ' ')} {count}" for code, count in status.refusals.items())
        parts.append(Text(f"refused: {counts}\n"))
    for pair, figures in status.holds.items():
        state = f"{figures.get('state', '')} {figures['direction']}".strip()
        parts.append(Text(f"holds {pair}: {state}, {figures['notional_usd']:,.0f} USD", style="green"))
    if status.would_hold:
        parts.append(Text(f"would hold: {', '.join(status.would_hold)}\n", style="green"))
    if status.nearest:
        near = table(
            ["nearest to passing", "net $/day", "kept out by"],
            right=["net $/day"],
            whole=["nearest to passing"],
        )
        for item in status.nearest:
            net = "-" if item.net_daily_usd is None else f"{item.net_daily_usd:+.2f}"
            near.add_row(item.pair, net, ", ".join(code.replace("_", " ") for code in item.reasons))
        parts.append(near)
    parts.append(Text("\n".join(f"- {line}" for line in status.why)))
    return Group(*parts)


def _sight(venue: Mapping[str, Any]) -> str:
    """`connected`, `not connected`, or that nobody speaks of the venue, and for how long."""
    if venue["connected"] is not None:
        return "connected" if venue["connected"] else "not connected"
    return "not heard" + ("" if venue["silent_sec"] is None else f" for {_span(venue['silent_sec'])}")


def _venue_text(venue: Mapping[str, Any]) -> Any:
    from rich.text import Text  # noqa: PLC0415 - see page

    text = Text(_sight(venue), style="" if venue["connected"] else "red")
    if venue["connected"] is None:
        return text
    ages = ", ".join(f"{kind} {age:.1f} s" for kind, age in sorted(venue["ages_sec"].items()))
    text.append(f"; data ages: {ages or 'nothing seen'}")
    if venue["clock_offset_ms"] is not None:
        text.append(f"; clock {venue['clock_offset_ms']:+.0f} ms")
    if venue["quarantined"]:
        text.append(f"; shut out: {', '.join(venue['quarantined'][:2])}", style="yellow")
    return text


def _span(seconds: float) -> str:
    minutes = int(seconds) // 60
    if minutes >= 1_440:
        return f"{minutes // 1_440} d {minutes % 1_440 // 60} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if minutes > 1 else f"{int(seconds)} s"
