"""Rebuilds the sample in `data`: `python -m services.venue.make_sample FOLDER`.

The folder holds the recordings that data/NOTICE.md names (history, feed and wire inside it).
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

DATA: Final = Path(__file__).parent / "data"
MS_PER_HOUR: Final = 3_600_000

YEAR: Final = "history/funding_4venues_1y_2025_2026.parquet"
CHANGING: Final = "history/funding_binance_mit_2023_2025.parquet"
SPOT_PERP: Final = "history/spot_perp_funding_8h_btc_eth_3venues_2023_2024.parquet"
# The one Binance series of the recordings that changes its interval (4 h -> 1 h on 2025-05-06); no marks.
CHANGING_BASES: Final = ("LAYER",)

QUANTILES: Final = tuple(i / 20 for i in range(21))
DISTANCES_BPS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def intervals_of(stamps_ms: Sequence[int]) -> list[float]:
    """The interval in hours of each settlement, from the gaps around it.

    A print's interval is the gap before it when the gap after it is the same or the gap before that was;
    otherwise (a hole in the recording, or the first print after a change of schedule that starts off its
    grid) it is the gap after it. So one missing settlement does not look like a change of interval.
    """
    gaps = [round((b - a) / MS_PER_HOUR) for a, b in pairwise(stamps_ms)]
    if not gaps:
        raise ValueError("one settlement has no interval")
    hours = []
    for i in range(len(stamps_ms)):
        before = gaps[i - 1] if i > 0 else None
        after = gaps[i] if i < len(gaps) else None
        earlier = gaps[i - 2] if i > 1 else None
        if before is None:
            hours.append(float(gaps[0]))
        elif after is None or before in (after, earlier):
            hours.append(float(before))
        else:
            hours.append(float(after))
    return hours


def _rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def funding_table(folder: Path) -> pa.Table:
    """USDT perpetuals present on Binance and Bybit, plus Binance's series that changes its interval."""
    series: dict[tuple[str, str], list[tuple[int, float, float | None]]] = defaultdict(list)
    for row in _rows(folder / YEAR):
        if row["venue"] in ("binance", "bybit") and row["symbol"].endswith("USDT"):
            series[row["venue"], row["symbol"]].append((row["ts_ms"], row["rate"], row["mark_price"]))
    both = {s for v, s in series if v == "binance"} & {s for v, s in series if v == "bybit"}
    kept = {key: rows for key, rows in series.items() if key[1] in both}
    for row in _rows(folder / CHANGING):
        if row["symbol"] in CHANGING_BASES:
            kept.setdefault(("binance", f"{row['symbol']}USDT"), []).append((row["ts_ms"], row["rate"], None))
    columns: dict[str, list[Any]] = {
        name: [] for name in ("venue", "symbol", "ts_ms", "rate", "interval_hours", "mark")
    }
    for venue, symbol in sorted(kept):
        rows = sorted(kept[venue, symbol])
        hours = intervals_of([stamp for stamp, _, _ in rows])
        for (stamp, rate, mark), interval in zip(rows, hours, strict=True):
            for name, value in zip(columns, (venue, symbol, stamp, rate, interval, mark), strict=True):
                columns[name].append(value)
    return pa.table(
        {
            "venue": pa.array(columns["venue"]).dictionary_encode(),
            "symbol": pa.array(columns["symbol"]).dictionary_encode(),
            "ts_ms": pa.array(columns["ts_ms"], pa.int64()),
            "rate": pa.array(columns["rate"], pa.float64()),
            "interval_hours": pa.array(columns["interval_hours"], pa.float32()),
            "mark": pa.array(columns["mark"], pa.float64()),
        }
    )


def basis_table(folder: Path) -> pa.Table:
    """(perp - spot) / spot at each 8 h close, Binance and Bybit, BTC and ETH, 2023-01 to 2024-07."""
    closes: dict[tuple[str, str, int], dict[str, float]] = defaultdict(dict)
    base_of = {"bitcoin": "BTC", "ethereum": "ETH"}
    for row in _rows(folder / SPOT_PERP):
        if row["venue"] not in ("binance", "bybit"):
            continue
        base = base_of[row["crypto"]]
        if row["pair"] == f"{base}/USDT":
            closes[row["venue"], base, row["ts_ms"]]["spot"] = row["close"]
        elif row["pair"] == f"{base}USDT":
            closes[row["venue"], base, row["ts_ms"]]["perp"] = row["close"]
    keys = sorted(key for key, pair in closes.items() if len(pair) == 2)
    return pa.table(
        {
            "venue": pa.array([v for v, _, _ in keys]).dictionary_encode(),
            "base": pa.array([b for _, b, _ in keys]).dictionary_encode(),
            "ts_ms": pa.array([t for _, _, t in keys], pa.int64()),
            "basis": pa.array([closes[k]["perp"] / closes[k]["spot"] - 1.0 for k in keys], pa.float32()),
        }
    )


