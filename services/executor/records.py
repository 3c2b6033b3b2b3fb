"""A venue's own books as ledger lines: funding, interest, transfers, deposits, liquidation fees. Pure.

What belongs to an instrument goes to the pairs that held it at that instant, by their sizes; what nobody held
goes to nobody (`pair` ""). Fees and realised profit of trades are not taken from here: they are booked with
the fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Final

from libs.carry.pnl import EXACT, Key
from libs.common.instant import MS_PER_HOUR, US_PER_MS, Now
from libs.common.messages_exec import LedgerKind, LedgerLine
from libs.common.subjects import SPOT, kind_of, slug
from libs.exchange.trading_values import IN_MARKET_TIME, LedgerRecord, RecordKind
from services.executor.books import Books, MarketOf, at, holders, split
from services.executor.events import AccountSeen
from services.executor.expect import Announcements
from services.executor.ledger import usd_price
from services.executor.model import ZERO
from services.executor.world import World

KINDS: Final[tuple[RecordKind, ...]] = (
    "funding",
    "interest",
    "transfer",
    "liquidation",
    "deposit",
    "withdrawal",
    "other",
)
"""What is asked for. Loans move no money of ours: `owned` is total - borrowed - interest."""

INTEREST_AGE_MS: Final = 3 * MS_PER_HOUR

_KINDS: Final[dict[str, LedgerKind]] = {
    "funding": LedgerKind.FUNDING,
    "interest": LedgerKind.INTEREST,
    "transfer": LedgerKind.TRANSFER,
    "liquidation": LedgerKind.FEE,
    "deposit": LedgerKind.DEPOSIT,
    "withdrawal": LedgerKind.WITHDRAWAL,
}


def key_of(venue: str, record: LedgerRecord) -> str:
    """What books a record once."""
    return f"{venue}:{record.kind}:{record.record_id}"


def line_kind(record: LedgerRecord) -> LedgerKind:
    """`other` is what came from or went to outside."""
    if record.kind in _KINDS:
        return _KINDS[record.kind]
    return LedgerKind.DEPOSIT if record.amount >= 0 else LedgerKind.WITHDRAWAL


def market_ms_of(record: LedgerRecord, market_of: MarketOf) -> int:
    """When it happened, in market time."""
    return record.ts_ms if record.kind in IN_MARKET_TIME else market_of(record.ts_ms * US_PER_MS)


def lines_of(
    venue: str,
    record: LedgerRecord,
    *,
    books: Books,
    world: World,
    announced: Announcements,
    market_of: MarketOf,
    split_wallets: bool,
    now: Now,
) -> list[LedgerLine]:
    """One line for each pair that it concerns, one of nobody otherwise.

    `split_wallets`: the account has several wallets and all of them are looked at, so that a transfer between
    them moves nothing.
    """
    key, shares = _shares(venue, record, books, market_of)
    worth = usd_price(world, venue, record.asset) or ZERO
    purpose = "liquidation" if record.kind == "liquidation" else ""
    if record.kind == "transfer" and split_wallets:
        purpose = "internal"
    at_ms = market_ms_of(record, market_of)
    lines = []
    for pair, amount in split(record.amount, shares).items():
        with localcontext(EXACT):
            usd = amount * worth
        lines.append(
            LedgerLine(
                key=key_of(venue, record) + (f"@{pair}" if len(shares) > 1 else ""),
                kind=line_kind(record),
                venue=venue,
                asset=record.asset,
                amount=amount,
                usd=usd,
                instrument=key[1] if key else record.instrument or "",
                pair=pair,
                purpose=purpose,
                quantity=_quantity(record, key, amount, shares.get(pair)),
                rate=announced.rate_of(key, at_ms) if key and record.kind == "funding" else None,
                mid=world.mid(key) if key else None,
                venue_ms=record.ts_ms,
                wall_us=now.wall_us,
            )
        )
    return lines


def _quantity(record: LedgerRecord, key: Key | None, amount: Decimal, held: Decimal | None) -> Decimal | None:
    """Of funding the position that it was paid for; of interest what it took from the leg's own coin."""
    if record.kind == "funding":
        return held
    return amount if record.kind == "interest" and key is not None else None


def _shares(
    venue: str, record: LedgerRecord, books: Books, market_of: MarketOf
) -> tuple[Key | None, Mapping[str, Decimal]]:
    """The instrument that a record is about, and what each pair held of it."""
    at_ms = market_ms_of(record, market_of)
    if record.kind in ("funding", "liquidation") and record.instrument:
        key = (venue, record.instrument)
        return key, holders(books, key, at_ms)
    if record.kind == "interest":
        return _debtors(venue, record, books, at_ms)
    return None, {}


def _debtors(
    venue: str, record: LedgerRecord, books: Books, at_ms: int
) -> tuple[Key | None, Mapping[str, Decimal]]:
    """Pairs that are short of this coin on the venue's spot market: who borrows pays the interest.

    Only pairs on one instrument share a payment: a coin's debt on two spot markets goes to the first.
    """
    names = sorted(
        {
            one.instrument
            for pair, venues in books.pairs.items()
            if pair and venue in venues
            for one in venues[venue].inventories.values()
            if kind_of(one.instrument) is SPOT and one.instrument.split("-")[0] == slug(record.asset)
        }
    )
    for name in names:
        key = (venue, name)
        held = {pair: at(books, pair, key, at_ms) for pair in books.pairs if pair}
        short = {pair: quantity for pair, quantity in held.items() if quantity < 0}
        if short:
            return key, short
    return None, {}


def interest_daily(record: LedgerRecord, seen: AccountSeen | None, now: Now) -> dict[str, float]:
    """Hourly interest over what is owed, as a daily rate of its asset; old lines tell nothing about now."""
    if seen is None or now.market_ms - record.ts_ms > INTEREST_AGE_MS:
        return {}
    owed = sum((one.borrowed for one in seen.balances if one.asset == record.asset), ZERO)
    return {record.asset: float(-record.amount / owed * 24)} if owed > 0 else {}
