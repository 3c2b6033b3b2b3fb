"""Each documented payload of a path that the venue serves is compared with its answer, or it says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from libs.exchange.engine.commands import SetMark
from services.venue import binance, bitget
from services.venue.accounts_door import ROUTES
from tests.helpers.recordings import SHARED
from tests.unit.venue import (
    test_binance_spot_shapes,
    test_binance_usdm_shapes,
    test_bitget_shapes,
    test_wire_shapes,
)
from tests.unit.venue.binance_spot_bench import USER, SpotBench
from tests.unit.venue.test_binance_spot_shapes import body_of, differences

WIRE: Final = SHARED / "wire"
pytestmark = pytest.mark.data("wire")

Place = tuple[str, str]

NOT_OFFERED: Final = "answered with a refusal: the venue does not offer it"
EMPTY: Final = "always an empty list here, compared as such in test_binance_spot_shapes"
WITH_THE_OTHERS: Final = "compared in a test of its own in test_binance_usdm_shapes"
EXEMPT: Final[dict[Place, str]] = {
    ("POST", "/sapi/v1/asset/get-funding-asset"): EMPTY,
    ("GET", "/sapi/v1/margin/isolated/allPairs"): EMPTY,
    ("GET", "/sapi/v1/margin/forceLiquidationRec"): "below",
    ("POST", "/fapi/v1/positionMargin"): NOT_OFFERED,
    ("GET", "/fapi/v1/positionMargin/history"): NOT_OFFERED,
    ("POST", "/fapi/v1/multiAssetsMargin"): NOT_OFFERED,
    ("PUT", "/fapi/v1/order"): NOT_OFFERED,
    ("PUT", "/fapi/v1/batchOrders"): NOT_OFFERED,
    ("POST", "/fapi/v1/marginType"): WITH_THE_OTHERS,
    ("POST", "/fapi/v1/positionSide/dual"): WITH_THE_OTHERS,
    ("PUT", "/fapi/v1/listenKey"): WITH_THE_OTHERS,
    ("DELETE", "/fapi/v1/listenKey"): WITH_THE_OTHERS,
    ("GET", "/fapi/v1/adlQuantile"): WITH_THE_OTHERS,
}


def place_of(path: Path) -> Place:
    """Method and path of a payload file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[0].strip(), lines[1].strip()


def compared() -> set[Place]:
    """What the tests of shapes look at."""
    spot, usdm = WIRE / "binance", WIRE / "binance/Endpoints/UsdFutures"
    unified = WIRE / "bitget/Endpoints/Unified"
    files = [
        *(test_wire_shapes.WIRE / f"{name}.txt" for name in test_wire_shapes.ENDPOINTS),
        *(spot / f"{name}.txt" for name in test_binance_spot_shapes.CASES),
        *(usdm / f"{name}.txt" for name in test_binance_usdm_shapes.ENDPOINTS),
        *(unified / f"{name}.txt" for name in test_bitget_shapes.GETS),
        *(unified / f"{name}.txt" for name in test_bitget_shapes.POSTS),
        *(unified / f"{name}.txt" for name in test_bitget_shapes.PUBLIC),
    ]
    return {place_of(path) for path in files}


@pytest.mark.parametrize("venue", ["binance", "bitget"])
def test_each_served_path_with_a_payload_is_compared(venue: str) -> None:
    protocol, public = ("binance", binance) if venue == "binance" else ("bitget", bitget)
    served = {*public.ROUTES, *ROUTES[protocol]}  # type: ignore[index]
    documented = {place_of(path) for path in (WIRE / venue / "Endpoints").rglob("*.txt")}
    applicable = documented & served
    assert len(applicable) > 35
    assert applicable - compared() - EXEMPT.keys() == set()


def test_no_exemption_is_left_over() -> None:
    assert EXEMPT.keys() & compared() == set()
    assert all(place in ROUTES["binance"] for place in EXEMPT)


def test_a_margin_liquidation_is_recorded_in_the_documented_shape() -> None:
    bench = SpotBench()
    bench.deposit("margin", "USDT", "10000")
    bench.ok(
        "POST", "/sapi/v1/margin/borrow-repay", asset="BTC", amount="0.1", type="BORROW", isIsolated="FALSE"
    )
    bench.order("SELL", "MARKET", quantity="0.1", wallet="margin")
    mark = bench.house.engine.mark("spot:BTCUSDT")
    assert mark is not None
    bench.house.tell(SetMark(instrument="spot:BTCUSDT", mark=mark * 2), bench.now)
    method, path, documented = body_of("Endpoints/Spot/Account/GetMarginForcedLiquidationHistory")
    ours = bench.ok(method, path)
    assert ours["total"] >= 1
    assert differences(documented, ours) == []
    assert bench.house.engine.balances(f"{USER}:margin")["BTC"].borrowed == 0
