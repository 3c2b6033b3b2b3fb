"""The parameters of an `api/v3` or `sapi` call, read as Binance reads them, with its texts for what is wrong.

A `Form` notes what was read: `api/v3` refuses calls with parameters that nothing reads (-1104), `sapi` does
not mind them (https://developers.binance.com/docs/binance-spot-api-docs/errors).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from services.venue.binance_auth import missing, parameters_of
from services.venue.binance_common import refuse
from services.venue.wire import Call, Refused

DIGITS_MAX: Final = 8
_DECIMAL_TEXT: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_DECIMAL: Final = re.compile(_DECIMAL_TEXT, re.ASCII)
_CLIENT_ID_TEXT: Final = r"^[a-zA-Z0-9-_]{1,36}$"
_CLIENT_ID: Final = re.compile(_CLIENT_ID_TEXT, re.ASCII)
_INTEGER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_ALWAYS_READ: Final = frozenset({"timestamp", "recvWindow", "signature", "apiKey", "returnRateLimits"})


def empty(name: str) -> Refused:
    """A parameter that was sent without a value."""
    return refuse(-1105, f"Parameter '{name}' was empty.")


def unwanted(name: str) -> Refused:
    """A parameter that does not go with the others."""
    return refuse(-1106, f"Parameter '{name}' sent when not required.")


def illegal(name: str, legal: str) -> Refused:
    """A parameter with signs that it cannot have."""
    return refuse(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


class Form:
    """What a call says, by name. Names that are absent read as "", None or the default."""

    def __init__(self, call: Call) -> None:
        self._said = parameters_of(call)
        self._read = set(_ALWAYS_READ)

    def has(self, name: str) -> bool:
        """Whether it was sent; reads nothing."""
        return name in self._said

    def text(self, name: str) -> str:
        """As sent."""
        self._read.add(name)
        said = self._said.get(name)
        if said == "":
            raise empty(name)
        return said or ""

    def need(self, name: str) -> str:
        """As sent, and it has to be."""
        self._read.add(name)
        said = self._said.get(name, "")
        if not said:
            raise missing(name)
        return said

    def decimal(self, name: str) -> Decimal | None:
        """A number of at most eight digits behind the point."""
        said = self.text(name)
        if not said:
            return None
        if not _DECIMAL.fullmatch(said):
            raise illegal(name, _DECIMAL_TEXT)
        if len(said.partition(".")[2]) > DIGITS_MAX:
            raise refuse(-1111, f"Parameter '{name}' has too much precision.")
        return Decimal(said)

    def need_decimal(self, name: str) -> Decimal:
        """A number that has to be there."""
        self.need(name)
        found = self.decimal(name)
        if found is None:
            raise missing(name)
        return found

    def integer(self, name: str) -> int | None:
        """An id or a time in ms."""
        said = self.text(name)
        if not said:
            return None
        if not _INTEGER.fullmatch(said):
            raise illegal(name, "^[0-9]{1,20}$")
        return int(said)

    def count(self, name: str, default: int, most: int) -> int:
        """How many rows: at least one; more than the most gives the most."""
        found = self.integer(name)
        if found == 0:
            raise refuse(-1130, f"Data sent for parameter '{name}' is not valid.")
        return min(default if found is None else found, most)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """TRUE or FALSE, in any case."""
        said = self.text(name).lower()
        if said not in ("", "true", "false"):
            raise refuse(-1130, f"Data sent for parameter '{name}' is not valid.")
        return default if not said else said == "true"

    def client_id(self, name: str) -> str:
        """A client order id, "" when none was sent."""
        said = self.text(name)
        if said and not _CLIENT_ID.fullmatch(said):
            raise illegal(name, _CLIENT_ID_TEXT)
        return said

    def done(self) -> None:
        """Refuse a call that says more than was read."""
        unread = self._said.keys() - self._read
        if unread:
            sent = len(self._said)
            read = sent - len(unread)
            text = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
            raise refuse(-1104, text)
