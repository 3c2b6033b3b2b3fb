"""Exchange ids that a config may name.

A list of its own: reading a config must not import the exchange library.
"""

from __future__ import annotations

from typing import Final

FIRST_CLASS: Final = (
    "binance",
    "bitget",
    "bybit",
    "okx",
    "gate",
    "kucoin",
    "htx",
    "mexc",
    "bingx",
    "hyperliquid",
)
"""Venues whose peculiarities we know and test; `binanceusdm` is the same account as `binance`."""

SAME_AS: Final = {"binanceusdm": "binance"}

FORMER_NAMES: Final = {
    "gateio": "gate",
    "gate.io": "gate",
    "huobi": "htx",
    "okex": "okx",
    "okex5": "okx",
    "binancefutures": "binance",
    "mexc3": "mexc",
}
"""Names that people still use, and today's id."""

COIN_MARGINED: Final = frozenset({"binancecoinm"})

# Ids of ccxt 4.5.90; a test compares the list with the installed library.
KNOWN: Final = frozenset(
    """
    alpaca apex aster backpack bequant bigone binance binancecoinm binanceus binanceusdm bingx bit2c bitbank
    bitbns bitfinex bitflyer bitget bithumb bitopro bitrue bitso bitstamp bitteam bittrade bitvavo
    blockchaincom blofin btcbox btcmarkets btcturk btse bullish bybit bybiteu bybitid bydfi cex coinbase
    coinbaseexchange coinbaseinternational coincheck coinmate coinone coinsph coinspot cryptocom cryptomus
    deepcoin delta deribit derive digifinex dydx extended fmfwio foxbit gate gateeu gemini grvt hashkey
    hibachi hitbtc hollaex htx hyperliquid independentreserve indodax kraken krakenfutures kucoin
    kucoinfutures latoken lbank lighter luno mercado mexc modetrade mudrex myokx nado ndax okx okxus
    onetrading p2b pacifica paradex paymium phemex poloniex polymarket revolutx tokocrypto toobit upbit weex
    whitebit woo woofipro xt zaif zebpay
    """.split()  # noqa: SIM905 - a hundred quoted words are no easier to read
)

WALLETS: Final[dict[str, tuple[str, ...]]] = {
    "binance": ("spot", "margin", "futures"),
    "bitget": ("unified", "funding"),
    "bybit": ("unified",),
    "okx": ("unified", "funding"),
    "gate": ("spot", "futures"),
    "kucoin": ("spot", "futures"),
    "htx": ("spot", "futures"),
    "mexc": ("spot", "futures"),
    "bingx": ("spot", "futures"),
    "hyperliquid": ("spot", "futures"),
}
"""Wallets of a paper account by exchange; a test compares them with what the accounts have."""

ONE_WALLET: Final = ("unified",)
"""Of every other exchange."""

NEEDS_PASSWORD: Final = frozenset({"bitget", "okx", "kucoin", "kucoinfutures"})
"""Venues whose keys come with a passphrase (`password`)."""
