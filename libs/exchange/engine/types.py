"""What the simulated exchange is made of: listings, accounts, orders, fills, positions, ledger entries.

Quantities are base units, prices quote units, money is `Decimal`; nothing here is a float. `wall_us` stamps
orders and fills, `market_ms` funding, interest and delivery (the two differ where market time is scaled).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal

import msgspec

from libs.common.subjects import Kind

ZERO = Decimal(0)


class Side(StrEnum):
    """Of an order or fill."""

    BUY = "buy"
    SELL = "sell"


class PositionSide(StrEnum):
    """BOTH in one-way mode, where a position's quantity is signed; LONG and SHORT in hedge mode."""

    BOTH = "both"
    LONG = "long"
    SHORT = "short"


class OrderType(StrEnum):
    """A market order has no price."""

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(StrEnum):
    """How long a limit order lives; POST_ONLY never takes."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class OrderStatus(StrEnum):
    """OPEN and PARTIAL rest in the book; the others are final."""

    OPEN = "open"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"  # by its owner, by post-only where the venue accepts first, or by a closed market
    EXPIRED = "expired"  # the unfilled rest of an IOC or market order


class Liquidity(StrEnum):
    """Which fee applies."""

    MAKER = "maker"
    TAKER = "taker"


class MarginMode(StrEnum):
    """Whether a position draws on the whole wallet or on its own margin."""

    CROSS = "cross"
    ISOLATED = "isolated"


class PositionMode(StrEnum):
    """One signed position an instrument, or a long and a short one."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class AccountKind(StrEnum):
    """What an account may trade: SPOT its own coins; MARGIN spot with borrowing; FUTURES perps and dated
    futures; UNIFIED all of it out of one wallet.
    """

    SPOT = "spot"
    MARGIN = "margin"
    FUTURES = "futures"
    UNIFIED = "unified"


