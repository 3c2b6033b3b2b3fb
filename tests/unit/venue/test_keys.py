"""Users, keys, deposits, listen keys, arrivals: who may use the venue and what it remembers of them."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from services.venue import customers, keys
from services.venue.arrivals import KEPT, Arrivals, is_placement, parameters_of
from services.venue.desk import Instant
from services.venue.listen_keys import VALID_MS, ListenKeys
from services.venue.wire import Call
from tests.helpers.venue_calls import Bench

NOW = Instant(1_800_000_000_000, 1_760_040_000_000, 1, 1_760_040_000_000)


def call(method: str = "POST", path: str = "/fapi/v1/order", *, arrived_ns: int = 1, body: str = "") -> Call:
    return Call(
        host="fapi.binance.com",
        method=method,
        path=path,
        query={},
        headers={},
        body=body.encode(),
        now=NOW,
        arrived_ns=arrived_ns,
    )


def test_keys_have_the_venues_form_and_are_the_same_for_the_same_seed() -> None:
    binance, again, other = (keys.make("binance", "u1", seed=seed) for seed in (3, 3, 4))
    assert binance == again
    assert binance.api_key != other.api_key
    assert (len(binance.api_key), len(binance.secret), binance.passphrase) == (64, 64, "")
    bitget = keys.make("bitget", "u1", seed=3)
    assert bitget.api_key.startswith("bg_")
    assert bitget.passphrase
    numbers = {keys.make("binance", "u1", seed=3, number=number).api_key for number in range(5)}
    assert len(numbers) == 5


def test_a_key_shows_no_secret_when_it_is_printed() -> None:
    key = keys.make("bitget", "u1", seed=3)
    assert key.secret not in f"{key} {key!r} {[key]}"
    assert key.passphrase not in f"{key} {key!r} {[key]}"


def test_users_move_in_with_their_money_and_keys() -> None:
    bench = Bench()
    found = customers.move_in(
        bench.houses,
        3,
        customers.deposits_of("binance.spot.BTC=1.5,bitget.funding.USDT=7"),
        1_800_000_000_000,
    )
    assert list(found) == ["u1", "u2", "u3"]
    engine = bench.houses["binance"].engine
    assert engine.balances("u3:spot")["BTC"].total == Decimal("1.5")
    assert engine.balances("u3:usdm") == {}
    assert bench.houses["bitget"].engine.balances("u2:funding")["USDT"].total == 7
    key = found["u2"]["bitget"]
    assert bench.houses["bitget"].key(key.api_key) == key
    assert bench.houses["binance"].key(key.api_key) is None
    assert bench.houses["binance"].users["u1"].uid != bench.houses["binance"].users["u2"].uid


def test_a_key_for_nobody_and_a_wallet_that_is_none_are_refused() -> None:
    house = Bench().houses["binance"]
    with pytest.raises(KeyError):
        house.add_key(keys.make("binance", "nobody", seed=1))
    with pytest.raises(KeyError):
        house.account("u1", "unified")
    with pytest.raises(KeyError):
        house.account("nobody", "spot")


@pytest.mark.parametrize(
    "text",
    [
        "binance.spot.USDT",
        "binance.spot.USDT=x",
        "binance.spot.USDT=-1",
        "binance.spot.USDT=NaN",
        "spot.USDT=1",
        "binance.unified.USDT=1",
        "kraken.spot.USDT=1",
    ],
)
def test_a_deposit_that_makes_no_sense_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=text.partition("=")[0]):
        customers.deposits_of(text)


def test_a_listen_key_lives_an_hour_after_the_last_sign() -> None:
    known = ListenKeys(seed=1)
    key = known.open("u1", "usdm", 0)
    assert known.open("u1", "usdm", 1_000).text == key.text, "one at a time"
    assert known.open("u2", "usdm", 0).text != key.text
    assert known.open("u1", "margin", 0).text != key.text
    assert known.find(key.text, VALID_MS + 999) is not None
    assert known.prolong(key.text, VALID_MS) is not None
    assert known.find(key.text, 2 * VALID_MS - 1) is not None
    assert known.find(key.text, 2 * VALID_MS) is None
    assert known.prolong(key.text, 2 * VALID_MS) is None
    later = known.open("u1", "usdm", 2 * VALID_MS)
    assert later.text != key.text
    assert known.close(later.text)
    assert not known.close(later.text)


def test_arrivals_count_every_client_id_that_was_sent() -> None:
    arrivals = Arrivals()
    sent = call(body="symbol=BTCUSDT&newClientOrderId=a")
    for number, status in enumerate((200, 0, 400), start=1):
        again = msgspec.structs.replace(sent, arrived_ns=number)
        arrivals.note("binance", again, parameters_of(again), status)
    arrivals.note("binance", call("GET", arrived_ns=9), {"newClientOrderId": "a"}, 200)
    assert arrivals.sent == {("binance", "a"): 3}
    assert [one.status for one in arrivals.since(1)] == [0, 400, 200]
    assert [one.client_id for one in arrivals.since()] == ["a", "a", "a", ""]


def test_arrivals_forget_the_oldest() -> None:
    arrivals = Arrivals()
    one = call("GET")
    for number in range(KEPT + 5):
        arrivals.note("binance", msgspec.structs.replace(one, arrived_ns=number), {}, 200)
    kept = list(arrivals.since())
    assert (len(kept), kept[0].arrived_ns) == (KEPT, 5)


def test_parameters_come_from_query_form_and_json() -> None:
    assert parameters_of(call(body='{"clientOid":"x","qty":1}')) == {"clientOid": "x", "qty": "1"}
    assert parameters_of(call(body="a=1&b=2")) == {"a": "1", "b": "2"}
    assert parameters_of(call(body="{broken")) == {}
    assert is_placement(call())
    assert not is_placement(call("GET"))
