"""What a venue lists, as the bus says it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.common.instant import Now
from libs.common.messages import InstrumentInfo
from libs.common.money import plain
from libs.common.subjects import Kind, kind_of
from libs.exchange.port import Instrument

NOT_LISTED: Final = "not_listed"


def listing_of(instrument: Instrument, now: Now) -> InstrumentInfo:
    """The wire form of an instrument."""
    return InstrumentInfo(
        venue=instrument.venue,
        instrument=instrument.slug,
        symbol=instrument.symbol,
        base=instrument.base,
        quote=instrument.quote,
        settle=instrument.settle,
        kind=instrument.kind,
        contract_size=str(instrument.contract_size),
        price_tick=_text(instrument.price_tick),
        quantity_step=_text(instrument.quantity_step),
        quantity_min=_text(instrument.quantity_min),
        quantity_max=_text(instrument.quantity_max),
        market_quantity_max=_text(instrument.market_quantity_max),
        notional_min=_text(instrument.notional_min),
        taker=_number(instrument.taker),
        maker=_number(instrument.maker),
        expiry_ms=instrument.expiry_ms,
        shortable=instrument.shortable,
        refused=instrument.refused,
        recv_us=now.wall_us,
    )


def unlisted(venue: str, slug: str, now: Now) -> InstrumentInfo:
    """What is said of an instrument that the config names and the venue does not have."""
    base, quote = slug.split("-")[:2]
    kind = kind_of(slug)
    return InstrumentInfo(
        venue=venue,
        instrument=slug,
        symbol="",
        base=base,
        quote=quote,
        settle="" if kind is Kind.SPOT else quote,
        kind=kind,
        refused=NOT_LISTED,
        recv_us=now.wall_us,
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
