"""Which wallets a paper account has, and what its venue's rules are: by venue, as live trading finds them.

A venue that is not in the table has one unified wallet that may also borrow: every instrument can be
rehearsed on it, and nothing has to be moved between wallets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from libs.common.subjects import FUTURE, PERP, SPOT, Kind
from libs.exchange.engine.types import AccountKind, VenueRules
from libs.exchange.trading_values import Wallet

# An id that closed orders had may be used again on Binance only (the venues' published rules); the others are
# taken to refuse it for ever and to cancel a post-only order that would take.
# What is closed is kept by the thousands only: a change writes the whole account, about a kilobyte a trade.
_KEPT: Final = 2_000
_REUSES: Final = VenueRules(post_only="refuse", unique_ids="open", history_max=_KEPT)
_STRICT: Final = VenueRules(post_only="cancel", unique_ids="ever", history_max=_KEPT)

KINDS: Final[dict[Wallet, AccountKind]] = {
    "spot": AccountKind.SPOT,
    "margin": AccountKind.MARGIN,
    "futures": AccountKind.FUTURES,
    "unified": AccountKind.UNIFIED,
    "funding": AccountKind.SPOT,
}


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """An account's wallets. `spot` and `contracts` trade; `borrows` is where borrowed coins are sold, None
    where live trading has no such desk. `refused`: kinds that live trading does not send orders in, and why.
    """

    wallets: tuple[Wallet, ...]
    spot: Wallet
    contracts: Wallet
    borrows: Wallet | None = None
    rules: VenueRules = _STRICT
    refused: Mapping[Kind, str] = {}

    def wallet_of(self, kind: Kind, *, margin: bool = False) -> Wallet | None:
        """Where orders of a kind are funded; None when there is no desk for it."""
        if kind is not SPOT:
            return self.contracts
        return self.borrows if margin else self.spot

    def traders(self, kind: Kind) -> tuple[Wallet, ...]:
        """Every wallet that can have orders of a kind, each once."""
        found = (self.contracts,) if kind is not SPOT else (self.spot, self.borrows)
        return tuple(dict.fromkeys(wallet for wallet in found if wallet is not None))


_WITH_FUNDING: Final = Layout(wallets=("unified", "funding"), spot="unified", contracts="unified")
_SPLIT: Final = Layout(wallets=("spot", "futures"), spot="spot", contracts="futures")

DEFAULT: Final = Layout(wallets=("unified",), spot="unified", contracts="unified", borrows="unified")

LAYOUTS: Final[dict[str, Layout]] = {
    "binance": Layout(
        wallets=("spot", "margin", "futures"),
        spot="spot",
        contracts="futures",
        borrows="margin",
        rules=_REUSES,
    ),
    "bitget": _WITH_FUNDING,
    "bybit": Layout(wallets=("unified",), spot="unified", contracts="unified"),
    "okx": _WITH_FUNDING,
    "gate": _SPLIT,
    "kucoin": _SPLIT,
    "htx": _SPLIT,
    "mexc": msgspec.structs.replace(
        _SPLIT,
        refused=dict.fromkeys(
            (PERP, FUTURE),
            "live trading asks for MEXC contract orders by the venue's id only: a lost answer stays unknown",
        ),
    ),
    "bingx": _SPLIT,
    "hyperliquid": _SPLIT,
}
"""By exchange, the wallets that live trading reads and trades with."""


def layout_of(venue: str) -> Layout:
    """The layout of a venue slug: that of its exchange (`binance` of `binance-sub1`), else `DEFAULT`.

    >>> layout_of("binance-sub1").wallets, layout_of("elsewhere").wallets
    (('spot', 'margin', 'futures'), ('unified',))
    """
    return LAYOUTS.get(venue.split("-", 1)[0], DEFAULT)
