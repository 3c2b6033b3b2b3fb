"""Listen keys: who may hear which user stream, for an hour after the last sign of life. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

VALID_MS: Final = 60 * 60_000


class ListenKey(msgspec.Struct, frozen=True):
    """One key: whose stream, on which product (`usdm`, `spot`, `margin`), until which wall time."""

    text: str
    user: str
    product: str
    until_ms: int


class ListenKeys:
    """The keys that are valid. One user and product has one key at a time, as on Binance."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._made = 0
        self._keys: dict[str, ListenKey] = {}

    def open(self, user: str, product: str, wall_ms: int) -> ListenKey:
        """The user's key, prolonged when there is one already."""
        for known in self._keys.values():
            if (known.user, known.product) == (user, product) and known.until_ms > wall_ms:
                return self._keep(known, wall_ms)
        self._made += 1
        text = hashlib.sha256(f"{self._seed}|{user}|{product}|{self._made}|{wall_ms}".encode()).hexdigest()
        return self._keep(ListenKey(text, user, product, 0), wall_ms)

    def _keep(self, key: ListenKey, wall_ms: int) -> ListenKey:
        self._keys[key.text] = kept = msgspec.structs.replace(key, until_ms=wall_ms + VALID_MS)
        return kept

    def prolong(self, text: str, wall_ms: int) -> ListenKey | None:
        """Another hour; None when the key is not valid."""
        known = self.find(text, wall_ms)
        return None if known is None else self._keep(known, wall_ms)

    def close(self, text: str) -> bool:
        """Forget a key; False when there was none."""
        return self._keys.pop(text, None) is not None

    def find(self, text: str, wall_ms: int) -> ListenKey | None:
        """A valid key; None when it is unknown or has run out."""
        known = self._keys.get(text)
        if known is not None and known.until_ms <= wall_ms:
            del self._keys[text]
            return None
        return known
