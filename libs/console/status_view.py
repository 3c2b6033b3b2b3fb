"""What `fundarb status` says, made from the bus: pure, so that a script and a person get the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from libs.common import messages as m
from libs.common.bus import Frame
from libs.common.instant import US_PER_SEC
from libs.common.runtime_file import Deployment
from libs.common.subjects import venues_of
from libs.console.status_risk import HALTS_SAID_MAX, Halt, halts_of, more, permit_of, said_of
from libs.console.watch import SILENT_SEC, Watch

NEAREST_MAX: Final = 5
WHY_MAX: Final = 3
TRADERS: Final = frozenset({"risk", "executor"})
EXECUTORS: Final = ("state", "reason", "waits", "orders_open", "may_keep", "flattened")
"""What is taken over of the executor's answer about a pair."""

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
    """One screen. `why` answers "why is nothing happening", most important first.

    `holds` are the pairs that are not idle, with `waits` for what nothing can be done about just now.
    `refused`: pair that passes, or that a person has flattened -> why the executor opens nothing of it.
    `store` is `ok` or what its room forbids. `trading`: risk or executor belong to what runs.
    """

    deployment: str
    uptime_sec: float
    services: dict[str, str]
    venues: dict[str, dict[str, Any]]
    trading: bool
    permit: dict[str, Any]
    halts: list[Halt]
    pairs: int
    passing: list[str]
    would_hold: dict[str, Any]
    holds: dict[str, Any]
    waiting: dict[str, Any]
    refused: dict[str, str]
    unknown_orders: list[dict[str, Any]]
    store: str
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
        return f"silent since the start {span(up_sec)} ago" if up_sec > STARTING_SEC else "not heard yet"
    age_sec = answer.get("age_sec")
    if age_sec is None:
        pid = known.pids.get(service)
        if pid is not None and not _runs(pid):
            return f"silent: process {pid} has ended"
        there = f"process {pid} is there, " if pid is not None else ""
        return f"silent: {there}port {known.metrics_ports[service]} does not answer"
    if age_sec > SILENT_SEC:
        return f"silent for {span(age_sec)}"
    return "; ".join(answer["problems"]) or "well, but not heard on the bus"


def _uptime_sec(known: Deployment, watch: Watch, wall_us: int) -> float:
    """Since its start here; of one that runs elsewhere, as long as its longest running service."""
    if known.started_us:
        return max(0.0, (wall_us - known.started_us) / US_PER_SEC)
    return max((beat.uptime_sec for beat in watch.services.values()), default=0.0)


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
    signal, executor = replies.get("signal", {}), replies.get("executor", {})
    pairs: dict[str, dict[str, Any]] = signal.get("pairs") or _heard_pairs(watch)
    passing = [pair for pair, figures in pairs.items() if figures["passes"]]
    refusals = dict(signal.get("refusals") or watch.refusals_now)
    wanted = {*venues, *watch.venues, *(venue for pair in pairs for venue in venues_of(pair))}
    kept_out = [
        Near(pair=pair, net_daily_usd=figures["net_daily_usd"], reasons=figures["reasons"])
        for pair, figures in pairs.items()
        if not figures["passes"]
    ]
    nearest = sorted(kept_out, key=lambda near: len(near.reasons))  # stable: signal's order within
    age_sec = None if watch.permit_us is None else (wall_us - watch.permit_us) / US_PER_SEC
    status = Status(
        deployment=name,
        uptime_sec=_uptime_sec(known, watch, wall_us),
        services=dict(sorted(services.items())),
        venues={venue: _venue(watch.venues.get(venue), wall_us) for venue in sorted(wanted)},
        trading=bool(TRADERS & {*services, *known.pids}) or bool(watch.trades.pairs),
        permit=permit_of(watch.permit, age_sec),
        halts=halts_of(watch.permit, wall_us=wall_us),
        pairs=len(pairs),
        passing=passing,
        would_hold=dict(signal.get("would_hold") or {}),
        holds=_holds(signal, executor, watch),
        waiting=dict(signal.get("waiting") or {}),
        refused=_refused(executor, passing),
        unknown_orders=list(executor.get("unknown_orders") or _unknown(watch)),
        store=str(executor.get("store") or "ok"),
        refusals=dict(sorted(refusals.items(), key=lambda item: -item[1])),
        nearest=nearest[:NEAREST_MAX],
        problems=dict(signal.get("problems") or {}),
        why=[],
    )
    because = signal.get("nothing_because")
    return msgspec.structs.replace(status, why=list(why(status, because=str(because or ""))))


