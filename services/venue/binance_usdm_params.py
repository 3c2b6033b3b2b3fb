"""Parameters of USD-M's private calls as values, with Binance's refusals for what cannot be read."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from libs.common.subjects import Kind
from libs.exchange.engine.types import Listing
from services.venue.binance_auth import missing, parameters_of
from services.venue.binance_common import refuse
from services.venue.wire import Call, Refused

if TYPE_CHECKING:
    from services.venue.desk import Instant
    from services.venue.house import House
    from services.venue.keys import Key

WALLET: Final = "usdm"
DAY_MS: Final = 86_400_000

_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
_INTEGER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_NUMBER_LEGAL: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_INTEGER_LEGAL: Final = "^[0-9]{1,20}$"

Choice = TypeVar("Choice", bound=StrEnum)


class Parameters:
    """What a call says, by name. An empty value counts as not sent, as on the real venue."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = {name: value for name, value in values.items() if value != ""}

    def __contains__(self, name: str) -> bool:
        """Whether it was sent."""
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """A text, `default` when it was not sent."""
        return self._values.get(name, default)

    def required(self, name: str) -> str:
        """A text that has to be there."""
        if name not in self._values:
            raise missing(name)
        return self._values[name]

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A whole number that is not negative."""
        text = self._values.get(name)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text):
            raise _illegal(name, _INTEGER_LEGAL)
        return int(text)

    def limit(self, default: int, most: int) -> int:
        """How many rows are wanted: at least one, at most `most`."""
        wanted = self.integer("limit", default)
        if wanted is None or wanted < 1:
            raise refuse(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(wanted, most)

    def decimal(self, name: str) -> Decimal | None:
        """A plain number, never in scientific notation."""
        text = self._values.get(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text.removeprefix("-")):
            raise _illegal(name, _NUMBER_LEGAL)
        return Decimal(text)

    def flag(self, name: str) -> bool | None:
        """`true` or `false` in any case; None when it was not sent."""
        text = self._values.get(name)
        if text is None:
            return None
        if text.lower() not in ("true", "false"):
            raise refuse(-1130, f"Data sent for parameter '{name}' is not valid.")
        return text.lower() == "true"

    def window(self, now_ms: int, *, days: int) -> tuple[int | None, int | None]:
        """`startTime` and `endTime` in ms. Without any the last `days` days; one of them alone spans as many.

        -4166 when they are further apart; -1023 when they are the wrong way round.
        """
        span = days * DAY_MS
        start, end = self.integer("startTime"), self.integer("endTime")
        if start is None and end is None:
            return None, None
        if start is not None and end is not None:
            if start > end:
                raise refuse(-1023, "Start time is greater than end time.")
            if end - start > span:
                raise refuse(-4166, f"Search window is restricted to recent {days} days only.")
            return start, end
        return (start, start + span) if start is not None else ((end or now_ms) - span, end)


def _illegal(name: str, legal: str) -> Refused:
    return refuse(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def read(call: Call) -> Parameters:
    """A call's parameters."""
    return Parameters(parameters_of(call))


def account_of(house: House, key: Key) -> str:
    """The futures wallet of a key's owner."""
    return house.account(key.user, WALLET)


def listing_of(house: House, symbol: str, now: Instant) -> Listing:
    """The contract of a symbol (`BTCUSDT`, `BTCUSDT_241227`), or Binance's refusal."""
    kind = Kind.FUTURE if "_" in symbol else Kind.PERP
    found = house.engine.listings.get(f"{kind}:{symbol}")
    if found is None or not is_visible(house, found, now):
        raise refuse(-1121, "Invalid symbol.")
    return found


def is_visible(house: House, listing: Listing, now: Instant) -> bool:
    """Whether the public half shows a contract, or it is no market of the recording (a dated future)."""
    if house.listing_key(listing.kind, listing.symbol, now) is not None:
        return True
    return house.instrument(listing.key) is None


def required_listing(house: House, parameters: Parameters, now: Instant) -> Listing:
    """The contract that the mandatory `symbol` names."""
    return listing_of(house, parameters.required("symbol"), now)


def instrument_filter(house: House, parameters: Parameters, now: Instant) -> str:
    """The engine's key of an optional `symbol`, "" for all."""
    return required_listing(house, parameters, now).key if "symbol" in parameters else ""


def contracts(house: House, parameters: Parameters, now: Instant) -> list[Listing]:
    """The contract that an optional `symbol` names; all there are without it, by symbol."""
    if "symbol" in parameters:
        return [required_listing(house, parameters, now)]
    found = [
        one
        for one in house.engine.listings.values()
        if one.kind is not Kind.SPOT and is_visible(house, one, now)
    ]
    return sorted(found, key=lambda one: one.symbol)
