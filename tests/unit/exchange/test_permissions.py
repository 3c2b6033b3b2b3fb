"""What venues tell about a key, and the verdict over it: a key that might withdraw is never used."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.config.schema import Config, Mode, Security
from libs.common.instant import MS_PER_DAY
from libs.exchange.live import permissions
from libs.exchange.permissions import PLACES, KeyRules
from libs.exchange.trading_values import KeyPermissions

NOW_MS = 1_750_000_000_000
LIVE = KeyRules(live=True)
GOOD = KeyPermissions(readable=True, may_trade=True, may_withdraw=False, may_transfer=True, ip_bound=True)

BINANCE = {
    "ipRestrict": True,
    "createTime": 1698645219000,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": True,
    "enableFutures": True,
    "enableSpotAndMarginTrading": True,
}
BITGET = {"permType": "read-and-write", "permissions": ["uta_mgt", "uta_trade"], "ips": "1.2.3.4"}
BYBIT: dict[str, Any] = {
    "readOnly": 0,
    "permissions": {
        "ContractTrade": ["Order", "Position"],
        "Spot": ["SpotTrade"],
        "Wallet": ["AccountTransfer"],
    },
    "ips": ["1.2.3.4"],
    "uta": 1,
    "expiredAt": "1970-01-01T00:00:00Z",
}
OKX = {"perm": "read_only,trade", "ip": "1.2.3.4", "acctLv": "2"}


def of_bybit(**fields: Any) -> KeyPermissions:
    return permissions.bybit({"retCode": 0, "result": {**BYBIT, **fields}})


def of_okx(**fields: Any) -> KeyPermissions:
    return permissions.okx({"code": "0", "data": [{**OKX, **fields}]})


# --- what venues tell -------------------------------------------------------------------------------------


def test_a_sound_key_reads_the_same_everywhere() -> None:
    for may in (permissions.binance(BINANCE), permissions.bitget(BITGET), of_bybit(), of_okx()):
        assert (may.readable, may.may_trade, may.may_withdraw, may.ip_bound) == (True, True, False, True)
        assert may.expires_ms is None


@pytest.mark.parametrize(
    "may",
    [
        permissions.binance({**BINANCE, "enableWithdrawals": True}),
        permissions.binance({**BINANCE, "enableWithdrawals": "true"}),
        permissions.bitget({**BITGET, "permissions": ["uta_trade", "withdraw"]}),
        of_bybit(permissions={**BYBIT["permissions"], "Wallet": ["AccountTransfer", "Withdraw"]}),
        of_okx(perm="read_only,withdraw,trade"),
    ],
)
def test_a_key_that_may_withdraw_is_seen(may: KeyPermissions) -> None:
    assert may.may_withdraw is True


def test_a_venue_without_a_word_on_withdrawals_does_not_deny_them() -> None:
    rights = {name: held for name, held in BYBIT["permissions"].items() if name != "Wallet"}
    may = of_bybit(permissions=rights)
    assert (may.may_trade, may.may_withdraw) == (True, None)
    assert "may be able to withdraw" in LIVE.refusal("bybit", may, now_ms=NOW_MS)


@pytest.mark.parametrize(
    "may",
    [
        permissions.binance({**BINANCE, "ipRestrict": False}),
        permissions.bitget({**BITGET, "ips": ""}),
        of_bybit(ips=["*"]),
        of_bybit(ips=[]),
        of_bybit(ips=["0.0.0.0/0"]),
        of_okx(ip=""),
        of_okx(ip="1.2.3.4,0.0.0.0/0"),
        permissions.bitget({**BITGET, "ips": "0.0.0.0/0"}),
    ],
)
def test_a_key_that_works_from_anywhere_is_seen(may: KeyPermissions) -> None:
    assert not may.ip_bound


@pytest.mark.parametrize(
    "may",
    [
        permissions.binance({**BINANCE, "enableFutures": False}),
        permissions.binance({**BINANCE, "enableSpotAndMarginTrading": False}),
        permissions.bitget({**BITGET, "permType": "read-only"}),
        of_bybit(readOnly=1),
        of_bybit(permissions={"Spot": ["SpotTrade"]}),
        of_okx(perm="read_only"),
    ],
)
def test_a_key_that_may_not_trade_is_seen(may: KeyPermissions) -> None:
    assert may.may_trade is False


def test_the_end_of_a_key_is_read_where_it_is_told() -> None:
    at = permissions.binance({**BINANCE, "tradingAuthorityExpirationTime": 1628985600000})
    assert at.expires_ms == 1628985600000
    assert of_bybit(expiredAt="2025-06-15T10:00:00Z").expires_ms == 1749981600000


@pytest.mark.parametrize(
    "read", [permissions.binance, permissions.bitget, permissions.bybit, permissions.okx]
)
@settings(max_examples=150, derandomize=True, deadline=None)
@given(answer=st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["result", "data", "permissions", "perm", "Wallet", "ips", "x"]), inner, max_size=4),
    max_leaves=12))  # fmt: skip
def test_nonsense_never_reads_as_a_sound_key(read: Any, answer: Any) -> None:
    may = read(answer if isinstance(answer, dict) else {})
    assert LIVE.refusal("binance", may, now_ms=NOW_MS)


def test_a_right_that_is_not_told_is_not_taken_to_be_missing() -> None:
    row = {key: value for key, value in BINANCE.items() if key != "enableWithdrawals"}
    assert permissions.binance(row) == permissions.UNKNOWN


# --- the verdict ------------------------------------------------------------------------------------------


def changed(**fields: Any) -> KeyPermissions:
    values = {name: getattr(GOOD, name) for name in GOOD.__struct_fields__}
    return KeyPermissions(**{**values, **fields})


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("may", "says"),
    [
        (changed(may_withdraw=True), "the API key may withdraw: switch off"),
        (changed(may_withdraw=None), "cannot be read"),
        (permissions.UNKNOWN, "cannot be read"),
        (changed(may_trade=False), "may not trade: switch on"),
        (changed(expires_ms=NOW_MS - 1), "has expired"),
    ],
)
def test_what_keeps_a_key_from_being_used(may: KeyPermissions, says: str, live: bool) -> None:  # noqa: FBT001
    for venue in (*PLACES, "gate", "binance-sub1"):
        text = KeyRules(live=live, allow_no_ip=True).refusal(venue, may, now_ms=NOW_MS)
        assert text.startswith(f"{venue}: ")
        assert says in text


def test_the_remedy_says_where_to_click() -> None:
    text = LIVE.refusal("binance-sub1", changed(may_withdraw=True), now_ms=NOW_MS)
    assert "Enable Withdrawals" in text
    assert "API Management" in text
    assert "its IP allow-list" in LIVE.refusal("gate", changed(ip_bound=False), now_ms=NOW_MS)


def test_an_allow_list_is_asked_for_in_live_and_may_be_waived_alone() -> None:
    free = changed(ip_bound=False)
    assert "Restrict access to trusted IPs only" in LIVE.refusal("binance", free, now_ms=NOW_MS)
    assert "security.allow_no_ip_whitelist" in LIVE.refusal("binance", free, now_ms=NOW_MS)
    assert LIVE.refusal("binance", changed(ip_bound=None), now_ms=NOW_MS), "not told is not bound"
    assert not KeyRules().refusal("binance", free, now_ms=NOW_MS)
    waived = KeyRules(live=True, allow_no_ip=True)
    assert not waived.refusal("binance", free, now_ms=NOW_MS)
    (warning,) = waived.findings("binance", free, now_ms=NOW_MS)
    assert (warning.state, warning.code) == ("warning", "no_ip")
    assert waived.refusal("binance", changed(ip_bound=False, may_withdraw=True), now_ms=NOW_MS)


def test_a_key_that_ends_soon_is_told() -> None:
    (soon,) = LIVE.findings("bybit", changed(expires_ms=NOW_MS + 10 * MS_PER_DAY), now_ms=NOW_MS)
    assert (soon.state, soon.text) == ("warning", "the API key expires in 10 days")
    (later,) = LIVE.findings("bybit", changed(expires_ms=NOW_MS + 60 * MS_PER_DAY), now_ms=NOW_MS)
    assert later.state == "ok"


def test_how_strict_it_is_follows_from_the_config() -> None:
    security = Security(allow_no_ip_whitelist=True)
    assert KeyRules.of(Config(mode=Mode.LIVE, security=security)) == KeyRules(live=True, allow_no_ip=True)
    assert KeyRules.of(Config(mode=Mode.DEMO)) == KeyRules()
