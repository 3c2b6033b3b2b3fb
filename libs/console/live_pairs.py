"""The live page's upper half: what is held, how it stands, and what it has earned so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from libs.console.trades import PARTS, Trades

if TYPE_CHECKING:
    from rich.console import RenderableType

    from libs.common.messages_exec import PairLeg, PairStatus

WIDE = 138
STYLES = {"active": "green", "stuck": "bold red", "unwinding": "red"}


def table(trades: Trades, *, width: int, rows: int) -> Table:
    """Held pairs; columns fall away as the terminal gets narrower."""
    out = Table(expand=True, box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    columns = [("held", "left"), ("state", "left"), ("dir", "left")]
    if width >= WIDE:
        columns += [("legs", "left")]
    columns += [("delta %", "right"), ("funding $", "right"), ("pnl $", "right")]
    columns += [("why", "left")]
    for title, justify in columns:
        shape: dict[str, Any] = {"justify": justify, "no_wrap": True, "overflow": "ellipsis"}
        if title == "why":
            shape |= {"ratio": 1, "min_width": 12}
        out.add_column(title, **shape)
    for status in trades.held[:rows]:
        pnl = trades.pnl(status.pair)
        cells: dict[str, RenderableType] = {
            "held": short_name(status),
            "state": Text(status.state, style=STYLES.get(status.state, "yellow")),
            "dir": status.direction,
            "legs": legs(status),
            "delta %": f"{status.delta_ratio * 100:.2f}",
            "funding $": f"{pnl.funding:+.2f}",
            "pnl $": f"{pnl.total:+.2f}",
            "why": status.reason,
        }
        out.add_row(*[cells[title] for title, _ in columns])
    return out


def short_name(status: PairStatus) -> str:
    """`APT binance` or `SOL binance/bitget`."""
    venues = dict.fromkeys(leg.venue for leg in status.legs)
    return f"{status.pair.split('-', 1)[0]} {'/'.join(venues)}"


def legs(status: PairStatus) -> str:
    """Signed quantities, and what of them is borrowed."""
    return "  ".join(_leg(leg) for leg in status.legs)


def _leg(leg: PairLeg) -> str:
    owed = f" (owes {leg.borrowed:f})" if leg.borrowed else ""
    return f"{leg.kind.value} {float(leg.quantity):+.6g}{owed}"


def money(trades: Trades) -> Text:
    """Equity and the parts of the PnL in one line, and what was done in another."""
    books = trades.books
    if books is None:
        return Text("the executor's books have not been told yet", style="yellow")
    text = Text(overflow="ellipsis")
    if books.equity_usd is None or books.equity_start_usd is None:
        text.append("equity: the accounts have not been compared yet", style="yellow")
    else:
        gained = books.equity_usd - books.equity_start_usd
        text.append(f"equity ${books.equity_usd:,.2f} ({gained:+.2f})", style="bold")
        residual = "not compared yet" if books.residual_usd is None else f"{books.residual_usd:.4f}"
        text.append(f"  residual {residual}")
    shown = [(name, getattr(books.pnl, name)) for name in PARTS]
    text.append("   PnL $ " + "  ".join(f"{name} {usd:+.2f}" for name, usd in shown if usd))
    text.append(
        f"\n{books.pairs_opened} opened  {books.pairs_closed} closed  {books.orders} orders  "
        f"{books.unwinds} unwinds  {books.settlements} settlements  "
        f"funding {books.funding_received_usd:+.2f} of {books.funding_expected_usd:+.2f} expected"
    )
    return text
