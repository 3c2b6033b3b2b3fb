"""The recorder: writes down what was seen and decided, and decides nothing. Pure.

Everything goes through one buffer that is flushed several times a second. One batch is under way at a time;
what could not be written (a full disk) is kept and tried again, up to a limit, and health says so.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Final, assert_never

import msgspec

from libs.common.effects import (
    Answered,
    Draining,
    Effect,
    Event,
    Health,
    Measure,
    Note,
    Publish,
    Received,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import (
    AlertLevel,
    AlertRaised,
    Evaluation,
    Funding,
    FundingHistory,
    Message,
    Opportunity,
    Quote,
    ServiceHealth,
    VenueHealth,
    Want,
)
from libs.common.messages_exec import BookSummary
from libs.common.subjects import want
from libs.research.layout import Bar, FundingPrint, Kind, SeriesKey
from libs.research.segments import encode_row
from services.recorder import columns, equity, story
from services.recorder.bars import Bars, mark_key, price_key
from services.recorder.prints import SettledSeen
from services.recorder.watch import Health as Pulse
from services.recorder.watch import HealthWatch, VenueWatch
from services.recorder.work import Merged, MergeSegments, WriteBatch, Written

FLUSH: Final = "flush"
MERGE: Final = "merge"
WATCH: Final = "watch"
FLUSH_US: Final = 700_000
"""A kill loses what came since the last flush: less than a second."""

WATCH_US: Final = US_PER_SEC
MERGE_US: Final = 600 * US_PER_SEC
MERGE_RETRY_US: Final = 60 * US_PER_SEC
LINES_MAX: Final = 50_000
"""Lines that wait for a disk that does not take them; beyond, the oldest go."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What the recorder needs of the config."""

    mode: str
    deployment: str
    bar_ms: int
    round_up_us: int
    merge_us: int = MERGE_US
    equity_ms: int = 300_000


class Mind(msgspec.Struct, frozen=True):
    """What an evaluation came to; a row is written when it passes or when this differs from the last one."""

    passes: bool
    direction: str
    refusals: tuple[str, ...]


class Buffer:
    """Lines of one place that wait to be written."""

    def __init__(self) -> None:
        self.lines: deque[bytes] = deque()
        self.dropped = 0

    def add(self, line: bytes) -> None:
        if len(self.lines) >= LINES_MAX:
            self.lines.popleft()
            self.dropped += 1
        self.lines.append(line)

    def take(self) -> tuple[bytes, ...]:
        taken = tuple(self.lines)
        self.lines.clear()
        return taken

    def put_back(self, lines: Iterable[bytes]) -> None:
        """What could not be written, before what came since."""
        later = self.take()
        for line in (*lines, *later):
            self.add(line)


