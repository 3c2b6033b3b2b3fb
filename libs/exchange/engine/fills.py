"""One trade: what was matched, and its record in the owner's history."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.common.instant import Now
from libs.exchange.engine.ledger import keep
from libs.exchange.engine.state import State
from libs.exchange.engine.types import Fill, Liquidity, Order


class Match(msgspec.Struct, frozen=True):
    """So much base at this price (never more than the order's remainder), made or taken."""

    price: Decimal
    quantity: Decimal
    liquidity: Liquidity

    @property
    def quote(self) -> Decimal:
        """What it is worth."""
        return self.price * self.quantity


class Fee(msgspec.Struct, frozen=True):
    """What a fill pays (> 0) or gets (< 0)."""

    asset: str
    amount: Decimal


def record_fill(state: State, order: Order, match: Match, fee: Fee, realised: Decimal, *, now: Now) -> Fill:
    """A fill with the next trade id, kept."""
    state.last_trade_id += 1
    fill = Fill(
        trade_id=state.last_trade_id,
        order_id=order.order_id,
        client_id=order.client_id,
        account=order.account,
        instrument=order.instrument,
        side=order.side,
        position_side=order.position_side,
        price=match.price,
        quantity=match.quantity,
        quote=match.quote,
        fee=fee.amount,
        fee_asset=fee.asset,
        liquidity=match.liquidity,
        realised=realised,
        wall_us=now.wall_us,
        market_ms=now.market_ms,
        cause=order.cause,
    )
    keep(state.accounts[order.account].fills, fill, state.rules.history_max)
    return fill
