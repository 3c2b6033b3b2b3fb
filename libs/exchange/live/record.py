"""What is peculiar about trading on each venue, one frozen record each.

Read in ccxt 4.5.90 (`async_support/{venue}.py`, functions named beside each fact). Binance and Bitget are
exercised against the simulated venue over unmodified ccxt; of the others the requests are tested, not the
answers.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Literal

import msgspec

from libs.common.instant import MS_PER_DAY
from libs.common.subjects import Kind
from libs.exchange.live.budget import Limit
from libs.exchange.trading_values import Wallet

# load_positions_snapshot of ccxt.pro compares `contracts` with 0, which fails on figures that are text: a
# task of ccxt's own dies of it unseen, and with a position open `watch_positions` never says anything.
# Binance's margin desk begins one as well (set_positions_cache of `watch_orders`, for all types but spot);
# Bybit, Gate, KuCoin and BingX do. The stream tells changes, REST the rest.
NO_SNAPSHOT: Final = {"watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False}}

_CONTRACTS: Final = frozenset({Kind.PERP, Kind.FUTURE})
IdForm = Literal["plain", "hex", "number", "t-"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """How ccxt is asked about an order by our id: `param` takes it, `id` is passed as order id.

    by `order`: fetch_order. by `lists`: open and closed orders are searched (where ccxt's fetch_order passes
    the venue's own id only).
    """

    by: Literal["order", "lists"] = "order"
    param: str = "clientOrderId"
    id: str = ""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """One ccxt class of a venue as a place to trade. `wallet` is what its fetch_balance reads by `balance`.

    `host`: whose request budget it draws on. `warm`: the cheap public call that keeps connections open.
    """

    ccxt_id: str
    host: str
    limits: tuple[Limit, ...]
    balances: dict[Wallet, dict[str, Any]]
    warm: str = "fetch_time"
    warm_params: tuple[dict[str, Any], ...] = ({},)
    options: dict[str, Any] = {}

    def settings(self) -> dict[str, Any]:
        """`options` of ccxt's instances, with what holds for every desk."""
        return {**NO_SNAPSHOT, **self.options}


class TradingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's record; defaults are what most venues do.

    transfers: our wallets by the venue's names in ccxt's `transfer`. cancel_by: our id by `cancel_param`, or
    in the place of the venue's `id`, or the venue's own of the `order` (found by a query first). margin:
    params of an order on the borrowing desk, None where there is none here. fills_window_ms: the longest
    stretch of time that one request for trades covers. fee_negated: ccxt turns the sign of fees around, for
    a form of answer that this account does not have. whole_contracts: amounts of contracts are passed as
    whole numbers, not as text. causes_asked: trades do not say that the venue made them (see `causes`).
    """

    venue: str
    desks: tuple[Desk, ...]
    id_form: dict[Kind, IdForm] = {}
    ask: dict[Kind, Ask] = {}
    cancel_by: Literal["client", "order", "id"] = "client"
    cancel_param: str = "clientOrderId"
    margin: dict[str, Any] | None = None
    transfers: dict[Wallet, str] = {}
    fills_limit: int = 500
    fills_window_ms: dict[Kind, int] = {}
    fee_negated: bool = False
    whole_contracts: bool = False
    causes_asked: bool = False
    refused: dict[Kind, str] = {}

    def ask_of(self, kind: Kind) -> Ask:
        """How orders of a kind are asked about."""
        return self.ask.get(kind, Ask())


def venue_id(form: IdForm, client_id: str) -> str:
    """Our id as a venue takes it.

    hex (Hyperliquid): 32 digits hold 16 characters, ours has up to 26: 128 bits of a hash. number (HTX
    contracts): 52 bits of a hash, since ccxt passes it through a float. `Ids` finds the way back.

    >>> venue_id("t-", "fa01")
    't-fa01'
    """
    match form:
        case "plain":
            return client_id
        case "t-":
            return f"t-{client_id}"
        case "hex":
            return "0x" + hashlib.blake2b(client_id.encode(), digest_size=16).hexdigest()
        case "number":
            digest = hashlib.blake2b(client_id.encode(), digest_size=8).digest()
            return str((int.from_bytes(digest, "big") >> 12) | 1)


class Ids:
    """Translates ids of one venue both ways; a hash can be read back for ids that were asked about here."""

    def __init__(self, record: TradingRecord) -> None:
        self._forms = record.id_form
        self.fee_negated = record.fee_negated
        self._ours: dict[str, str] = {}

    def to_venue(self, kind: Kind, client_id: str) -> str:
        """Our id in the venue's form."""
        form = self._forms.get(kind, "plain")
        found = venue_id(form, client_id)
        if form in ("hex", "number"):
            self._ours[found] = client_id
        return found

    def to_ours(self, kind: Kind, text: object) -> str:
        """The venue's id as ours; "" for none, its own text for a hash that is not known here."""
        found = "" if text is None else str(text)
        if self._forms.get(kind) == "t-" and found.startswith("t-"):
            return found[2:]
        return self._ours.get(found, found)


_BINANCE_WEIGHT: Final = "x-mbx-used-weight-1m"
_PER_SECOND: Final = 1.0


def _own(per_sec: int) -> tuple[Limit, ...]:
    """Orders a second, counted by ourselves."""
    return (Limit(most=per_sec, window_sec=_PER_SECOND, orders=True),)


# fetch_open_orders refuses to ask for all symbols (40 times the weight of one) until it is told to
_ALL_ORDERS: Final = {"warnOnFetchOpenOrdersWithoutSymbol": False}

BINANCE: Final = TradingRecord(
    venue="binance",
    desks=(
        Desk(
            ccxt_id="binance",
            host="api.binance.com",
            limits=(
                Limit(most=6_000, window_sec=60, header=_BINANCE_WEIGHT),
                Limit(most=100, window_sec=10, header="x-mbx-order-count-10s", orders=True),
            ),
            balances={"spot": {"type": "spot"}, "margin": {"type": "margin", "marginMode": "cross"}},
            options=_ALL_ORDERS,
        ),
        Desk(
            ccxt_id="binanceusdm",
            host="fapi.binance.com",
            limits=(
                Limit(most=2_400, window_sec=60, header=_BINANCE_WEIGHT),
                Limit(most=300, window_sec=10, header="x-mbx-order-count-10s", orders=True),
                Limit(most=1_200, window_sec=60, header="x-mbx-order-count-1m", orders=True),
            ),
            balances={"futures": {}},
            options=_ALL_ORDERS,
        ),
    ),
    # create_order with marginMode goes to sapi/v1/margin/order; borrowing is a call of its own
    margin={"marginMode": "cross"},
    transfers={"spot": "spot", "margin": "cross", "futures": "future", "funding": "funding"},
    fills_limit=1_000,
    # fapi/v1/userTrades; fetch_my_trades sets the end itself when the start is older
    fills_window_ms=dict.fromkeys(_CONTRACTS, 7 * MS_PER_DAY),
    causes_asked=True,
)

BITGET: Final = TradingRecord(
    venue="bitget",
    desks=(
        Desk(
            ccxt_id="bitget",
            host="api.bitget.com",
            limits=_own(10),  # place-order: 10 a second and UID
            balances={"unified": {}, "funding": {"type": "funding"}},
        ),
    ),
    transfers={"unified": "uta", "funding": "spot", "spot": "spot", "futures": "uta", "margin": "uta"},
    fills_limit=100,
    # parse_trade negates `fee`, which v2 writes as a negative number and v3 as what is paid
    fee_negated=True,
)

BYBIT: Final = TradingRecord(
    venue="bybit",
    desks=(
        Desk(
            ccxt_id="bybit", host="api.bybit.com", limits=_own(10), balances={"unified": {"type": "unified"}}
        ),
    ),
    # fetch_order sends `orderId: id` beside params: an order is found by orderLinkId in the lists
    # (fetch_open_orders and fetch_closed_orders pass params on to v5/order/realtime and history)
    ask=dict.fromkeys(Kind, Ask(by="lists", param="orderLinkId")),
    cancel_by="order",
    transfers={"unified": "unified", "funding": "funding"},
    fills_limit=100,
)

OKX: Final = TradingRecord(
    venue="okx",
    desks=(
        Desk(
            ccxt_id="okx",
            host="www.okx.com",
            limits=_own(30),  # 60 per 2 s and instrument
            balances={"unified": {"type": "trading"}, "funding": {"type": "funding"}},
        ),
    ),
    transfers={"unified": "trading", "funding": "funding"},
    fills_limit=100,
)

GATE: Final = TradingRecord(
    venue="gate",
    desks=(
        Desk(
            ccxt_id="gate",
            host="api.gateio.ws",
            limits=_own(10),
            balances={"spot": {"type": "spot"}, "futures": {"type": "swap", "settle": "usdt"}},
        ),
    ),
    id_form=dict.fromkeys(Kind, "t-"),  # create_order_request prefixes what does not begin with `t`
    ask=dict.fromkeys(Kind, Ask(param="text")),
    cancel_by="id",  # cancel_order puts its id into the path, where the venue takes a text too
    transfers={"spot": "spot", "futures": "swap"},
)

KUCOIN: Final = TradingRecord(
    venue="kucoin",
    desks=(
        Desk(
            ccxt_id="kucoin",
            host="",
            limits=_own(10),
            balances={"spot": {"type": "trade"}, "futures": {"type": "swap"}},
            warm_params=({"type": "spot"}, {"type": "swap"}),
        ),
    ),
    ask=dict.fromkeys(Kind, Ask(param="clientOid")),
    cancel_by="order",
    whole_contracts=True,  # create_contract_order_request compares the amount with 1: no text
    transfers={"spot": "trade", "futures": "swap", "funding": "main"},
)

HTX: Final = TradingRecord(
    venue="htx",
    desks=(
        Desk(
            ccxt_id="htx",
            host="",
            limits=_own(10),
            balances={"spot": {"type": "spot"}, "futures": {"type": "swap", "subType": "linear"}},
            warm_params=({"type": "spot"}, {"type": "swap"}),
        ),
    ),
    # create_contract_order_request reads the id with safe_integer_n: text would silently be left out, and
    # what is beyond 2**53 would become another number
    id_form={Kind.PERP: "number", Kind.FUTURE: "number"},
    transfers={"spot": "spot", "futures": "swap"},
)

MEXC: Final = TradingRecord(
    venue="mexc",
    desks=(
        Desk(
            ccxt_id="mexc",
            host="",
            limits=_own(5),
            balances={"spot": {"type": "spot"}, "futures": {"type": "swap"}},
            warm_params=({"type": "spot"}, {"type": "swap"}),
        ),
    ),
    refused=dict.fromkeys(
        _CONTRACTS, "ccxt asks for MEXC contract orders by the venue's id only: a lost answer stays unknown"
    ),
    transfers={"spot": "spot", "futures": "swap"},
)

BINGX: Final = TradingRecord(
    venue="bingx",
    desks=(
        Desk(
            ccxt_id="bingx",
            host="open-api.bingx.com",
            limits=_own(5),
            balances={"spot": {"type": "spot"}, "futures": {"type": "swap"}},
        ),
    ),
    # fetch_order signs `orderId=None` beside our id
    ask=dict.fromkeys(Kind, Ask(by="lists", param="")),
    transfers={"spot": "spot", "futures": "swap"},
)

HYPERLIQUID: Final = TradingRecord(
    venue="hyperliquid",
    desks=(
        Desk(
            ccxt_id="hyperliquid",
            host="api.hyperliquid.xyz",
            limits=_own(10),
            balances={"spot": {"type": "spot"}, "futures": {"type": "swap"}},
            # set_markets_from_exchange copies both, and fails where fetch_markets did not need one
            options={"hip3TokensByName": {}, "cachedCurrenciesById": {}},
        ),
    ),
    id_form=dict.fromkeys(Kind, "hex"),
    transfers={"spot": "spot", "futures": "swap"},
)

RECORDS: Final[dict[str, TradingRecord]] = {
    record.venue: record
    for record in (BINANCE, BITGET, BYBIT, OKX, GATE, KUCOIN, HTX, MEXC, BINGX, HYPERLIQUID)
}
