"""The words of messages: one item, or many as a digest. Pure.

A message stays below what the strictest channel takes: Telegram 4,096 characters, Feishu 20 KB of JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.notifier.model import RANK, Item, Notice, shortened

LINE_CHARS_MAX: Final = 150
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
        lines.append(f"Escalated: {item.why}")
    facts = [("when", _when(item.raised_us, zone)), ("from", item.service), ("key", item.key)]
    facts += list(item.context.items())
    footer = ""
    if item.urgent and not item.acknowledged_by:
        footer = f"Say that you know: {ACKNOWLEDGE} {_quoted(item.key)}"
    return Notice(
        level=_loudness(item),
        title=f"{_headline(item)}  [{deployment}]",
        lines=tuple(lines),
        facts=tuple(facts),
        footer=footer,
    )


def digest(items: Sequence[Item], *, deployment: str, zone: tzinfo = UTC, left_out: int = 0) -> Notice:
    """Many matters, a line each; every one of them is in it."""
    loudest = min((_loudness(item) for item in items), key=lambda level: RANK[level])
    counts = Counter(_word(item) for item in items)
    title = ", ".join(f"{count} {word}" for word, count in counts.items())
    lines = [_line(item, zone) for item in items]
    if left_out:
        lines.append(f"{left_out} older ones found no room here: the recorder's log has them")
    urgent = any(item.urgent for item in items)
    footer = f"Say that you know: {ACKNOWLEDGE} KEY, or {ACKNOWLEDGE} --all" if urgent else ""
    return Notice(level=loudest, title=f"{title}  [{deployment}]", lines=tuple(lines), footer=footer)


def plain(notice: Notice) -> str:
    """The body as plain text."""
    parts = list(notice.lines)
    if notice.facts:
        parts += ["", *(f"{name}: {value}" for name, value in notice.facts)]
    if notice.footer:
        parts += ["", notice.footer]
    return "\n".join(parts)


def _line(item: Item, zone: tzinfo) -> str:
    again = f" ({item.repeats} more times)" if item.repeats else ""
    escalated = " (escalated)" if item.why else ""
    when = datetime.fromtimestamp(item.raised_us / US_PER_SEC, tz=zone).strftime("%m-%d %H:%M:%S")
    text = " ".join(item.text.split())
    key = "" if item.kind in ("opportunity", "report") else f" [{shortened(item.key, 60)}]"
    return f"{when} {_word(item)}{again}{escalated}: {shortened(text, LINE_CHARS_MAX)}{key}"


def _again(item: Item) -> str:
    times = "once more" if item.repeats == 1 else f"{item.repeats} more times"
    newest = f"; the last: {item.last_text}" if item.last_text else ""
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


def _quoted(key: str) -> str:
    return key if all(sign.isalnum() or sign in "-_:./" for sign in key) else f"'{key}'"
