"""`equity.csv`: its columns, and the executor's books as a row. Pure.

USD; an empty cell is "not known". Columns are only ever added at the end.
"""

from __future__ import annotations

from typing import Final

from libs.common.messages_exec import BookSummary, ProfitAndLoss
from libs.common.money import plain
from services.recorder.columns import iso_ms, iso_us

PARTS: Final = ProfitAndLoss.__struct_fields__
COLUMNS: Final = (
    "market_ms",
    "market_time",
    "wall_time",
    "equity_usd",
    "equity_start_usd",
    "residual_usd",
    "equity_by_venue",
    *(f"{part}_usd" for part in PARTS),
    "funding_expected_usd",
    "funding_received_usd",
    "settlements",
    "settlements_missing",
    "naked_usd_seconds",
    "orders",
    "unwinds",
    "pairs_opened",
    "pairs_closed",
)


def header() -> str:
    """The first line."""
    return ",".join(COLUMNS) + "\n"


def row(books: BookSummary) -> str:
    """One snapshot. `equity_by_venue` is `venue=usd` joined by `;`, sorted: venues come and go."""
    venues = ";".join(f"{venue}={plain(usd)}" for venue, usd in sorted(books.equity_by_venue.items()))
    cells = [
        str(books.market_ms),
        iso_ms(books.market_ms),
        iso_us(books.wall_us),
        *("" if usd is None else plain(usd) for usd in (books.equity_usd, books.equity_start_usd)),
        "" if books.residual_usd is None else plain(books.residual_usd),
        venues,
        *(plain(getattr(books.pnl, part)) for part in PARTS),
        plain(books.funding_expected_usd),
        plain(books.funding_received_usd),
        str(books.settlements),
        str(books.settlements_missing),
        f"{books.naked_usd_seconds:.3f}",
        *(str(n) for n in (books.orders, books.unwinds, books.pairs_opened, books.pairs_closed)),
    ]
    return ",".join(cells) + "\n"