def _holds(signal: Mapping[str, Any], executor: Mapping[str, Any], watch: Watch) -> dict[str, dict[str, Any]]:
    """What is held by signal's word, completed by what the executor says and has said of it."""
    found: dict[str, dict[str, Any]] = {pair: dict(one) for pair, one in (signal.get("holds") or {}).items()}
    for status in watch.trades.held:
        told = {
            "state": status.state,
            "direction": status.direction,
            "notional_usd": float(status.notional_usd),
            "reason": status.reason,
            "orders_unknown": status.orders_unknown,
        }
        found[status.pair] = found.get(status.pair, {}) | told
    for pair, one in (executor.get("pairs") or {}).items():
        if one.get("state") != "idle" or one.get("waits"):
            found[pair] = found.get(pair, {}) | {name: one[name] for name in EXECUTORS if name in one}
    return dict(sorted(found.items()))


def _refused(executor: Mapping[str, Any], passing: Iterable[str]) -> dict[str, str]:
    """Of idle pairs by the executor's own word: signal may want what the executor does not open."""
    wanted = frozenset(passing)
    return {
        pair: str(one["opens"])
        for pair, one in sorted((executor.get("pairs") or {}).items())
        if one.get("state") == "idle" and one.get("opens", "ok") != "ok"
        if pair in wanted or one.get("flattened")
    }


def _unknown(watch: Watch) -> list[dict[str, Any]]:
    """Where the executor does not answer: how many by pair, as it has said itself."""
    return [
        {"pair": one.pair, "count": one.orders_unknown} for one in watch.trades.held if one.orders_unknown
    ]


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


def why(status: Status, *, because: str) -> Iterator[str]:
    """Sentences, the root first: what does not run explains what is not seen, and what is forbidden comes
    before what is not worth it. `because`: signal's own words where an executor runs.
    """
    yield from (f"{name} is not well: {state}" for name, state in status.services.items() if state != "ok")
    if status.trading and not status.permit["fresh"]:
        age_sec = status.permit["age_sec"]
        since = "has been heard" if age_sec is None else f"for {span(age_sec)}"
        yield f"no permit of risk {since}: nothing is opened without one"
    for halt in status.halts[:HALTS_SAID_MAX]:
        yield said_of(halt, "" if halt.for_sec is None else span(halt.for_sec))
    if rest := more(status.halts):
        yield rest
    if status.unknown_orders:
        yield _unknown_said(status.unknown_orders)
    if status.store != "ok":
        yield f"the store: {status.store}"
    yield from (f"{venue} is {sight(seen)}" for venue, seen in status.venues.items() if not seen["connected"])
    yield from status.problems.values()
    yield from (f"{pair} waits: {one['waits']}" for pair, one in status.holds.items() if one.get("waits"))
    yield from _not_opened(status)
    yield from _worth(status, because)


def _not_opened(status: Status) -> Iterator[str]:
    """What the executor keeps shut by itself, pairs of one reason together; risk's halts were said before."""
    if not status.permit["fresh"]:
        return
    alike: dict[str, list[str]] = {}
    for pair, reason in status.refused.items():
        if not any(reason.startswith(f"{halt.scope} is ") for halt in status.halts):
            alike.setdefault(reason, []).append(pair)
    for reason, pairs in list(alike.items())[:WHY_MAX]:
        who = pairs[0] if len(pairs) == 1 else f"{len(pairs)} pairs"
        yield f"the executor opens nothing of {who}: {reason}"


def _worth(status: Status, because: str) -> Iterator[str]:
    """What the evaluation says, once everything runs."""
    if status.pairs == 0 and status.services.get("signal") == "ok":
        yield "signal has not evaluated a pair yet: it waits for data, or the config names no pair"
    if status.passing:
        count = "1 pair passes" if len(status.passing) == 1 else f"{len(status.passing)} pairs pass"
        if not status.trading:
            yield f"{count} every rule; an observer writes that down and sends no order"
        else:
            yield f"{count} every rule" + (f"; {because}" if because else "")
    elif status.pairs:
        yield f"none of {status.pairs} pairs passes every rule, which is a normal answer"
        for near in status.nearest[:WHY_MAX]:
            yield f"{near.pair}: {'; '.join(near.reasons.values())}"


def _unknown_said(orders: list[dict[str, Any]]) -> str:
    count = sum(int(one.get("count", 1)) for one in orders)
    pairs = ", ".join(dict.fromkeys(str(one["pair"]) for one in orders))
    what = "1 order has" if count == 1 else f"{count} orders have"
    return f"{what} an unknown outcome ({pairs}): the venue is asked until it is known"


def sight(venue: Mapping[str, Any]) -> str:
    """`connected`, `not connected`, or that nobody speaks of the venue, and for how long."""
    if venue["connected"] is not None:
        return "connected" if venue["connected"] else "not connected"
    return "not heard" + ("" if venue["silent_sec"] is None else f" for {span(venue['silent_sec'])}")


def span(seconds: float) -> str:
    """`12 s`, `4 min`, `2 h 05 min`, `3 d 4 h`."""
    minutes = int(seconds) // 60
    if minutes >= 1_440:
        return f"{minutes // 1_440} d {minutes % 1_440 // 60} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if minutes > 1 else f"{int(seconds)} s"
