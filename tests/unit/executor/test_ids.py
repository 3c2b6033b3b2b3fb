from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.exchange.trading_values import CLIENT_ID
from services.executor.ids import is_ours, mark_of, order_id

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=40)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(names=st.tuples(NAMES, NAMES, NAMES, NAMES), leg=st.integers(0, 1), n=st.integers(0, 10**12))
def test_every_venue_takes_every_id(names: tuple[str, str, str, str], leg: int, n: int) -> None:
    store, deployment, pair, purpose = names
    made = order_id(store_id=store, deployment=deployment, pair=pair, leg=leg, purpose=purpose, n=n)
    assert CLIENT_ID.match(made)
    assert is_ours(made, deployment)
    assert made == order_id(store_id=store, deployment=deployment, pair=pair, leg=leg, purpose=purpose, n=n)


def test_ids_differ_in_each_of_their_parts() -> None:
    made = {
        order_id(store_id=store, deployment=deployment, pair=pair, leg=leg, purpose=purpose, n=n)
        for store in ("s1", "s2")
        for deployment in ("d1", "d2")
        for pair in ("p1", "p2")
        for leg in (0, 1)
        for purpose in ("open", "close")
        for n in range(1, 41)
    }
    assert len(made) == 2**5 * 40


def test_a_deployment_knows_its_own() -> None:
    mine = order_id(store_id="s", deployment="mine", pair="p", leg=0, purpose="open", n=1)
    assert mine.startswith(mark_of("mine"))
    assert not is_ours(mine, "theirs")
    assert not is_ours("web_fa12", "mine")


def test_an_id_never_changes() -> None:
    # it lies in stores and on venues: a release that made others would not know its own orders
    made = order_id(store_id="0123456789abcdef", deployment="demo", pair="a--b", leg=1, purpose="hedge", n=17)
    assert made == "fa2a976y3x3a4fz4kdm381vouh"
