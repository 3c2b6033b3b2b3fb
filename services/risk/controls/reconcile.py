"""Risk's own reconciliation: what the venues show against what the pairs say they hold. Pure.

    contracts: equal;  spot: at least the sum (the rest is the user's)
    more than one lot or 0.5 % apart, twice, 5 s between, with no order open or unknown on the instrument and
    no change of its pairs: halt them; manual

A lot is the larger of step and minimum: what is below the venue's minimum cannot be sold and is nobody's leg.
The executor compares too, and more closely; this one believes neither side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel, InstrumentInfo
from libs.common.messages_exec import AccountStatus, Level, PairStatus
from libs.common.subjects import SPOT, pair_stem, slug
from services.risk.facts import Facts, Key
from services.risk.finding import Base, Finding, Hold
from services.risk.scopes import pair_scope

APART_US: Final = 5 * US_PER_SEC
SETTLED_US: Final = US_PER_SEC
"""A look that began sooner after a change of the pair may not show it yet."""
SHARE_MAX: Final = Decimal("0.005")
_ZERO: Final = Decimal(0)


class Reconcile(Base):
    """Since when each instrument differs."""

    name = "reconcile"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._since_us: dict[Key, int] = {}
        self._differs: set[Key] = set()
        self._found: dict[str, str] = {}
        self._versions: dict[str, int] = {}
        self._changed_us: dict[str, int] = {}

    def observe(self, message: Message, now: Now) -> None:
        """Each look at an account is compared; each change of a pair begins anew."""
        match message:
            case PairStatus() if message.pair in self._facts.pairs:
                moved = self._versions.get(message.pair) != message.version
                if moved or message.orders_open or message.orders_unknown:
                    self._versions[message.pair] = message.version
                    self._changed_us[message.pair] = now.mono_us
                    for leg in message.legs:
                        self._since_us.pop((leg.venue, leg.instrument), None)
            case AccountStatus(trusted=True):
                for key in self._facts.legs:
                    if key[0] == message.venue:
                        self._compare(key, message, now)
            case _:
                pass

    def _compare(self, key: Key, account: AccountStatus, now: Now) -> None:
        pairs = self._facts.scopes.legs[key]
        looked_us = self._facts.accounts[key[0]].at_us
        if not all(self._rests(pair, looked_us) for pair in pairs):
            self._since_us.pop(key, None)
            return
        missing = self._missing(key, account)
        if missing is None:
            self._since_us.pop(key, None)
            self._differs.discard(key)
            return
        self._differs.add(key)
        since_us = self._since_us.setdefault(key, now.mono_us)
        if now.mono_us - since_us >= APART_US:
            self._since_us.pop(key)
            for pair in pairs:
                self._found[pair] = f"{key[0]} {key[1]}: {missing}"

    def _rests(self, pair: str, looked_us: int) -> bool:
        """Whether a look tells how the pair stands: nothing under way, and nothing changed lately."""
        heard = self._facts.pairs.get(pair)
        if heard is None or heard.message.orders_open or heard.message.orders_unknown:
            return False
        return looked_us - self._changed_us.get(pair, looked_us) >= SETTLED_US

    def _missing(self, key: Key, account: AccountStatus) -> str | None:
        ours, leg = self._facts.ours(key), self._facts.legs[key]
        if leg.kind is SPOT:
            base = pair_stem(key[1]).split("-", 1)[0]
            shown = sum((one.total for one in account.balances if slug(one.asset) == base), _ZERO)
            apart = max(_ZERO, ours - shown)
        else:
            shown = sum((one.quantity for one in account.positions if one.instrument == key[1]), _ZERO)
            apart = abs(ours - shown)
        lot = lot_of(leg.info, leg.mid())
        if apart <= max(lot, SHARE_MAX * max(abs(ours), abs(shown))):
            return None
        return f"the venue shows {shown}, the pairs say {ours}"

    def judge(self, _now: Now) -> Iterable[Finding]:
        """Every pair on an instrument that differs: whose it is is not known."""
        for pair, why in sorted(self._found.items()):
            yield Finding(
                scope=pair_scope(pair),
                level=Level.REDUCE_ONLY,
                control=self.name,
                reason=why,
                until="a reset",
                hold=Hold.LATCH,
                alert=AlertLevel.CRITICAL,
            )
        self._found.clear()

    def holding(self) -> Mapping[tuple[str, str], str]:
        """The last look differed too."""
        return {
            (pair_scope(pair), self.name): f"{key[0]} {key[1]} differed at the last look"
            for key in self._differs
            for pair in self._facts.scopes.legs[key]
        }

    def reset(self, scope: str) -> None:
        """It is compared anew, twice."""
        for pair in self._facts.scopes.pairs_in(scope):
            self._found.pop(pair, None)
            for leg in self._facts.scopes.specs[pair].legs:
                self._since_us.pop((leg.venue, leg.instrument), None)


def lot_of(info: InstrumentInfo | None, price: float | None) -> Decimal:
    """The largest of step, least quantity and least notional in base units; 0 of what is not known."""
    if info is None:
        return _ZERO
    lots = [Decimal(text) for text in (info.quantity_step, info.quantity_min) if text]
    if info.notional_min and price is not None and price > 0:
        lots.append(Decimal(info.notional_min) / Decimal(str(price)))
    return max(lots, default=_ZERO)
