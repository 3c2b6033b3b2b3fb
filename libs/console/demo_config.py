"""The demo's config: two venues, their spot and perpetual legs, and every pair between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

DEPLOYMENT: Final = "demo"
# Recorded on both venues' series; INJ and WIF change their intervals (8 h, 4 h, 1 h) in the recordings.
BASES: Final = (
    "BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "LINK", "AVAX", "LTC", "SUI", "NEAR", "APT", "INJ", "WIF",
)  # fmt: skip
SYMBOLS: Final = tuple(f"{base}/USDT" for base in BASES)
PAIRINGS: Final = (
    ("binance_spot", "binance_perp"),
    ("bitget_spot", "bitget_perp"),
    ("binance_perp", "bitget_perp"),
)


def demo_config(folder: Path) -> str:
    """JSON of a config at the blueprint's thresholds and fees, with everything written below `folder`."""
    config: dict[str, Any] = {
        "deployment": DEPLOYMENT,
        "symbols": list(SYMBOLS),
        "exchanges": {
            f"{venue}_{leg}": {"id": venue, "type": kind}
            for venue in ("binance", "bitget")
            for leg, kind in (("spot", "spot"), ("perp", "swap"))
        },
        "pairs": [{"symbol": symbol, "legs": list(legs)} for symbol in SYMBOLS for legs in PAIRINGS],
        "position": {"notional_usd": 1_000, "hold_days": 30},
        "thresholds": {"daily_funding_min": 0.0002, "flip_policy": "tolerance"},
        "costs": {"taker": 0.0005, "maker": 0.0002, "slippage_bps": 5, "borrow_daily": 0.0001},
        "monitor": {"interval_sec": 3, "snapshot_every_min": 1, "book_interval_sec": 60},
        "limits": {"max_notional_usd": 20_000, "max_pairs": 5},
        "paths": {"logs": str(folder / "logs"), "archive": str(folder / "archive")},
    }
    return json.dumps(config, indent=2)
