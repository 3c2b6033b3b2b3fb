"""Out of signal's answer, or out of nothing: a direction is never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.messages import CommandError, CommandReply, encode
from libs.console.evaluated import evaluated_of

PAIR = "BTC-USDT_binance-spot_binance-perp"
SEEN = {"passes": False, "direction": "forward", "daily": -0.0003}


def said(service: str = "signal", **changes: Any) -> bytes:
    result = {"scope": f"pair:{PAIR}", "pairs": {PAIR: SEEN}} | changes
    return encode(CommandReply(service=service, ok=True, result=result))


def test_the_pair_is_the_one_that_signal_understood() -> None:
    found = evaluated_of(said())
    assert found is not None
    assert (found.pair, found.direction) == (PAIR, "forward")
    assert str(found) == "direction forward, as last evaluated (does not pass every gate, -0.0300 % a day)"


@pytest.mark.parametrize(
    "payload",
    [
        b"no json",
        said("executor"),
        said(scope="global"),
        said(pairs={}),
        said(pairs=None),
        said(pairs={PAIR: {"passes": True}}),
        said(pairs={PAIR: {"passes": True, "direction": "sideways"}}),
        said(pairs={PAIR: "forward"}),
        encode(CommandReply(service="signal", ok=False, error=CommandError(code="late", message="late"))),
    ],
)
def test_what_does_not_say_it_says_nothing(payload: bytes) -> None:
    assert evaluated_of(payload) is None
