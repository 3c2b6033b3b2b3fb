"""Latches between decision and store: stored before they are announced, announced even when they cannot be.

    decided   what the controls and the operator want
    stored    what the store is known to hold
    in force  what is announced: all that is stored, and of what is only decided that which has waited in vain

A stricter state is in force once it is stored, or after `PATIENCE_US` without the store's word, and then it
is called not durable and tried again. A laxer one is in force only when the store has it. One write is under
way at a time; what is decided meanwhile goes with the next one. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from libs.common.codec import encode
from libs.common.effects import Effect, Persisted, Reply
from libs.common.instant import US_PER_MS, Now
from libs.common.messages import CommandError, CommandReply
from libs.common.notices import AUDIT, audit_entry
from libs.common.store import Transition
from services.risk.controls.loss import Day
from services.risk.latches import BREAKERS, Key, Latch, Latches, changes
from services.risk.taken import Taken

PATIENCE_US: Final = 300 * US_PER_MS
ANSWER_US: Final = 700 * US_PER_MS
"""Whoever asks gathers answers for a second."""

EPOCH_KEY: Final = "risk_epoch"
DAY_KEY: Final = "risk:day"
SERVICE: Final = "risk"


class Job(msgspec.Struct, kw_only=True):
    """A command that changes the table, until it has been answered."""

    taken: Taken
    before: Latches
    to: str
    asked_us: int
    answered: bool = False

    @property
    def eases(self) -> tuple[Latch, ...]:
        """What it takes away."""
        return tuple(one for one in self.before if one.key not in self.taken.latches)


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """A write that is under way: what the store holds once it has happened."""

    token: str
    latches: Latches
    day: Day | None
    jobs: tuple[Job, ...]
    resets: bool


class Keeper:
    """`epoch` 0 is before the store was read. Owned by the actor."""

    def __init__(self) -> None:
        self.epoch = 0
        self.decided = Latches()
        self.stored = Latches()
        self.problem = ""
        self._version = 0
        self._store_id = ""
        self._day: Day | None = None
        self._doubtful: set[str] = set()  # fields of the hash that a failed write may have touched
        self._waiting: dict[Key, int] = {}
        self._jobs: list[Job] = []
        self._writing: Writing | None = None
        self._count = 0

    def recalled(self, *, epoch: int, version: int, latches: Latches, day: Day | None, store_id: str) -> None:
        """What the store holds. What has been decided stays decided, should another life have let it go: or
        a write of ours whose outcome was not known, and of which somebody was told that it had no effect.
        """
        self.epoch, self._version, self._store_id = epoch, version, store_id
        self.stored, self._day = latches, day
        for latch in latches:
            self.decided = self.decided.add(latch)
        self._doubtful.clear()

    # --- deciding ---------------------------------------------------------------------------------

    def add(self, latches: Iterable[Latch], now: Now) -> None:
        """The controls have found what lasts."""
        for latch in latches:
            self.decided = self.decided.add(latch)
            if latch.key not in self.stored:
                self._waiting.setdefault(latch.key, now.mono_us)

    def expire(self, now: Now) -> None:
        """Latches whose time is over leave, once the store has let them go."""
        for latch in self.decided:
            if latch.until_us is not None and now.wall_us >= latch.until_us:
                self.decided = self.decided.remove(*latch.key)

    def ask(self, taken: Taken, *, to: str, now: Now) -> None:
        """A command wants the table to be another one."""
        self._jobs.append(Job(taken=taken, before=self.decided, to=to, asked_us=now.mono_us))
        self.decided = taken.latches
        for latch in taken.latches:
            if latch.key not in self.stored:
                self._waiting.setdefault(latch.key, now.mono_us)

    # --- what is announced --------------------------------------------------------------------------

    def in_force(self, now: Now) -> tuple[tuple[Latch, bool], ...]:
        """(latch, whether it is durable) for all that is to be obeyed."""
        found: list[tuple[Latch, bool]] = []
        for latch in self.stored:
            decided = self.decided.get(*latch.key)
            found.append((latch if decided is None else decided, True))
        for latch in self.decided:
            since_us = self._waiting.get(latch.key, now.mono_us)
            if latch.key not in self.stored and (self.problem or now.mono_us - since_us >= PATIENCE_US):
                found.append((latch, False))
        return tuple(found)

    # --- writing ------------------------------------------------------------------------------------

    def wants(self, day: Day | None) -> bool:
        """Whether there is something to write, and nothing under way."""
        if self.epoch == 0 or self._writing is not None:
            return False
        return bool(self._jobs) or day != self._day or bool(self._delta())

    def write(self, day: Day | None, now: Now) -> tuple[str, Transition]:
        """The next write, as (token, transition): latches, day, epoch and audit lines together."""
        self._count += 1
        jobs = tuple(self._jobs)
        self._jobs.clear()
        resets = any(job.taken.resets for job in jobs)
        token = f"keep:{self._count}"
        self._writing = Writing(token=token, latches=self.decided, day=day, jobs=jobs, resets=resets)
        writes: dict[str, bytes | None] = {}
        if resets:
            writes[EPOCH_KEY] = str(self.epoch + 1).encode()
        if day is not None and day != self._day:
            writes[DAY_KEY] = encode(day)
        delta = self._delta()
        audits = [audit for job in jobs for audit in job.taken.audits]
        lines = tuple(audit_entry(one, service=SERVICE, wall_us=now.wall_us) for one in audits)
        return token, Transition(
            store_id=self._store_id,  # in one that replaces a lost one the same version may be another life's
            expect={EPOCH_KEY: self._version},  # another life of risk writes with another one
            writes=writes,
            hash_writes={BREAKERS: delta} if delta else {},
            appends={AUDIT: lines} if lines else {},
        )

    def _delta(self) -> dict[str, bytes | None]:
        delta = changes(self.stored, self.decided)
        if self._doubtful:
            whole = changes(Latches(), self.decided)
            delta = {name: whole.get(name) for name in self._doubtful} | delta
        return delta

    def resets(self, token: str) -> bool:
        """Whether the write under way is this one, and resets something."""
        return self._writing is not None and self._writing.token == token and self._writing.resets

    def written(self, event: Persisted, now: Now) -> Iterator[Effect]:
        """What the store has made of it; answers whoever waits. A conflict is the actor's matter."""
        done = self._writing
        if done is None or done.token != event.token:
            return
        self._writing = None
        if event.ok:
            yield from self._stored(done)
            return
        delta = changes(self.stored, done.latches)
        if not event.conflict:
            self._doubtful |= set(delta)
            self._day = None  # nobody knows which one lies there: written again
        self.problem = event.error or "the store did not take it"
        yield from self._deny(done.jobs, self.problem)
        for latch in self.decided:
            if latch.key not in self.stored:
                self._waiting.setdefault(latch.key, now.mono_us)

    def deposed(self) -> Iterator[Effect]:
        """Another life has written, and what waits here was decided without it: that life may have obeyed the
        same commands, and later ones. What makes things stricter stays decided, nothing else does.
        """
        yield from self._deny(self._jobs, "another life of risk has written meanwhile")
        self._jobs.clear()

    def _stored(self, done: Writing) -> Iterator[Effect]:
        self.stored, self._day, self.problem = done.latches, done.day, ""
        self._doubtful.clear()
        for key in [key for key in self._waiting if key in self.stored or key not in self.decided]:
            del self._waiting[key]
        if done.resets:
            self.epoch, self._version = self.epoch + 1, self._version + 1
        for job in done.jobs:
            if job.taken.reply is not None and not job.answered:
                yield Reply(to=job.to, reply=job.taken.reply)
            yield from job.taken.alerts

    def overdue(self, now: Now) -> Iterator[Effect]:
        """Who has waited long enough is told how it stands."""
        for job in (*self._jobs, *(self._writing.jobs if self._writing else ())):
            if not job.answered and now.mono_us - job.asked_us >= ANSWER_US:
                yield from self._answer(job, "the store has not answered yet")

    def _deny(self, jobs: Iterable[Job], why: str) -> Iterator[Effect]:
        for job in jobs:
            for latch in job.eases:
                self.decided = self.decided.add(latch)
            yield from self._denied(job, why)

    def _denied(self, job: Job, why: str) -> Iterator[Effect]:
        yield from self._answer(job, why)
        for audit in job.taken.audits:
            stricter = not job.eases and not job.taken.resets
            yield msgspec.structs.replace(
                audit,
                decision="done" if stricter else "refused",
                reason=f"{audit.reason} (not durable: {why})",
            )

    def _answer(self, job: Job, why: str) -> Iterator[Effect]:
        if job.answered:
            return
        job.answered = True
        if job.eases or job.taken.resets:
            text = f"nothing is opened by this yet: {why}"
        else:
            text = f"it is in force now, but not durable, and would not outlive a restart: {why}; tried again"
        error = CommandError(code="store", message=text)
        yield Reply(to=job.to, reply=CommandReply(service=SERVICE, ok=False, error=error, recorded=False))
