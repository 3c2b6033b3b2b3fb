"""The commented config that `fundarb init` writes; with all defaults it is `config/example.json`."""

from __future__ import annotations

import json
from typing import Final

import msgspec

from libs.common.config.values import plain

SYMBOLS: Final = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "DOGE/USDT", "LINK/USDT")
PERP_ONLY: Final = frozenset({"hyperliquid"})
"""Venues on which only the perpetual is of use: their spot markets list other names for the same coins."""


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What the wizard asks for; USD per leg, fees as fractions, slippage in bps."""

    venues: tuple[str, ...] = ("binance", "bitget")
    symbols: tuple[str, ...] = SYMBOLS
    notional_usd: float = 1_000.0
    taker: float = 0.0005
    maker: float = 0.0002
    slippage_bps: float = 5.0


def exchange_names(venue: str, *, first: bool) -> dict[str, str]:
    """Name in the config -> type; the first venue has the plain names `spot` and `perp`."""
    prefix = "" if first else f"{venue}_"
    kinds = {"perp": "swap"} if venue in PERP_ONLY else {"spot": "spot", "perp": "swap"}
    return {f"{prefix}{leg}": kind for leg, kind in kinds.items()}


def pairings(venues: tuple[str, ...]) -> list[tuple[str, str]]:
    """Spot against perp on each venue, and the perps of each two venues."""
    names = [exchange_names(venue, first=index == 0) for index, venue in enumerate(venues)]
    found = [(spot, perp) for spot, perp in (tuple(exchanges) for exchanges in names if len(exchanges) > 1)]
    perps = [tuple(exchanges)[-1] for exchanges in names]
    found += [(one, other) for index, one in enumerate(perps) for other in perps[index + 1 :]]
    return found


def render(answers: Answers) -> str:
    """JSON with comments that `load_config` accepts."""
    exchanges = ",\n".join(
        f'    {json.dumps(name)}: {{"id": {json.dumps(venue)}, "type": {json.dumps(kind)}}}'
        for index, venue in enumerate(answers.venues)
        for name, kind in exchange_names(venue, first=index == 0).items()
    )
    pairs = ",\n".join(
        f'    {{"symbol": "*", "legs": [{json.dumps(first)}, {json.dumps(second)}]}}'
        for first, second in pairings(answers.venues)
    )
    return _TEMPLATE.format(
        symbols=", ".join(json.dumps(symbol) for symbol in answers.symbols),
        exchanges=exchanges,
        pairs=pairs,
        notional=plain(answers.notional_usd),
        most=plain(answers.notional_usd * 10),
        taker=plain(answers.taker),
        maker=plain(answers.maker),
        slippage=plain(answers.slippage_bps),
    )


_TEMPLATE: Final = """\
// What fundarb watches and by which rules. JSON with comments; `fundarb check` explains what it makes of it,
// `fundarb config schema` lists every setting. Fractions are of notional (0.0002 is 2 bps is 0.02 %).
{{
  "mode": "observer", // observer sends no orders and needs no keys; paper: made-up money, no keys

  "symbols": [{symbols}],

  // Names of your choice -> venue (ccxt id) and type: spot, or swap (the USD-margined perpetual).
  // Keys, when you trade later, come from files: "api_key_file", "secret_file", "password_file".
  "exchanges": {{
{exchanges}
  }},

  // Which legs make a pair; "*" is every symbol above. Which leg is long follows from the rates.
  "pairs": [
{pairs}
  ],

  "position": {{
    "notional_usd": {notional}, // USD per leg
    "futures_margin_leverage": 3, // margin of the perpetual only; the pair as a whole stays at 1x
    "hold_days": 30, // days over which the cost of going in and out is spread
    "rebalance_threshold": 0.002 // fraction by which the legs may differ
  }},

  "thresholds": {{
    "daily_funding_min": 0.0002, // fraction a day: below it nothing is opened
    "consecutive_periods": 3, // settlements in a row that must have paid in this direction
    "max_breakeven_days": 21, // days until the costs are earned back
    "max_entry_basis_bps": 20, // bps between the two legs' prices at entry
    "forecast": "expected", // expected: high rates fade, as measured; flat: today's rate stays
    "flip_policy": "cost_aware", // cost_aware: leave when a flip has cost a round trip; tolerance: in time
    "flip_tolerance_hours": 2 // hours for which a flip is borne in any case
  }},

  "costs": {{
    "taker": {taker}, // fraction per fill: your fee tier, see your venue
    "maker": {maker}, // fraction per fill; negative is a rebate
    "slippage_bps": {slippage}, // bps per leg and fill
    "borrow_daily": 0.0001, // fraction a day, charged only where spot is borrowed (perp long, spot short)
    "transfer_usd": 0 // USD per position that moves funds between venues
  }},

  "monitor": {{
    "interval_sec": 30, // seconds between evaluations, and between polls where no stream exists
    "snapshot_every_min": 5 // minutes between snapshots
  }},

  "limits": {{
    "max_notional_usd": {most}, // USD a leg that all pairs together may hold
    "max_pairs": 10
  }}

  // What accounts of mode paper begin with; without it 50000 of its legs' quote coin in every wallet:
  // , "paper": {{"balances": {{"binance": {{"spot": {{"USDT": 9000}}, "futures": {{"USDT": 9000}}}}}}}}

  // Who is told of alerts (docs/notifications.md); urls and secrets come from files that you alone can read:
  // , "notify": {{"channels": {{
  //     "team": {{"type": "feishu",
  //              "url_file": "secrets/feishu-url", "secret_file": "secrets/feishu-secret"}},
  //     "mail": {{"url_file": "secrets/mail-url"}}}}, "escalation": ["team", "mail"], "timezone": "UTC"}}
}}
"""