def _quantiles(values: Iterable[float]) -> list[float]:
    ordered = sorted(values)
    return [float(f"{ordered[min(int(q * len(ordered)), len(ordered) - 1)]:.5g}") for q in QUANTILES]


def _book_profile(snapshot: dict[str, Any]) -> list[float]:
    """Mean of both sides' cumulative USD within each of DISTANCES_BPS of the mid."""
    bids = [(float(p), float(q)) for p, q in snapshot["bids"]]
    asks = [(float(p), float(q)) for p, q in snapshot["asks"]]
    mid = (bids[0][0] + asks[0][0]) / 2
    profile: list[float] = []
    for distance in DISTANCES_BPS:
        low, high = mid * (1 - distance / 1e4), mid * (1 + distance / 1e4)
        usd = sum(p * q for p, q in bids if p >= low) + sum(p * q for p, q in asks if p <= high)
        profile.append(float(round(usd / 2)))
    return profile


def book_statistics(folder: Path) -> dict[str, Any]:
    """Spread and size of the best level (21 quantiles each) and depth by distance, from 345 s of frames."""
    found: dict[str, Any] = {"quantiles": QUANTILES, "distances_bps": DISTANCES_BPS, "books": {}}
    for kind, market in (("spot", "spot"), ("perp", "usdm")):
        for base in ("BTC", "ETH"):
            spreads: list[float] = []
            sizes: list[float] = []
            profile: list[float] = []
            name = f"feed/binance_{market}_{base.lower()}usdt_20240808.gz"
            with gzip.open(folder / name, "rt", encoding="utf-8") as lines:
                for line in lines:
                    body = json.loads(line.split(" ", 1)[1])
                    if "stream" not in body:
                        profile = _book_profile(body)
                    elif body["stream"].endswith("@bookTicker"):
                        quote = body["data"]
                        bid, ask = float(quote["b"]), float(quote["a"])
                        spreads.append((ask - bid) / (ask + bid) * 2e4)
                        sizes.extend((bid * float(quote["B"]), ask * float(quote["A"])))
            found["books"][f"{base}-{kind}"] = {
                "spread_bps": _quantiles(spreads),
                "best_usd": _quantiles(sizes),
                "depth_usd": profile,
                "frames": len(spreads),
            }
    return found


def recorded_filters(folder: Path) -> dict[str, Any]:
    """Tick, step, minimum quantity and notional of 2021 by kind and symbol."""
    found: dict[str, dict[str, dict[str, str]]] = {"spot": {}, "perp": {}}
    for kind, market in (("spot", "spot"), ("perp", "usdm")):
        body = json.loads((folder / f"wire/exchange_info_binance_{market}.json").read_text(encoding="utf-8"))
        for symbol in body["symbols"]:
            by_type = {entry["filterType"]: entry for entry in symbol["filters"]}
            notional = by_type["MIN_NOTIONAL"]
            found[kind][symbol["symbol"]] = {
                "tick": by_type["PRICE_FILTER"]["tickSize"],
                "step": by_type["LOT_SIZE"]["stepSize"],
                "min_qty": by_type["LOT_SIZE"]["minQty"],
                "max_qty": by_type["LOT_SIZE"]["maxQty"],
                "min_notional": notional.get("minNotional") or notional["notional"],
            }
    return found


def build(folder: Path, out: Path = DATA) -> list[Path]:
    """Write the sample's files and answer their paths."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in (("funding", funding_table(folder)), ("basis", basis_table(folder))):
        path = out / f"{name}.parquet"
        pq.write_table(table, path, compression="zstd", compression_level=19)
        written.append(path)
    for name, content in (("books", book_statistics(folder)), ("filters", recorded_filters(folder))):
        path = out / f"{name}.json"
        path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        written.append(path)
    return written


def main(arguments: Sequence[str]) -> int:
    """Command line: one argument, the folder with the recordings."""
    if len(arguments) != 1 or not (Path(arguments[0]) / YEAR).exists():
        print("usage: python -m services.venue.make_sample FOLDER   (with history/, feed/ and wire/ in it)")
        return 2
    for path in build(Path(arguments[0])):
        print(f"{path.stat().st_size:>9} {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
