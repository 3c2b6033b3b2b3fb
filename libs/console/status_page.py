"""`fundarb status` on a terminal: what runs and is held above; below, by the prompt, why nothing more is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from libs.console.output import table
from libs.console.status_risk import ENDS
from libs.console.status_view import Status, sight, span

FORBIDDEN: Final = {"no_opens": "yellow", "reduce_only": "bold yellow", "flatten": "bold red"}
STATES: Final = {"active": "green", "stuck": "bold red", "unwinding": "red"}
COMMAND: Final = r"`fundarb [^`]+`"
AGES_SEC: Final = 10.0  # younger ones with a digit behind the point
HELD_MAX: Final = 12
COUNTS_MAX: Final = 8


def page(status: Status) -> RenderableType:
    """One screen, 80 columns and more."""
    parts: list[RenderableType] = [_head(status), _running(status)]
    if status.holds:
        parts += _held(status)
    if status.would_hold:
        parts += [Text(f"would hold: {', '.join(status.would_hold)}", style="green")]
    if status.refusals:
        counts = [f"{code.replace('_', ' ')} {count}" for code, count in status.refusals.items()]
        rest = f" and {len(counts) - COUNTS_MAX} more" if len(counts) > COUNTS_MAX else ""
        parts += [Text(f"pairs refused: {', '.join(counts[:COUNTS_MAX])}{rest}", style="bright_black")]
    if status.nearest:
        parts.append(_nearest(status))
    parts += list(_why(status))
    return Group(*parts)


def _head(status: Status) -> Text:
    head = Text(f"deployment {status.deployment}", style="bold cyan")
    if status.halts:
        whole = next((one for one in status.halts if one.scope == "global"), None)
        others = "1 scope shut" if len(status.halts) == 1 else f"{len(status.halts)} scopes shut"
        text = others if whole is None else whole.level.replace("_", " ")
        head.append(f"   {text}", style=FORBIDDEN[(whole or status.halts[0]).level])
    head.append(f"   up {span(status.uptime_sec)}", style="white")
    head.append(f"   {len(status.passing)} of {status.pairs} pairs pass", style="bold white")
    if not status.trading:
        head.append("   observes", style="white")
    elif status.permit["age_sec"] is None:
        head.append("   no permit", style="bold red")
    else:
        age_sec = status.permit["age_sec"]
        style = "green" if status.permit["fresh"] else "bold red"
        head.append(f"   permit {f'{age_sec:.1f} s' if age_sec < AGES_SEC else span(age_sec)}", style=style)
    return head


def _running(status: Status) -> Table:
    seen = table(["what", "state"])
    well = [name for name, state in status.services.items() if state == "ok"]
    if well:
        seen.add_row("services", Text(f"ok: {', '.join(well)}", style="green"))
    for name, state in status.services.items():
        if state != "ok":
            seen.add_row(name, Text(state, style="red"))
    for name, venue in status.venues.items():
        seen.add_row(name, _venue(venue))
    return seen


def _venue(venue: Mapping[str, Any]) -> Text:
    text = Text(sight(venue), style="" if venue["connected"] else "red")
    if venue["connected"] is None:
        return text
    ages = ", ".join(f"{kind} {age:.1f} s" for kind, age in sorted(venue["ages_sec"].items()))
    text.append(f"; data ages: {ages or 'nothing seen'}")
    if venue["clock_offset_ms"] is not None:
        text.append(f"; clock {venue['clock_offset_ms']:+.0f} ms")
    if venue["quarantined"]:
        text.append(f"; shut out: {', '.join(venue['quarantined'][:2])}", style="yellow")
    return text


def _held(status: Status) -> Iterator[Text]:
    for pair, one in list(status.holds.items())[:HELD_MAX]:
        state = str(one.get("state", ""))
        text = Text.assemble(f"holds {pair}: ", (state, STATES.get(state, "yellow")))
        text.append(f" {one['direction']}" if one.get("direction") else "")
        if one.get("notional_usd") is not None:
            text.append(f", {one['notional_usd']:,.0f} USD")
        if one.get("may_keep") is not None:
            text.append(f", may keep {one['may_keep']:.0%}", style="yellow")
        if one.get("silent"):
            text.append(f"; {one['silent']}", style="red")
        elif one.get("waits"):
            text.append(", waits", style="yellow")
        yield text
    if len(status.holds) > HELD_MAX:
        yield Text(f"and {len(status.holds) - HELD_MAX} more: `fundarb positions`", style="bright_black")


def _nearest(status: Status) -> Table:
    near = table(
        ["nearest to passing", "net $/day", "kept out by"], right=["net $/day"], whole=["nearest to passing"]
    )
    for item in status.nearest:
        net = "-" if item.net_daily_usd is None else f"{item.net_daily_usd:+.2f}"
        near.add_row(item.pair, net, ", ".join(code.replace("_", " ") for code in item.reasons))
    return near


def _why(status: Status) -> Iterator[RenderableType]:
    """Why nothing more happens; what a person can type has a line of its own, to be copied."""
    if status.trading:
        yield Text("why nothing more is opened", style="bold")
    levels = {halt.scope: halt.level for halt in status.halts}
    texts = []
    for line in status.why:
        scope, colon, _ = line.partition(": ")
        said, ends, ending = line.rpartition(ENDS) if colon and scope in levels else (line, "", "")
        text = Text(said or line)
        if colon and scope in levels:
            text.stylize(FORBIDDEN[levels[scope]], 0, len(scope))
        if ends:
            text.append("\n" + ENDS.removeprefix(" - ") + ending.replace(", then ", ",\nthen "))
        text.highlight_regex(COMMAND, "bold cyan")
        texts.append(text)
    yield Bullets(texts)


class Bullets:
    """Texts with a dash before each, wrapped under themselves; no blanks at the ends of lines."""

    def __init__(self, texts: list[Text]) -> None:
        self._texts = texts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text in self._texts:
            for index, line in enumerate(text.wrap(console, max(1, options.max_width - 2))):
                line.rstrip()
                yield Text("  " if index else "- ") + line
