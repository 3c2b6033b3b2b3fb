"""What an account must be set to before a pair is opened, and whether it is. Pure.

Margin mode, leverage and position mode of every contract leg are set and read back; the real fees of every
leg are read. A pair one of whose legs is not proven to be so is not opened, and says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from libs.common.config.schema import Config
from libs.common.instant import US_PER_SEC
from libs.common.subjects import SPOT, kind_of
from libs.exchange.trading_values import AccountSettings, MarginMode, PositionMode
from services.executor.events import SetUpDone

Key = tuple[str, str]
"""(venue, instrument)."""

RETRY_US: Final = 15 * US_PER_SEC
"""Between two tries at a leg whose account could not be read or set."""

AT_ONCE: Final = 2
"""Legs of one venue that are set up together: the request budget belongs to orders and their fates."""


UNHURRIED_US: Final = 60 * US_PER_SEC
"""Between two legs of a venue that no pair waits for: one costs up to 25 of Binance's 2,400 a minute."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the config asks for, of every contract leg alike."""

    margin_mode: MarginMode
    leverage: int
    position_mode: PositionMode


def terms_of(config: Config) -> Terms:
    """The config's settings. Venues take whole leverages: a fraction is cut off, towards less risk."""
    position = config.position
    return Terms(
        margin_mode=MarginMode(position.margin_mode),
        leverage=max(1, int(position.futures_margin_leverage)),
        position_mode=PositionMode(position.position_mode),
    )


def differences(terms: Terms, found: AccountSettings) -> str:
    """What a venue has otherwise than asked for, in words; what it does not tell counts as otherwise."""
    names = ("margin_mode", "leverage", "position_mode")
    said = [
        f"{name} is {getattr(found, name)} and should be {getattr(terms, name)}"
        for name in names
        if getattr(found, name) != getattr(terms, name)
    ]
    return "; ".join(said)


class SetUps:
    """How far the set-up of each leg is. `keys`: every (venue, instrument) of a pair."""

    def __init__(self, terms: Terms, keys: Iterable[Key]) -> None:
        self.terms = terms
        self._open: dict[Key, str] = dict.fromkeys(keys, "its account settings have not been verified yet")
        self._next_us: dict[Key, int] = {}
        self._asked: set[Key] = set()
        self._wanted: set[Key] = set()
        self._unhurried_us: dict[str, int] = {}

    def why_not(self, keys: Iterable[Key]) -> str:
        """Why a pair with these legs is not to be opened yet; empty when it may be."""
        for venue, instrument in keys:
            if why := self._open.get((venue, instrument)):
                return f"{venue} {instrument}: {why}"
        return ""

    def want(self, keys: Iterable[Key]) -> None:
        """A pair with these legs waits to be opened: they go before all others of their venues."""
        self._wanted.update(key for key in keys if key in self._open)

    def _waits(self, key: Key, now_us: int) -> bool:
        """Whether a leg that nobody waits for leaves the venue's budget to others for now."""
        if key in self._wanted:
            return False
        return now_us < self._unhurried_us.get(key[0], now_us) or any(
            other[0] == key[0] and (other in self._asked or now_us >= self._next_us.get(other, now_us))
            for other in self._wanted
        )

    def due(self, keys: Iterable[Key], now_us: int) -> list[Key]:
        """Legs that are to be set up now, few of a venue at once; each is answered by `done` or `failed`."""
        found: list[Key] = []
        for key in keys:
            busy = sum(venue == key[0] for venue, _ in self._asked)
            if key not in self._open or key in self._asked or busy >= AT_ONCE or self._waits(key, now_us):
                continue
            if now_us >= self._next_us.get(key, now_us):
                self._next_us[key] = now_us + RETRY_US
                if key not in self._wanted:
                    self._unhurried_us[key[0]] = now_us + UNHURRIED_US
                self._asked.add(key)
                found.append(key)
        return found

    def done(self, key: Key, said: SetUpDone) -> None:
        """The venue has told how things stand there."""
        self._asked.discard(key)
        why = "" if said.fees is not None else "its fees could not be read"
        if kind_of(key[1]) is not SPOT:
            if said.settings is None:
                why = "its account settings could not be read"
            else:
                why = differences(self.terms, said.settings) or why
        if why:
            self._open[key] = why
        else:
            self._open.pop(key, None)
            self._wanted.discard(key)

    def failed(self, key: Key, error: str) -> None:
        """It could not be set or read; what was verified before stays so."""
        self._asked.discard(key)
        if key in self._open:
            self._open[key] = f"its account could not be set up: {error}"
