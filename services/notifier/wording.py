"""The words of messages: one item, or many as a digest. Pure.

A message stays below what the strictest channel takes: Telegram 4,096 characters, Feishu 20 KB of JSON. One
that is longer would be refused each time, and nobody would be told.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.notifier.model import RANK, Item, Notice, shortened

CHARS_MAX: Final = 3_600
"""Title and plain text of a message; the rest is for what a channel adds."""

LINE_CHARS: Final = (150, 100, 60, 30)
"""So much of each text of a digest, and less where all lines together would be too long."""

KEY_CHARS_MAX: Final = 60
LAST_CHARS_MAX: Final = 500
WHY_CHARS_MAX: Final = 300
ACKNOWLEDGE: Final = "fundarb ack"
_WORDS: Final = {AlertLevel.CRITICAL: "CRITICAL", AlertLevel.WARNING: "Warning", AlertLevel.INFO: "Info"}


def notice_of(items: Sequence[Item], *, deployment: str, zone: tzinfo = UTC, left_out: int = 0) -> Notice:
    """One message for all of `items` (at least one), in their order."""
    if len(items) == 1 and not left_out:
        return single(items[0], deployment=deployment, zone=zone)
    return digest(items, deployment=deployment, zone=zone, left_out=left_out)


def single(item: Item, *, deployment: str, zone: tzinfo = UTC) -> Notice:
    """One matter, with all that is known of it."""
    lines = [item.text]
    if item.repeats:
        lines.append(_again(item))
    if item.why:
        lines.append(f"Escalated: {shortened(item.why, WHY_CHARS_MAX)}")
    footer = ""
    if item.urgent and not item.acknowledged_by:
        footer = f"Say that you know: {ACKNOWLEDGE} {shlex.quote(item.key)}"
    notice = Notice(
        level=_loudness(item),
        title=f"{_headline(item)}  [{deployment}]",
        lines=tuple(lines),
        facts=(("when", _when(item.raised_us, zone)), ("from", item.service), ("key", item.key)),
        footer=footer,
    )
    return _with_context(notice, item.context)


def _with_context(notice: Notice, context: Mapping[str, str]) -> Notice:
    """Named facts as far as they fit; how many do not is said."""
    left = list(context.items())
    while True:
        cut = len(context) - len(left)
        said = (("not shown", f"{cut} more of what is known"),) if cut else ()
        full = msgspec.structs.replace(notice, facts=(*notice.facts, *left, *said))
        if not left or chars(full) <= CHARS_MAX:
            return full
        left.pop()


def chars(notice: Notice) -> int:
    """Characters of the whole message."""
    return len(notice.title) + 1 + len(plain(notice))


def digest(items: Sequence[Item], *, deployment: str, zone: tzinfo = UTC, left_out: int = 0) -> Notice:
    """Many matters, a line each; every one of them is in it."""
    loudest = min((_loudness(item) for item in items), key=lambda level: RANK[level])
    counts = Counter(_word(item) for item in items)
    title = ", ".join(f"{count} {word}" for word, count in counts.items())
    rest = (f"{left_out} older ones found no room here: the recorder's log has them",) if left_out else ()
    urgent = any(item.urgent and not item.acknowledged_by for item in items)
    footer = f"Say that you know: {ACKNOWLEDGE} KEY, or {ACKNOWLEDGE} --all" if urgent else ""
    notice = Notice(level=loudest, title=f"{title}  [{deployment}]", lines=rest, footer=footer)
    for chars_max in LINE_CHARS:
        lines = (*(_line(item, zone, chars_max) for item in items), *rest)
        notice = msgspec.structs.replace(notice, lines=lines)
        if chars(notice) <= CHARS_MAX:
            break
    return notice


def plain(notice: Notice) -> str:
    """The body as plain text."""
    parts = list(notice.lines)
    if notice.facts:
        parts += ["", *(f"{name}: {value}" for name, value in notice.facts)]
    if notice.footer:
        parts += ["", notice.footer]
    return "\n".join(parts)


def _line(item: Item, zone: tzinfo, chars_max: int) -> str:
    again = f" ({item.repeats} more times)" if item.repeats else ""
    escalated = " (escalated)" if item.why else ""
    when = datetime.fromtimestamp(item.raised_us / US_PER_SEC, tz=zone).strftime("%m-%d %H:%M:%S")
    text = " ".join(item.text.split())
    key = "" if item.kind in ("opportunity", "report") else f" [{shortened(item.key, KEY_CHARS_MAX)}]"
    return f"{when} {_word(item)}{again}{escalated}: {shortened(text, chars_max)}{key}"


def _again(item: Item) -> str:
    times = "once more" if item.repeats == 1 else f"{item.repeats} more times"
    newest = f"; the last: {shortened(item.last_text, LAST_CHARS_MAX)}" if item.last_text else ""
    return f"Raised {times} since{newest}"


def _headline(item: Item) -> str:
    text = shortened(" ".join(item.text.split()), 80)
    return text if item.kind in ("opportunity", "report") else f"{_word(item)}: {text}"


def _word(item: Item) -> str:
    match item.kind:
        case "alert":
            return _WORDS[item.level]
        case "resolved":
            return "Resolved"
        case "opportunity":
            return "Opportunity"
        case "report":
            return "Report"


def _loudness(item: Item) -> AlertLevel:
    return item.level if item.kind == "alert" else AlertLevel.INFO


def _when(wall_us: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(wall_us / US_PER_SEC, tz=zone).strftime("%Y-%m-%d %H:%M:%S %Z")
