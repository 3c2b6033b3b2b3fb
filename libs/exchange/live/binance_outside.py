"""What came to Binance's spot wallet from outside the exchange, and what left it.

The lists (sapi/v1/capital) go by when a movement began; a record is of when it was done, where that is told.
A withdrawal's `amount` is what arrives: its network fee was taken beside it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from libs.common.clock import wall_us
from libs.common.instant import MS_PER_DAY, US_PER_MS
from libs.exchange.live.lists import BACK_MS_MAX
from libs.exchange.live.places import Place
from libs.exchange.live.wire import Call
from libs.exchange.port import VenueError
from libs.exchange.trading_outcomes import code_of
from libs.exchange.trading_values import LedgerRecord, RecordKind
from libs.exchange.units import decimal_of, int_of

ZERO: Final = Decimal(0)
WINDOW_MS: Final = 90 * MS_PER_DAY
EARLIER_MS: Final = 2 * MS_PER_DAY
"""A movement may take so long."""

PAGES_MAX: Final = 20
_ROWS: Final = 1_000
_FUNDING_WALLET: Final = "1"
_MAY_NOT: Final = "-2015"

OUTSIDE: Final[dict[RecordKind, tuple[str, frozenset[str]]]] = {
    "deposit": ("sapiGetCapitalDepositHisrec", frozenset({"1", "6"})),
    "withdrawal": ("sapiGetCapitalWithdrawHistory", frozenset({"6"})),
}
"""The list of each kind, and the states in which its money has moved: a deposit may be credited before it can
be withdrawn again (6).
"""


async def moved_outside(place: Place, kind: RecordKind, since_ms: int) -> list[LedgerRecord]:
    """Deposits or withdrawals that began since then or up to two days earlier. Raises `VenueError`."""
    method, done = OUTSIDE[kind]
    now_ms = wall_us() // US_PER_MS
    first_ms = max(since_ms - EARLIER_MS, now_ms - BACK_MS_MAX)
    found: dict[str, dict[str, Any]] = {}
    for start_ms in range(first_ms, max(first_ms + 1, now_ms), WINDOW_MS):
        window = {"startTime": start_ms, "endTime": min(start_ms + WINDOW_MS, now_ms + MS_PER_DAY)}
        for page in range(PAGES_MAX):
            rows = await _rows(place, method, {**window, "limit": _ROWS, "offset": page * _ROWS})
            found |= {str(row.get("id")): row for row in rows}
            if len(rows) < _ROWS:
                break
    return [
        _record(kind, number, row)
        for number, row in found.items()
        if str(row.get("status")) in done and str(row.get("walletType")) != _FUNDING_WALLET
    ]


async def _rows(place: Place, method: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """One page. For a key that may not read the list there are no such books. Its code tells: ccxt makes
    a rate limit of it as soon as another call has been let in.
    """
    call = Call()
    try:
        rows = await place.ask("records", lambda exchange: getattr(exchange, method)(dict(asked)), noted=call)
    except VenueError as error:
        if code_of(call.answer)[0] != _MAY_NOT:
            raise
        text = f"{error} (a key that may not read it)"
        raise VenueError(place.poll.venue, "not_supported", text) from error
    if not isinstance(rows, list):
        raise VenueError(place.poll.venue, "bad_payload", "records: no rows in the answer")
    return [row for row in rows if isinstance(row, dict)]


def _record(kind: RecordKind, number: str, row: dict[str, Any]) -> LedgerRecord:
    amount = decimal_of(row.get("amount")) or ZERO
    if kind == "withdrawal":
        amount = -(amount + (decimal_of(row.get("transactionFee")) or ZERO))
    stamps = (row.get(name) for name in ("completeTime", "insertTime", "applyTime"))
    return LedgerRecord(
        record_id=number,
        kind=kind,
        asset=str(row.get("coin")),
        amount=amount,
        ts_ms=next((found for stamp in stamps if (found := stamp_ms(stamp))), 0),
        ref=str(row.get("txId") or ""),
    )


def stamp_ms(text: object) -> int:
    """Milliseconds, or UTC in words; 0 for neither.

    >>> stamp_ms("2023-03-23 16:52:41"), stamp_ms(1661493146000), stamp_ms(None)
    (1679590361000, 1661493146000, 0)
    """
    found = int_of(text)
    if found is not None or not isinstance(text, str):
        return found or 0
    try:
        return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()) * 1_000
    except ValueError:
        return 0