class Recorder:
    """Actor of the recorder service."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._bars = Bars(setting.bar_ms)
        self._settled = SettledSeen()
        self._minds: dict[str, Mind] = {}
        self._venues = VenueWatch()
        self._services = HealthWatch()
        self._csv, self._log, self._rows, self._equity = Buffer(), Buffer(), Buffer(), Buffer()
        self._equity_ms: int | None = None
        self._counted: Counter[Kind] = Counter()
        self._selected: tuple[str, ...] | None = None
        self._told_us: int | None = None
        self._writing = False

    def handle(self, event: Event, now: Now) -> Iterator[Effect]:
        match event:
            case Started():
                yield from self._start(now)
            case Received():
                self._receive(event, now)
            case TimerFired(name=name):
                yield from self._timer(name, now)
            case Answered():
                yield from self._answered(event, now)
            case Draining():
                self._tell(now, "ended", "the recorder was asked to stop")
                yield from self._flush(now)
            case _:
                pass  # a Persisted would be somebody else's: this service writes no keys

    # --- life ---------------------------------------------------------------------------------

    def _start(self, now: Now) -> Iterator[Effect]:
        setting = self._setting
        text = f"mode {setting.mode}, deployment {setting.deployment}, bars of {setting.bar_ms // 1000} s"
        self._tell(now, "started", text)
        yield Publish(subject=want("feed"), message=Want(service="recorder", what=("history",)))
        yield SetTimer(name=FLUSH, after_us=FLUSH_US)
        yield SetTimer(name=WATCH, after_us=WATCH_US)
        yield SetTimer(name=MERGE, after_us=setting.merge_us)

    def _timer(self, name: str, now: Now) -> Iterator[Effect]:
        if name == FLUSH:
            yield SetTimer(name=FLUSH, after_us=FLUSH_US)
            if not self._writing:
                yield from self._flush(now)
        elif name == WATCH:
            yield SetTimer(name=WATCH, after_us=WATCH_US)
            for text in self._services.silent(now.mono_us):
                self._tell(now, "service", text)
        elif name == MERGE:
            yield MergeSegments()

    # --- what comes in ------------------------------------------------------------------------

    def _receive(self, event: Received, now: Now) -> None:
        match event.message:
            case Quote() as quote:
                mid = (quote.bid + quote.ask) / 2
                self._price(price_key(quote.venue, quote.instrument), quote.ts_ms, mid)
            case Funding() as funding:
                self._funding(funding)
            case FundingHistory() as history:
                self._history(history)
            case Opportunity() as opportunity:
                self._opportunity(opportunity, now)
            case Evaluation() as evaluation:
                self._evaluation(evaluation, now)
            case other:
                self._hear(other, now)

    def _hear(self, message: Message, now: Now) -> None:
        """What is only worth a line in the story."""
        match message:
            case VenueHealth() as health:
                for what, text in self._venues.changes(health):
                    self._tell(now, what, text)
            case ServiceHealth() as health:
                pulse = Pulse.of(health, now.mono_us)
                for text in self._services.changes(health.service, pulse):
                    self._tell(now, "service", text)
            case BookSummary() as books:
                self._books(books)
            case AlertRaised() as alert:
                self._tell(now, "alert", f"({alert.level}) {alert.service}: {alert.text}")
            case _:
                pass  # instruments, books and intents leave no trace of their own here

    def _price(self, key: SeriesKey, ts_ms: int, price: float) -> None:
        ended = self._bars.see(key, ts_ms, price)
        if ended is not None:
            self._row(*ended)

    def _funding(self, funding: Funding) -> None:
        match funding.kind:
            case "current":
                if funding.mark is not None:
                    self._price(mark_key(funding.venue, funding.instrument), funding.ts_ms, funding.mark)
            case "settled":
                if funding.settled_ms is not None:
                    print_ = FundingPrint(
                        funding.settled_ms, funding.rate, funding.interval_hours, funding.mark
                    )
                    self._print(funding.venue, funding.instrument, print_)
            case _:
                assert_never(funding.kind)

    def _history(self, history: FundingHistory) -> None:
        prints = history.prints
        if not prints:
            return
        if self._settled.is_repeat(history.venue, history.instrument, prints):
            return
        for settled in prints:
            row = FundingPrint(settled.settled_ms, settled.rate, settled.interval_hours)
            self._print(history.venue, history.instrument, row)

    def _print(self, venue: str, instrument: str, row: FundingPrint) -> None:
        if self._settled.is_news(venue, instrument, row):
            self._row(SeriesKey(Kind.FUNDING, venue, instrument), row)

    def _opportunity(self, opportunity: Opportunity, now: Now) -> None:
        mind = Mind(opportunity.passes, opportunity.direction, opportunity.refusals)
        before = self._minds.get(opportunity.pair)
        self._minds[opportunity.pair] = mind
        event = _what_happened(before, mind)
        if event is None:
            return
        self._csv.add(columns.row(opportunity, event=event).encode())
        match event:
            case "appeared" | "turned":
                self._tell(now, event, story.figures(opportunity))
            case "disappeared":
                self._tell(now, event, f"{opportunity.pair}: {story.why_refused(opportunity)}")
            case _:
                pass  # the table has it, the story need not

    def _evaluation(self, evaluation: Evaluation, now: Now) -> None:
        due = self._told_us is None or now.mono_us - self._told_us >= self._setting.round_up_us
        if due or evaluation.selected != self._selected:
            self._told_us = now.mono_us
            self._selected = evaluation.selected
            self._tell(now, "evaluated", story.round_up(evaluation))

    def _books(self, books: BookSummary) -> None:
        """A snapshot every so much market time: in the demo it runs faster than ours."""
        if books.equity_usd is None:
            return  # an account has not been read yet
        if self._equity_ms is None or books.market_ms - self._equity_ms >= self._setting.equity_ms:
            self._equity_ms = books.market_ms
            self._equity.add(equity.row(books).encode())

    def _row(self, key: SeriesKey, row: FundingPrint | Bar) -> None:
        self._rows.add(encode_row(key, row))
        self._counted[key.kind] += 1

    def _tell(self, now: Now, what: str, text: str) -> None:
        self._log.add(story.say(now, what, text).encode())

    # --- what goes out ------------------------------------------------------------------------

    def _flush(self, _now: Now) -> Iterator[Effect]:
        for key, bar in self._bars.flush():
            self._row(key, bar)
        csv, log, rows = self._csv.take(), self._log.take(), self._rows.take()
        snapshots = self._equity.take()
        for kind, count in sorted(self._counted.items()):
            yield Measure(metric="fundarb_recorded_rows_total", value=count, labels={"kind": str(kind)})
        self._counted.clear()
        if csv or log or rows or snapshots:
            self._writing = True
            yield WriteBatch(csv=csv, log=log, rows=rows, equity=snapshots)

    def _answered(self, answer: Answered, now: Now) -> Iterator[Effect]:
        request = answer.request
        if isinstance(request, WriteBatch):
            self._writing = False
            failed = answer.error or ""
            written = (
                answer.result
                if isinstance(answer.result, Written)
                else Written(csv=failed, log=failed, rows=failed, equity=failed)
            )
            yield from self._wrote(request, written)
        elif isinstance(request, MergeSegments):
            yield from self._merged(answer, now)

    def _wrote(self, batch: WriteBatch, written: Written) -> Iterator[Effect]:
        for problem, buffer, lines in (
            (written.csv, self._csv, batch.csv),
            (written.log, self._log, batch.log),
            (written.rows, self._rows, batch.rows),
            (written.equity, self._equity, batch.equity),
        ):
            if problem:
                buffer.put_back(lines)
        problems = sorted({text for text in (written.csv, written.log, written.rows, written.equity) if text})
        yield Health(key="write", problem="; ".join(problems))
        dropped = self._csv.dropped + self._log.dropped + self._rows.dropped
        if dropped:
            yield Health(key="lost", problem=f"{dropped} lines were lost because they could not be written")

    def _merged(self, answer: Answered, now: Now) -> Iterator[Effect]:
        report = answer.result
        if not isinstance(report, Merged):
            yield SetTimer(name=MERGE, after_us=MERGE_RETRY_US)
            problem = f"the archive cannot be merged, what was seen waits in its segments: {answer.error}"
            yield Health(key="merge", problem=problem)
            return
        yield SetTimer(name=MERGE, after_us=self._setting.merge_us)
        yield Health(key="merge", problem="")
        fields = msgspec.structs.asdict(report)
        yield Note(text="merged what was seen into the archive", fields=fields)
        if report.conflicts or report.unreadable:
            self._tell(
                now,
                "archive",
                f"{report.conflicts} settled rates were restated (former ones: .segments/conflicts.log), "
                f"{report.unreadable} lines were unreadable",
            )
            yield Note(text="some rows did not fit the archive", level=AlertLevel.WARNING, fields=fields)


def _what_happened(before: Mind | None, mind: Mind) -> str | None:
    """Why an evaluation is worth a row; None when it repeats a refusal."""
    if before is None:
        return "appeared" if mind.passes else "refused"
    if mind.passes != before.passes:
        return "appeared" if mind.passes else "disappeared"
    if mind.direction != before.direction:
        return "turned" if mind.passes else "refused"
    if mind.passes:
        return "passes"
    return "refused" if mind.refusals != before.refusals else None
