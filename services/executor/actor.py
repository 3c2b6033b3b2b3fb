"""The executor: intents, commands and permits in; orders, states and alerts out. One lane a pair.

Pure: same events in, same effects out. Everything that changes a pair happens in the pair's lane; the lane
"" keeps what all pairs share (prices, rules) and changes no pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from libs.common import subjects
from libs.common.effects import (
    Answered,
    Draining,
    Effect,
    Event,
    Health,
    Measure,
    Note,
    Persisted,
    Publish,
    Received,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel, Command, Funding, InstrumentInfo, Quote, Want
from libs.common.messages import Intent as Wanted
from libs.common.messages_exec import PairStatus, Permit
from services.executor import loans, meters, news, recovery, telling, watch, wishes
from services.executor.advance import advance
from services.executor.answers import Work, work_of
from services.executor.commands import PREFIX, Commands, lane_timer
from services.executor.events import (
    AccountLooked,
    AccountMoved,
    AccountSeen,
    CancelOrder,
    FillSeen,
    LeaseHeld,
    LeaseLost,
    LoadPair,
    OrderAnswered,
    OrderSeen,
    PairLoaded,
    ReadAccount,
    SetUp,
    SetUpDone,
    StoreTold,
    VenueTold,
)
from services.executor.lane import Draft, Lane
from services.executor.model import IntentState, State
from services.executor.say import pair_status
from services.executor.steps import permit_name, tick_name, wake_name
from services.executor.together import Together
from services.executor.world import World

TICK_US: Final = US_PER_SEC // 4
"""How often a pair looks at permits, drift and deadlines by itself."""

SAY_US: Final = 5 * US_PER_SEC

WANT, WANT_US = "want", 5 * US_PER_SEC
"""How often the feed is asked for instruments that it has not described."""


class ExecutorActor:
    """All pairs of one executor. `lanes`: pair id -> lane."""

    def __init__(self, world: World, lanes: Mapping[str, Lane]) -> None:
        self.world = world
        self.lanes = dict(lanes)
        self.together = Together(self.lanes)
        self.commands = Commands(world, self.lanes, self.together)
        world.lanes = self.lanes
        self._said_us: dict[str, int] = {}
        self._orders = meters.Orders()

    # --- lanes ------------------------------------------------------------------------------------

    def lane_of(self, event: Event) -> str:
        """The pair that an event concerns; "" for what all share."""
        match event:
            case Received():
                wanted = event.subject.startswith("signal.intent.")
                return event.subject.rsplit(".", 1)[1] if wanted else ""
            case TimerFired():
                return event.name.split("|", 1)[0] if "|" in event.name else ""
            case Answered():
                return getattr(event.request, "pair", "")
            case Persisted():
                return event.token.rsplit(":", 1)[0]
            case _:
                return getattr(event, "pair", "")

    # --- events -----------------------------------------------------------------------------------

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """One event; effects in the order in which they are to be done."""
        match event:
            case Received():
                yield from self._received(event, now)
            case TimerFired():
                yield from self._timer(event, now)
            case Answered():
                yield from self._answered(event, now)
            case Persisted():
                yield from self._persisted(event, now)
            case Started():
                yield from self._started()
            case Draining():
                yield from self._leave()
            case StoreTold():
                yield telling.of_store(event)
            case _:
                yield from self._observed(event, now)

    def _started(self) -> Iterable[Effect]:
        yield from self._want()
        for pair in self.lanes:
            yield SetTimer(name=tick_name(pair), after_us=TICK_US)

    def _want(self) -> Iterable[Effect]:
        """Ask what instruments are like: at the start, and while one of them is not known."""
        if any(key not in self.world.rules for lane in self.lanes.values() for key in lane.keys):
            want = Want(service="executor", what=("instruments",))
            yield Publish(subject=subjects.want("feed"), message=want)
            yield SetTimer(name=WANT, after_us=WANT_US)

    def _leave(self) -> Iterable[Effect]:
        """Nobody would see what rests fill: it is cancelled, and nothing is posted or begun any more."""
        self.world.leaving = True
        for lane in self.lanes.values():
            for one in lane.intents.values():
                if one.state is IntentState.WORKING and lane.lease is not None:
                    venue, name = lane.keys[one.leg]
                    yield CancelOrder(
                        pair=lane.pair, id=one.id, venue=venue, instrument=name, margin=one.margin
                    )

    def _observed(self, event: Event, now: Now) -> Iterable[Effect]:
        """What the shell itself tells: answers, the user stream, leases."""
        work: Work
        match event:
            case OrderAnswered():
                if (lane := self.lanes.get(event.pair)) is not None:
                    yield from self._orders.answered(lane, event, now)
                work = lambda lane, draft: news.on_answered(lane, draft, event)  # noqa: E731
            case OrderSeen(report=report):
                work = lambda lane, draft: news.on_report(lane, draft, report)  # noqa: E731
            case FillSeen(venue=venue, fill=fill):
                work = lambda lane, draft: news.on_fills(lane, draft, venue, (fill,))  # noqa: E731
            case AccountLooked(seen=seen):
                work = lambda lane, draft: self.together.look(lane, draft, seen)  # noqa: E731
            case AccountMoved():
                work = watch.on_moved
            case VenueTold(venue=venue, problem=problem):
                yield Health(key=f"venue:{venue}", problem=problem)
                return
            case LeaseHeld(store_id=store_id):
                self.world.store_id = store_id
                work = lambda lane, draft: recovery.on_lease(lane, draft, event)  # noqa: E731
            case LeaseLost(text=text, taken=taken):
                work = lambda lane, draft: recovery.on_lease_lost(lane, draft, text, taken=taken)  # noqa: E731
            case _:
                fields = {"event": type(event).__name__}
                text = "an event that the executor does not know"
                yield Note(text=text, level=AlertLevel.WARNING, fields=fields)
                return
        leases = isinstance(event, LeaseHeld | LeaseLost)
        yield from self._turn(event.pair, now, work, always=leases)

    def _turn(self, pair: str, now: Now, work: Work, *, always: bool = False) -> Iterable[Effect]:
        """One turn of a pair: news, then the next step, then one write and what follows from it.

        A pair that is not ours, or whose state has not been read since the last doubt about it, is deaf: what
        is in memory is not what lies in the store, and no news may be written on top of it. It learns them
        from the venue once it has been read. `always`: the work that ends this.
        """
        lane = self.lanes.get(pair)
        if lane is None or not (always or (lane.lease is not None and lane.loaded)):
            return
        draft = Draft(lane, now)
        work(lane, draft)
        advance(lane, draft)
        yield from lane.finish(draft)
        for move in draft.moves:
            if move.target is State.UNWINDING:
                labels = {"pair": pair, "reason": move.trigger.value}
                yield Measure(metric="fundarb_unwinds_total", value=1, labels=labels)
        if draft.moves:
            self._said_us[pair] = now.mono_us
            yield from meters.of_state(lane)
            yield from meters.of_legs(lane)

    # --- from the bus -----------------------------------------------------------------------------

    def _received(self, event: Received, now: Now) -> Iterable[Effect]:
        match event.message:
            case Quote() as quote:
                self.world.on_quote(quote, now)
            case Funding() as funding:
                self.world.on_funding(funding, now)
            case InstrumentInfo() as info:
                self.world.on_info(info)
            case Wanted() as wanted:
                self._orders.asked(wanted)
                yield from self._turn(
                    wanted.pair, now, lambda lane, draft: wishes.on_intent(lane, draft, wanted)
                )
            case Command():
                yield from self.commands.take(event, now)
            case PairStatus() as status:
                self.commands.hear(status, now)
            case Permit():
                yield from self._look_at_resting()
            case _:
                pass

    def _look_at_resting(self) -> Iterable[Effect]:
        """What rests increases, and may have to go with this permit: not only at the next tick."""
        for lane in self.lanes.values():
            if any(one.state is IntentState.WORKING for one in lane.intents.values()):
                yield SetTimer(name=permit_name(lane.pair), after_us=0)

    # --- timers -----------------------------------------------------------------------------------

    def _timer(self, event: TimerFired, now: Now) -> Iterable[Effect]:
        pair, _, rest = event.name.partition("|")
        if event.name == WANT:
            yield from self._want()
        elif rest.startswith("ask|"):
            order_id = rest.removeprefix("ask|")
            yield from self._turn(pair, now, lambda lane, draft: news.ask(lane, draft, order_id))
        elif event.name == recovery.reload_name(pair):
            yield from self._turn(pair, now, recovery.reload, always=True)
        elif event.name in (wake_name(pair), permit_name(pair)):
            yield from self._turn(pair, now, _look_again)
        elif event.name == loans.timer_name(pair):
            yield from self._turn(pair, now, loans.on_timer)
        elif event.name == lane_timer(pair):
            yield from self._turn(pair, now, self.commands.work)
        elif event.name.startswith(PREFIX):
            yield from self.commands.on_timer(event.name, now)
        elif rest == "tick":
            yield SetTimer(name=event.name, after_us=TICK_US)
            yield from self._turn(pair, now, wishes.on_tick)
            yield from self._set_up(pair, now)
            yield from self._say(pair, now)
            if pair == next(iter(self.lanes)):
                yield self.world.permits.measured(now)

    def _set_up(self, pair: str, now: Now) -> Iterable[Effect]:
        """Ask for what the accounts of our legs are set to. Nothing is changed beneath a position."""
        lane, setups = self.lanes[pair], self.world.setups
        if setups is None or lane.lease is None:
            return
        known = [key for key in lane.keys if all(one.loaded for one in self.together.sharers(key))]
        for venue, instrument in setups.due(known, now.mono_us):
            rests = all(one.state.state is State.IDLE for one in self.together.sharers((venue, instrument)))
            yield SetUp(pair=pair, venue=venue, instrument=instrument, change=rests)

    def _say(self, pair: str, now: Now) -> Iterable[Effect]:
        """State is said again every few seconds: whoever missed an edge is right again."""
        lane = self.lanes[pair]
        if now.mono_us - self._said_us.get(pair, -SAY_US) < SAY_US:
            return
        self._said_us[pair] = now.mono_us
        status = pair_status(lane, now)
        yield Publish(subject=subjects.exec_pair(pair), message=status)
        yield Measure(metric="fundarb_pair_delta_ratio", value=status.delta_ratio, labels={"pair": pair})
        yield from meters.of_state(lane)
        yield from meters.of_legs(lane)

    # --- answers ----------------------------------------------------------------------------------

    def _answered(self, event: Answered, now: Now) -> Iterable[Effect]:
        match event.request:
            case LoadPair(pair=pair, number=number):
                yield from self._loaded(pair, number, event, now)
            case SetUp(venue=venue, instrument=instrument):
                said = event.result if isinstance(event.result, SetUpDone) else None
                self.world.on_set_up((venue, instrument), said, event.error or "")
            case ReadAccount(pair=pair) if isinstance(event.result, AccountSeen):
                seen = event.result
                self.world.on_look(seen)
                yield from self._turn(pair, now, lambda lane, draft: self._look(lane, draft, seen))
            case request:
                if (work := work_of(event, self.together)) is not None:
                    yield from self._turn(getattr(request, "pair", ""), now, work)

    def _look(self, lane: Lane, draft: Draft, seen: AccountSeen) -> None:
        self.together.look(lane, draft, seen)
        self.commands.look(lane, draft, seen)

    def _loaded(self, pair: str, number: int, event: Answered, now: Now) -> Iterable[Effect]:
        loaded = event.result
        if isinstance(loaded, PairLoaded):
            yield Health(key=f"load:{pair}", problem="")
            yield from self._turn(
                pair, now, lambda lane, draft: recovery.on_loaded(lane, draft, loaded, number), always=True
            )
        else:
            yield Health(key=f"load:{pair}", problem=f"{pair} cannot be read: {event.error}")
            yield SetTimer(name=recovery.reload_name(pair), after_us=recovery.RELOAD_US)
            yield from self._turn(pair, now, recovery.tell_unstored, always=True)

    def _persisted(self, event: Persisted, now: Now) -> Iterable[Effect]:
        """A write that failed: nothing behind it was done. Read the truth again before anything else."""
        pair = event.token.rsplit(":", 1)[0]
        if event.ok:
            recovery.on_stored(self.lanes[pair])
            return
        error = event.error or "no reason given"
        yield Health(key=f"load:{pair}", problem=recovery.problem_of(self.lanes[pair], error))
        yield from self._turn(
            pair, now, lambda lane, draft: recovery.on_not_stored(lane, draft, error), always=True
        )
        yield from self.commands.not_stored(pair, self.lanes[pair].blocked)


def _look_again(_lane: Lane, _draft: Draft) -> None:
    """Nothing has come in: only the next step is due."""