class MarketStatus(StrEnum):
    """What a market allows."""

    TRADING = "trading"
    HALTED = "halted"  # maintenance: orders are refused, resting ones stay
    DELISTED = "delisted"  # orders are refused, resting ones are canceled, positions are settled at the mark


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """A margin bracket: positions up to `notional_max`; maintenance = notional * ratio - amount."""

    notional_max: Decimal
    leverage_max: int
    maintenance_ratio: Decimal
    maintenance_amount: Decimal = ZERO


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A market with its filters. `key` names it inside the engine (`perp:BTCUSDT`), `symbol` on the venue.

    None as a filter means that the venue has none. `quote` is also what contracts settle in (linear only).
    """

    key: str
    symbol: str
    kind: Kind
    base: str
    quote: str
    price_tick: Decimal
    quantity_step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal | None = None
    market_quantity_max: Decimal | None = None
    notional_min: Decimal | None = None
    price_band: Decimal | None = None  # a buy further above the mark, a sale further below it is refused
    price_band_both_ways: bool = False  # Binance's spot: a price further away on either side is
    tiers: tuple[Tier, ...] = ()  # contracts: ascending notional_max
    liquidation_fee: Decimal = ZERO  # fraction of the notional that a liquidation pays to the insurance fund
    expiry_ms: int | None = None
    marginable: bool = False  # a spot market that MARGIN and UNIFIED accounts may trade with borrowed coins
    status: MarketStatus = MarketStatus.TRADING


class FeeRates(msgspec.Struct, frozen=True, kw_only=True):
    """Fractions of the notional; a negative maker rate is a rebate."""

    maker: Decimal
    taker: Decimal


class FeeSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """What an account pays, by product. A spot buy pays in base (`spot_buy_fee`), everything else in quote.

    With `coin` set (Binance's BNB) and enough of it free, fees are paid in it at `coin_factor` of the rate;
    its price is the last mark of `coin` + quote, and without one the fee falls back to base or quote.
    """

    spot: FeeRates
    perp: FeeRates
    future: FeeRates
    spot_buy_fee: Literal["base", "quote"] = "base"
    coin: str | None = None
    coin_factor: Decimal = Decimal("0.75")


class AccountSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An account: one wallet of a user. `user` groups the accounts among which transfers are allowed."""

    account: str
    user: str
    kind: AccountKind
    fees: FeeSchedule
    position_mode: PositionMode = PositionMode.ONE_WAY
    leverage_default: int = 20
    margin_mode_default: MarginMode = MarginMode.CROSS
    borrow_max_usd: Decimal = Decimal(100_000)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it stands; every change makes a new value. `client_id` is "" when its owner gave none."""

    order_id: int
    client_id: str
    account: str
    instrument: str
    side: Side
    type: OrderType
    tif: TimeInForce
    quantity: Decimal
    price: Decimal | None
    reduce_only: bool
    position_side: PositionSide
    status: OrderStatus
    created_us: int
    updated_us: int
    filled: Decimal = ZERO
    filled_quote: Decimal = ZERO  # sum of price * quantity over its fills
    quote_quantity: Decimal | None = None  # a spot market buy by cost
    queue_ahead: Decimal = ZERO  # displayed size at its price that trades before it
    reason: str = ""  # why it ended, in words
    margin: bool = False  # sent to the margin desk (borrowing allowed)
    repays: bool = False  # what its fills bring in repays what is owed of it
    cause: Literal["order", "liquidation", "adl", "delivery"] = "order"

    @property
    def remaining(self) -> Decimal:
        """What is not filled yet, in base units."""
        return self.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """Whether it rests in the book."""
        return self.status in (OrderStatus.OPEN, OrderStatus.PARTIAL)


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One trade. `fee` > 0 is paid, < 0 received; `realised` is the closed part's price PnL before fees."""

    trade_id: int
    order_id: int
    client_id: str
    account: str
    instrument: str
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    quote: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: Liquidity
    realised: Decimal
    wall_us: int
    market_ms: int
    cause: Literal["order", "liquidation", "adl", "delivery"] = "order"


class EntryKind(StrEnum):
    """What moved."""

    TRADE = "trade"  # a spot leg: base and quote move
    PNL = "pnl"  # realised price PnL of a contract
    FEE = "fee"
    FUNDING = "funding"
    INTEREST = "interest"  # accrued into the liability; `balance` does not move
    BORROW = "borrow"
    REPAY = "repay"
    TRANSFER = "transfer"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    LIQUIDATION_FEE = "liquidation_fee"
    INSURANCE = "insurance"  # the fund takes over what an account cannot pay
    DELIVERY = "delivery"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an account's ledger: `amount` > 0 came in, `balance` is the asset's total after it.

    `ref` is the id of what caused it: trade id, settlement `instrument@settled_ms`, transfer id.
    """

    entry_id: int
    account: str
    asset: str
    kind: EntryKind
    amount: Decimal
    balance: Decimal
    instrument: str
    ref: str
    wall_us: int
    market_ms: int


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of an account. `total` holds borrowed coins too; owned = total - borrowed - interest.

    `locked` is what open spot orders hold. What contracts hold as margin is not locked but computed
    (`AccountView.available`).
    """

    total: Decimal = ZERO
    locked: Decimal = ZERO
    borrowed: Decimal = ZERO
    interest: Decimal = ZERO

    @property
    def free(self) -> Decimal:
        return self.total - self.locked


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A contract position. `quantity` is signed in one-way mode and in hedge mode alike (short < 0)."""

    account: str
    instrument: str
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal  # `cost` / quantity, at most 12 decimals: for people and wires
    margin_mode: MarginMode
    leverage: int
    cost: Decimal = ZERO  # exact and signed like quantity: unrealised = quantity * mark - cost
    isolated_margin: Decimal = ZERO  # only in isolated mode: the part of the wallet set aside for it
    realised: Decimal = ZERO  # price PnL since it was opened, before fees
    fees: Decimal = ZERO  # paid since it was opened (< 0: received)
    funding: Decimal = ZERO  # received since it was opened (< 0: paid)
    opened_us: int = 0
    updated_us: int = 0


class MarginFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The margin side of a contracts account, in its settlement asset, at the current marks.

    wallet: balance of the asset; unrealised: sum over positions; equity = wallet + unrealised (cross part);
    initial: notional / leverage of positions plus open orders' demand; maintenance: by tiers;
    available: what a new order or a transfer may still use.
    """

    asset: str
    wallet: Decimal
    unrealised: Decimal
    equity: Decimal
    initial: Decimal
    initial_positions: Decimal
    initial_orders: Decimal
    maintenance: Decimal
    available: Decimal


class PositionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A position with what the mark says about it. `liquidation_price` None: no price liquidates it."""

    position: Position
    mark: Decimal
    notional: Decimal
    unrealised: Decimal
    initial: Decimal
    maintenance: Decimal
    liquidation_price: Decimal | None


class VenueRules(msgspec.Struct, frozen=True, kw_only=True):
    """How the venue behaves where venues differ.

    post_only: a crossing post-only order is refused (Binance) or accepted and canceled at once (Bitget).
    unique_ids: a client id must be unique among open orders (Binance) or for ever (Bitget).
    history_max: closed orders, fills and entries kept for each account.
    """

    post_only: Literal["refuse", "cancel"] = "refuse"
    unique_ids: Literal["open", "ever"] = "open"
    history_max: int = 100_000
