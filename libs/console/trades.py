"""What the executor says of pairs and books, folded for table, verbs and summary."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final

from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import BookSummary, PairStatus, ProfitAndLoss

PARTS: Final = ("funding", "fees", "slippage", "basis", "borrow", "transfer", "rebalance", "total")

RESTING: Final = ("idle", "active", "stuck")
BOOKED_US: Final = 2 * US_PER_SEC
"""The books read what pairs have written each half second: by then they show a state that was told."""


class Trades:
    """The last word about each pair, and the last summary of the books.

    `opened` and `closed` count by pair the moves into ACTIVE and back to IDLE that were heard; the books'
    totals count what is in the journal.
    """

    def __init__(self) -> None:
        self.pairs: dict[str, PairStatus] = {}
        self.books: BookSummary | None = None
        self.opened: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.directions: dict[str, str] = {}
        self.moved_us = 0  # wall, of the last word by which a pair's state had changed

    def take_pair(self, status: PairStatus) -> None:
        """An executor that does not lead a pair has no word about it, and an older word is none."""
        former = self.pairs.get(status.pair)
        if not status.owner or (former is not None and status.wall_us < former.wall_us):
            return
        self.pairs[status.pair] = status
        if status.state != "idle":
            self.directions[status.pair] = status.direction
        before = former.state if former is not None else "idle"
        if status.state != before:
            self.moved_us = status.wall_us
        if status.state == "active" and before in ("idle", "opening"):
            self.opened[status.pair] += 1
        elif status.state == "idle" and before in ("active", "closing"):
            self.closed[status.pair] += 1

    def take_books(self, books: BookSummary) -> None:
        """The newest counts."""
        if self.books is None or books.wall_us >= self.books.wall_us:
            self.books = books

    def is_final(self, since_us: int) -> bool:
        """Whether the books were told since then (wall), with every pair at rest in them and each account
        compared with its lines.
        """
        at_rest = all(one.state in RESTING for one in self.pairs.values())
        if self.books is None or not at_rest or self.books.residual_usd is None:
            return False
        return self.books.wall_us >= max(since_us, self.moved_us + BOOKED_US)

    @property
    def held(self) -> list[PairStatus]:
        """Pairs that have, or may have, a position; those that want a look first."""

        def order(status: PairStatus) -> tuple[bool, str]:
            return (status.state == "active", status.pair)

        return sorted((one for one in self.pairs.values() if one.state != "idle"), key=order)

    def pnl(self, pair: str) -> ProfitAndLoss:
        """The books' parts of a pair; zeros while they have none."""
        return ProfitAndLoss() if self.books is None else self.books.by_pair.get(pair, ProfitAndLoss())

    def summary(self) -> dict[str, Any]:
        """The figures of the summary object that come from trading; plain JSON values, USD."""
        books = self.books
        return {
            "pairs_opened": books.pairs_opened if books else 0,
            "pairs_closed": books.pairs_closed if books else 0,
            "orders": books.orders if books else 0,
            "unwinds": books.unwinds if books else 0,
            "settlements": books.settlements if books else 0,
            "settlements_missing": books.settlements_missing if books else 0,
            "funding_expected_usd": float(books.funding_expected_usd) if books else 0.0,
            "funding_received_usd": float(books.funding_received_usd) if books else 0.0,
            "pnl": parts_of(books.pnl if books else ProfitAndLoss()),
            "equity_start_usd": _usd(books.equity_start_usd if books else None),
            "equity_end_usd": _usd(books.equity_usd if books else None),
            "equity_residual_usd": _usd(books.residual_usd if books else None),
            "equity_residual_by_venue": _by_venue(books),
            "naked_usd_seconds": books.naked_usd_seconds if books else 0.0,
            "by_pair": {pair: self._pair(pair) for pair in sorted(self._traded())},
            "positions_open": [one.pair for one in self.held],
        }

    def _traded(self) -> set[str]:
        booked = set(self.books.by_pair) & self.pairs.keys() if self.books else set()
        return booked | self.directions.keys()

    def _pair(self, pair: str) -> dict[str, Any]:
        status = self.pairs[pair]
        return {
            "state": status.state,
            "direction": self.directions.get(pair, status.direction),
            "opened": self.opened[pair],
            "closed": self.closed[pair],
            "legs": {
                f"{leg.venue}.{leg.instrument}": {
                    "quantity": float(leg.quantity),
                    "borrowed": float(leg.borrowed),
                }
                for leg in status.legs
            },
            "pnl": parts_of(self.pnl(pair)),
        }


def parts_of(pnl: ProfitAndLoss) -> dict[str, float]:
    """The parts as numbers."""
    return {name: float(getattr(pnl, name)) for name in PARTS}


def _by_venue(books: BookSummary | None) -> dict[str, float]:
    """Signed; empty while the residual is not known."""
    if books is None or books.residual_usd is None:
        return {}
    return {venue: float(usd) for venue, usd in sorted(books.residual_by_venue.items())}


def _usd(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
