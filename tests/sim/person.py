"""The operator: commands through the real door of every service, some of them late, repeated or no commands.

He tidies up after the controls: what has been latched is reset, a pause is resumed, a stuck pair is looked
at. What he was answered, and what risk permits, is held against what he asked for.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from libs.common.bus import Frame
from libs.common.commands import READING
from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.messages import CommandReply
from libs.common.messages_exec import Level, Permit
from libs.common.notices import AUDIT
from libs.common.permit import scopes_of
from libs.common.subjects import command
from services.executor.model import State
from services.risk.keeper import EPOCH_KEY
from services.risk.latches import OPERATOR_FLATTEN, OPERATOR_HALT, OPERATOR_PAUSE
from tests.sim.invariants import Violated
from tests.sim.plan import Misfortune, SimPair

if TYPE_CHECKING:
    from tests.sim.process import Process
    from tests.sim.world import World

ACTS: Final = {
    "pause": (OPERATOR_PAUSE, Level.NO_OPENS),
    "halt": (OPERATOR_HALT, Level.REDUCE_ONLY),
    "flatten": (OPERATOR_FLATTEN, Level.FLATTEN),
}
EASES: Final = ("reset", "resume")
ON_ITS_WAY_US: Final = 40 * US_PER_SEC
"""A command may be under way for so long, to a process that hangs: what was said before may come after."""

ASLEEP_US: Final = 15 * US_PER_SEC
"""Before the end: what is latched then stays so, and the system is left alone with it."""

TEN_MIN_MS: Final = 600_000
NO_COMMANDS: Final = (
    ("halt", b'{"scope": "venue:nowhere"}'),
    ("halt", b'{"scope": 7}'),
    ("flatten", b'{"scope": "global"}'),  # nobody confirmed it
    ("flatten", b'{"confirm": true, "scpoe": "global"}'),
    ("flatten", b'{"confirm": true, "confirm": true}'),
    ("reset", b'{"confirm": "yes"}'),
    ("reset", b"["),
    ("resume", b'{"pair": "BTC-USDT_binance-spot_binance-perp; DROP"}'),
    ("open", b'{"scope": "global", "direction": "forward"}'),
    ("destroy", b"{}"),
    ("pause", b'{"reason": "' + b"a" * 17_000 + b'"}'),
    ("halt", b'{"id": "\\u00e4"}'),
)
"""(verb, body) that nobody obeys."""


class Ask(msgspec.Struct, frozen=True):
    """What was said. `void`: nobody may obey it."""

    verb: str
    scope: str
    id: str
    void: bool


class Person:
    """`newest` is what he sees of risk: the last permit of a life whose epoch is the store's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"person {world.plan.seed}")  # noqa: S311 - a seed is what it is for
        self.newest: Permit | None = None
        self.latched: dict[tuple[str, str], Level] = {}  # what risk has said `ok` to, and nobody has eased
        self._asked: dict[str, Ask] = {}
        self._obeyed: set[tuple[str, str]] = set()
        self._eased_us: dict[str, int] = {}
        self._said: list[tuple[str, bytes]] = []
        self._lasting: dict[str, str] = {}  # id -> verb of what risk has obeyed, in this store

    def start(self) -> None:
        """He looks every few seconds."""
        self.world.time.after(self.rng.randrange(1, 5) * US_PER_SEC, self._act)

    def forget(self) -> None:
        """The store was lost, and with it every latch, and which commands were taken."""
        self.latched.clear()
        self._obeyed.clear()
        self._lasting.clear()

    def _act(self) -> None:
        world = self.world
        if world.calm:
            return
        pause_us = self.rng.randrange(500, 4_000) * US_PER_MS
        world.time.after(world.absences.paced_us(pause_us), self._act)
        self._harm()
        if self.rng.random() < 0.7 and world.now.mono_us < world.active_us - ASLEEP_US:
            self._tidy()
        if self.rng.random() < 0.1:
            self.say(self.rng.choice(("status", "positions")), {})

    # --- what he does -------------------------------------------------------------------------------

    def _harm(self) -> None:
        hits, pair = self.world.hits, self.rng.choice(self.world.pairs)
        scope = self.rng.choice(("global", f"pair:{pair.id}", f"venue:{pair.keys[0][0]}"))
        for kind, verb, chance in (
            (Misfortune.RISK_HALTS, "halt", 0.06),
            (Misfortune.RISK_FLAPS, "pause", 0.2),
            (Misfortune.RISK_FLATTENS, "flatten", 0.06),
        ):
            if hits(kind, chance):
                self.say(verb, {"scope": scope, "confirm": True})
        if hits(Misfortune.COMMAND_VOID, 0.2):
            verb, body = self.rng.choice(NO_COMMANDS)
            self._send(verb, body, Ask(verb, "", "", void=True))
        if hits(Misfortune.COMMAND_LATE, 0.1):
            early_ms = self.rng.choice((-TEN_MIN_MS, TEN_MIN_MS))
            verb = self.rng.choice((*ACTS, "reset", "close"))
            self.say(verb, {"scope": scope, "pair": pair.id, "confirm": True}, early_ms=early_ms)
        if self._said and hits(Misfortune.COMMAND_REPLAYED, 0.2):
            reply, body = self.rng.choice(self._said)
            self._send(self._asked[reply].verb, body, self._asked[reply])
        if hits(Misfortune.PERSON_TRADES, 0.4 if self.world.plan.lively else 0.15):
            verb = self.rng.choice(("open", "close", "close", "rebalance"))
            more: dict[str, Any] = {"direction": "forward"} if verb == "open" else {}
            if verb == "close":
                more["hard"] = self.rng.random() < 0.5
            self.say(verb, {"pair": pair.id, **more})

    def _tidy(self) -> None:
        """Whatever forbids something is reset, or resumed; so is a pair that is stuck."""
        scopes = {one.scope: one.controls for one in (self.newest.breakers if self.newest else ())}
        states = self.world.checker.states
        for pair in self.world.pairs:
            state = states.get(pair.id)
            if state is not None and (state.state is State.STUCK or state.flattened):
                scopes.setdefault(f"pair:{pair.id}", ())
        if not scopes:
            return
        for scope in sorted(scopes) if self.world.plan.lively else [self.rng.choice(sorted(scopes))]:
            if OPERATOR_PAUSE in scopes[scope]:
                self.say("resume", {"scope": scope})
            if tuple(scopes[scope]) != (OPERATOR_PAUSE,):
                self.say("reset", {"scope": scope, "confirm": True})

    def say(self, verb: str, body: dict[str, Any], *, early_ms: int = 0) -> None:
        """A command with an id and a stamp; `early_ms` too old (too far ahead: negative) to be obeyed."""
        name = f"{self.world.plan.seed}-{len(self._asked)}"
        if "pair" in body:
            body.pop("scope", None)
        scope = body.get("scope") or (f"pair:{body['pair']}" if "pair" in body else "global")
        told = {**body, "id": name, "reason": "simulated", "actor": "person"}
        if early_ms or self.rng.random() < 0.5:
            told["ts_ms"] = self.world.now.wall_us // US_PER_MS - early_ms
        if verb in EASES:
            self._eased_us[scope] = self.world.now.mono_us
            self.latched = {key: level for key, level in self.latched.items() if key[0] != scope}
        self._send(verb, msgspec.json.encode(told), Ask(verb, scope, name, void=bool(early_ms)))

    def _send(self, verb: str, body: bytes, ask: Ask) -> None:
        """To everybody who subscribes to it; the bus may lose, delay or double it."""
        world, reply = self.world, f"_INBOX.{len(self._asked)}"
        if ask.verb in EASES:
            self._eased_us[ask.scope] = world.now.mono_us
            self.latched = {key: level for key, level in self.latched.items() if key[0] != ask.scope}
        self._asked[reply] = ask
        if ask.id:
            self._said.append((reply, body))
        world.counts["commands"] += 1
        for process in world.processes():
            if not process.obeys(verb) or world.trouble.is_deaf(process):
                continue
            if world.hits(Misfortune.BUS_LOSES, 0.05):
                continue
            copies = 2 if world.hits(Misfortune.BUS_DOUBLES, 0.1) else 1
            for _ in range(copies):
                frame = Frame(subject=command(verb), payload=body, reply=reply, recv_us=world.now.wall_us)
                process.later(world.delay_us(process), partial(process.hear_command, frame))

    # --- what he is told ----------------------------------------------------------------------------

    def answered(self, process: Process, to: str, reply: CommandReply) -> None:
        """An answer, as it leaves the process: no id is obeyed twice, and nothing that is no command."""
        if (ask := self._asked.get(to)) is None:
            raise Violated("CMD", f"{process.name} answers {to!r}, where nobody has asked")
        self.world.counts[f"cmd {'done' if reply.ok else 'refused'}"] += 1
        if not reply.ok:
            return
        if ask.void:
            raise Violated("CMD", f"{process.name} has obeyed {ask.verb} ({to}), which is no command")
        if ask.verb in READING or not ask.id:
            return
        owners = [process.name]
        if process.service == "risk" and reply.result.get("changed") is not False:
            owners.append("risk")  # one of its lives changes something, and no other one again
        for owner in owners:
            if (owner, ask.id) in self._obeyed:
                raise Violated("CMD", f"{process.name} has obeyed {ask.verb} {ask.id} twice")
            self._obeyed.add((owner, ask.id))
        if "risk" in owners:
            self._lasting[ask.id] = ask.verb
            since_us = self.world.now.mono_us - self._eased_us.get(ask.scope, -ON_ITS_WAY_US)
            if ask.verb in ACTS and since_us >= ON_ITS_WAY_US:
                control, level = ACTS[ask.verb]
                self.latched[ask.scope, control] = level

    def permitted(self, process: Process, permit: Permit) -> None:
        """A permit leaves risk: what it has said `ok` to is in it, over restarts, until somebody eases it."""
        epoch = self.world.value(EPOCH_KEY)
        if epoch is None or int(epoch) != permit.risk_epoch:
            return  # a life that another one has followed
        self.newest = permit
        levels = {one.scope: one.level for one in permit.breakers}
        for breaker in permit.breakers:
            for control in breaker.controls:
                self.world.counts[f"control {control}"] += 1
        for (scope, control), level in self.latched.items():
            if levels.get(scope, Level.NORMAL).rank < level.rank:
                raise Violated("LATCH", f"{process.name} forgets {control} of {scope}")

    # --- what he finds at the end -------------------------------------------------------------------

    def flattens(self, pair: SimPair) -> bool:
        """Whether risk's last word closes a pair by force."""
        scopes = scopes_of(pair.id, pair.keys)
        found = self.newest.breakers if self.newest is not None else ()
        return any(one.scope in scopes and one.level is Level.FLATTEN for one in found)

    def at_end(self) -> None:
        """Each command that risk has obeyed is in the audit stream."""
        lines = [line for line in self.world.entries(AUDIT) if line.get("service") == b"risk"]
        bodies = b"\n".join(line["body"] for line in lines if line["decision"] == b"done")
        for name, verb in self._lasting.items():
            if f'"{name}"'.encode() not in bodies:
                raise Violated("AUDIT", f"risk has obeyed {verb} {name}, and the audit does not tell")
