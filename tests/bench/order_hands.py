"""What the floors of the order path have in common: orders signed by hand, on a TLS connection each."""

from __future__ import annotations

import hmac
import time
from decimal import Decimal
from urllib.parse import urlsplit

from libs.common.money import plain
from tests.bench.order_rig import PERP, SPOT, Chain
from tests.bench.raw_wires import RawOrders

HOSTS = {SPOT: "api.binance.com", PERP: "fapi.binance.com"}
SIDES = {SPOT: "buy", PERP: "sell"}
REFUSALS = (b'"code":-2010', b'"code":-2019')
"""How the venue refuses every order of this bench: a whole one, with a good signature."""


class Hands:
    """One connection for each leg of a forward pair; `sign` and `write` take one turn of the loop."""

    def __init__(self, made: Chain) -> None:
        assert made.trading is not None
        self._site = made.site
        self._trading = made.trading
        self._secret = made.trading.places.of(SPOT).trade.exchange.secret.encode()
        self._heads = {slug: self._head(slug) for slug in SIDES}
        self._open: dict[str, RawOrders] = {}

    async def connect(self) -> None:
        """Before the time runs: a venue closes what was idle."""
        for slug, host in HOSTS.items():
            if slug not in self._open or not self._open[slug].is_open:
                self._open[slug] = await RawOrders.connect(self._site.relay.port, self._site.ca_path, host)

    def sign(self, slug: str, client_id: str, quantity: Decimal, price: Decimal) -> bytes:
        """A limit order of this instant that is filled at once or not at all, in ccxt's words."""
        head, symbol = self._heads[slug]
        body = (
            f"timestamp={time.time_ns() // 1_000_000}&symbol={symbol}&side={SIDES[slug].upper()}&type=LIMIT"
            f"&quantity={plain(quantity)}&price={plain(price)}&timeInForce=IOC&newClientOrderId={client_id}"
            f"&recvWindow=10000"
        ).encode()
        signature = hmac.digest(self._secret, body, "sha256").hex().encode()
        length = len(body) + len(b"&signature=") + len(signature)
        return b"%bContent-Length: %d\r\n\r\n%b&signature=%b" % (head, length, body, signature)

    def write(self, orders: dict[str, bytes]) -> None:
        """All of them, now."""
        for slug, order in orders.items():
            self._open[slug].write(order)

    async def answered(self) -> None:
        """Until both are refused as agreed."""
        for client in self._open.values():
            await client.heard.wait()
            assert client.answer.startswith(b"HTTP/1.1 400"), client.answer
            assert any(code in client.answer for code in REFUSALS), client.answer

    def close(self) -> None:
        for client in self._open.values():
            client.close()

    def _head(self, slug: str) -> tuple[bytes, str]:
        """Request line and headers as ccxt writes them, and the venue's symbol."""
        exchange = self._trading.places.of(slug).trade.exchange
        api = ["private" if slug == SPOT else "fapiPrivate"]
        request = exchange.sign("order", api, "POST", {"newClientOrderId": "fatest000000"})
        fields = {
            **request["headers"],
            "Host": HOSTS[slug],
            "User-Agent": exchange.userAgent or "raw",
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        line = f"POST {urlsplit(request['url']).path} HTTP/1.1\r\n{head}"
        return line.encode(), self._trading.places.instrument(slug).venue_symbol
