"""What ccxt makes of the port's orders, queries and cancels on each venue: the requests, as they would be
sent.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import ccxt
import pytest

from libs.common.clock import SystemClock
from libs.common.subjects import Kind
from libs.exchange.client import make_exchange
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.live.record import RECORDS
from libs.exchange.live.wire import Call, Held, SecondWrite
from libs.exchange.quirks import quirks_of
from libs.exchange.record import ClientSpec
from libs.exchange.trading import NeverSent, QueryFailed, Side, Unknown
from tests.helpers.trading import an_order
from tests.integration.loopback import perp, spot

SIZE: Final = 10.0
TYPES: Final = {"orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"]}
KEYS: Final = {
    "apiKey": "k" * 20,
    "secret": "c2VjcmV0" * 4,
    "password": "p",
    "walletAddress": "0x" + "11" * 20,
    "privateKey": "0x" + "22" * 32,
}
HTX_ACCOUNTS: Final = {"status": "ok", "data": [{"id": 5, "type": "spot", "subtype": "", "state": "working"}]}


class Captured(Held):
    """Takes requests instead of sending them: what carries the marker fails, the rest is answered emptily."""

    marker = ""
    seen: list[tuple[str, str, str]]

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        self.seen.append((method, url, str(body or "")))
        if type(self).marker in url + str(body):
            raise ccxt.RequestTimeout("taken")
        return HTX_ACCOUNTS if url.split("?", maxsplit=1)[0].endswith("account/accounts") else {}


def opened(venue: str, answers: type[Captured] = Captured) -> tuple[CcxtTrading, list[tuple[str, str, str]]]:
    record, quirks = RECORDS[venue], quirks_of(venue)
    seen: list[tuple[str, str, str]] = []
    options = {desk.ccxt_id: desk.settings() for desk in record.desks}

    def open_exchange(spec: ClientSpec, _: bool) -> Any:  # noqa: FBT001 - one of two kinds
        exchange = make_exchange(
            spec,
            session=None,  # nothing is sent
            timeout_sec=1.0,
            options=options[spec.ccxt_id],
            keys=KEYS,
            answers=answers,
        )
        exchange.seen, exchange.number, exchange.enableRateLimit = seen, str, False
        listed = (perp("DOGE", "DOGEUSDT", size=SIZE), spot("DOGE", "DOGEUSDT"))
        kept = [one for one in listed if (Kind.PERP if one["swap"] else Kind.SPOT) in spec.kinds]
        exchange.set_markets([exchange.safe_market_structure({**one, "info": TYPES}) for one in kept])
        return exchange

    async def close() -> None:
        """Nothing is open."""

    trading = CcxtTrading(
        venue, quirks, record, clock=SystemClock(), open_exchange=open_exchange, close_shared=close
    )
    trading.places.adopt()
    return trading, seen


TRADED = [
    (venue, slug, kind)
    for venue, record in RECORDS.items()
    for slug, kind in (("DOGE-USDT", Kind.SPOT), ("DOGE-USDT-PERP", Kind.PERP))
    if kind not in record.refused
]


@pytest.mark.parametrize(
    ("venue", "slug", "kind"), TRADED, ids=[f"{venue}-{kind}" for venue, _, kind in TRADED]
)
async def test_every_request_carries_our_id_and_the_venue_s_amount(
    venue: str, slug: str, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    trading, seen = opened(venue)
    if venue == "hyperliquid":
        for place in trading.places.all:  # asset index, which fetch_markets would have set
            for market in place.trade.exchange.markets.values():
                market["baseId"] = 5
    order = an_order(slug, Side.SELL, Decimal("0.5"), quantity="100", reduce_only=kind is Kind.PERP)
    marker = trading.ids.to_venue(kind, order.client_id)
    monkeypatch.setattr(Captured, "marker", marker)

    assert isinstance(await trading.submit(order), NeverSent | Unknown)
    [(method, url, body)] = [row for row in seen if marker in row[1] + row[2]]
    assert method == "POST"
    sent = url + body
    amount = "10" if kind is Kind.PERP else "100"
    assert any(text in sent for text in (f'"{amount}"', f"={amount}&", f":{amount},", f"-{amount},")), sent
    if kind is Kind.PERP:
        assert "reduce" in sent.lower() or '"r":true' in sent.replace(" ", "")
    assert "ioc" in sent.lower() or "immediate" in sent.lower()

    seen.clear()
    queried = await trading.query(slug, order.client_id)
    if trading.record.ask_of(kind).param:
        assert isinstance(queried, QueryFailed)
        assert [row for row in seen if marker in row[1] + row[2]]
    assert not [row for row in seen if "None" in row[1] + row[2]], "an empty id is not sent as text"
    seen.clear()
    await trading.cancel(slug, order.client_id)
    assert [row for row in seen if marker in row[1] + row[2]], "a cancel begins with our id"


async def test_what_cannot_be_asked_for_again_is_not_sent() -> None:
    trading, seen = opened("mexc")
    order = an_order("DOGE-USDT-PERP", Side.SELL, Decimal("0.5"), quantity="100")
    outcome = await trading.submit(order)
    assert isinstance(outcome, NeverSent)
    assert "by the venue's id only" in outcome.why
    assert isinstance(await trading.query("DOGE-USDT-PERP", order.client_id), QueryFailed)
    assert seen == []


async def test_borrowed_coins_go_to_the_margin_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    trading, seen = opened("binance")
    order = an_order("DOGE-USDT", Side.SELL, Decimal("0.5"), quantity="100", margin=True)
    monkeypatch.setattr(Captured, "marker", order.client_id)
    await trading.submit(order)
    await trading.query("DOGE-USDT", order.client_id, margin=True)
    await trading.cancel("DOGE-USDT", order.client_id, margin=True)
    assert [(method, "sapi/v1/margin/order" in url) for method, url, _ in seen] == [
        ("POST", True),
        ("GET", True),
        ("DELETE", True),
    ]


async def test_hedge_mode_lets_ccxt_find_the_side(monkeypatch: pytest.MonkeyPatch) -> None:
    trading, seen = opened("bitget")
    trading._hedged = True
    order = an_order("DOGE-USDT-PERP", Side.BUY, Decimal("0.5"), quantity="100", reduce_only=True)
    monkeypatch.setattr(Captured, "marker", order.client_id)
    await trading.submit(order)
    assert json.loads(seen[0][2])["posSide"] == "short"


async def test_an_order_is_written_once() -> None:
    call = Call("fa01")
    call.arm()
    call.release()
    await call.at_connection()
    with pytest.raises(SecondWrite):
        await call.at_connection()
    with pytest.raises(RuntimeError, match="let go"):
        call.abandon("too late")


class Socket:
    """A ccxt socket as far as frames are concerned."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.subscriptions: dict[str, Any] = {}
        self.futures: dict[str, Any] = {}
        self.url = "wss://fstream.binance.com/ws"

    def on_error(self, error: BaseException) -> None:
        self.errors.append(error)

    def resolve(self, *_: Any) -> None:
        """Nobody waits."""


def free_of_charge(trade: int) -> dict[str, Any]:
    """A trade without commission, as Binance pushes it: neither its asset nor its amount."""
    order = {
        "s": "DOGEUSDT",
        "c": "fa1",
        "S": "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": "9",
        "p": "1",
        "ap": "1",
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "i": 5,
        "l": "1",
        "z": str(trade),
        "L": "1",
        "T": 1,
        "t": trade,
        "m": False,
        "O": 1,
        "ps": "BOTH",
        "R": False,
    }
    return {"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": order}


async def test_a_frame_that_cannot_be_read_breaks_its_socket_at_once() -> None:
    """Of an order's later trades without commission ccxt asks for the precision of no currency."""
    trading, _ = opened("binance")
    exchange, socket = trading.places.serving(Kind.PERP).poll.exchange, Socket()
    for trade in (1, 2, 3):
        exchange.handle_message(socket, free_of_charge(trade))
    assert len(socket.errors) == 1
    assert [one["id"] for one in exchange.myTrades] == ["1", "2"]
