"""What answers prove: every code of the tables, and unknown for the rest."""

from __future__ import annotations

from typing import Any

import pytest

from libs.exchange.trading_outcomes import (
    LOAN_REFUSALS,
    REJECTS,
    UNPROVEN,
    Failure,
    code_of,
    is_loan_refused,
    judge_order,
    judge_query,
)
from libs.exchange.trading_values import NeverSent, NotFound, QueryFailed, Rejected, Unknown


def answered(code: str, message: str = "", *, status: int = 400, **fields: Any) -> Failure:
    """A structured refusal of an order that was let go."""
    return Failure(
        released=True,
        status=status,
        answered=True,
        code=code,
        message=message,
        text=message or code,
        **fields,
    )


@pytest.mark.parametrize(
    ("venue", "code", "reason"),
    [(venue, code, reason) for venue, codes in REJECTS.items() for code, reason in codes.items()],
)
def test_listed_codes_are_rejections(venue: str, code: str, reason: str) -> None:
    found = judge_order(venue, answered(code))
    assert isinstance(found, Rejected)
    assert (found.code, found.reason) == (code, reason)


@pytest.mark.parametrize(
    ("code", "reason"), [("25202", "funds"), ("25203", "funds"), ("25227", "reduce_only"), ("40008", "clock")]
)
def test_bitget_is_read_by_body_code(code: str, reason: str) -> None:
    """All of them reach us as plain ExchangeError."""
    found = judge_order("bitget-sub1", answered(code, kinds=frozenset({"ExchangeError"})))
    assert isinstance(found, Rejected)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Account has insufficient balance for requested action.", "funds"),
        ("Order would immediately match and take.", "post_only"),
        ("Filter failure: MAX_POSITION", "filter"),
    ],
)
def test_the_code_for_everything_is_read_by_its_text(message: str, reason: str) -> None:
    found = judge_order("binance", answered("-2010", message))
    assert isinstance(found, Rejected)
    assert found.reason == reason


@pytest.mark.parametrize(
    "failure",
    [
        Failure(released=True, text="no answer in time"),
        Failure(released=True, status=None, kinds=frozenset({"ExchangeNotAvailable"})),
        answered("-1001", status=503),
        answered("-2019", status=500, kinds=frozenset({"InsufficientFunds"})),
        Failure(released=True, status=200, kinds=frozenset({"BadResponse"}), text="an HTML page"),
        Failure(released=True, status=403, answered=False, text="an HTML page"),
        answered("-2010", "Duplicate order sent."),
        answered("-2010", "something new"),
        answered("-4116", kinds=frozenset({"InvalidOrder"})),
        answered("-99999", kinds=frozenset({"ExchangeError"})),
        answered("-1008", kinds=frozenset({"OperationFailed"})),
        answered("-1007", kinds=frozenset({"InsufficientFunds"})),
        answered("", kinds=frozenset({"DuplicateOrderId", "InvalidOrder"})),
        # a refusal to connect proves nothing once a connection was there: it was a redirect's
        Failure(released=True, connected=True, refused=True),
    ],
)
def test_everything_else_is_unknown(failure: Failure) -> None:
    assert isinstance(judge_order("binance", failure), Unknown)


@pytest.mark.parametrize(
    ("venue", "code"), [(venue, code) for venue, codes in UNPROVEN.items() for code in sorted(codes)]
)
def test_codes_that_prove_nothing(venue: str, code: str) -> None:
    assert isinstance(judge_order(venue, answered(code, kinds=frozenset({"InsufficientFunds"}))), Unknown)


def test_never_sent_needs_proof() -> None:
    refused = Failure(released=True, connected=False, refused=True, text="cannot connect")
    assert judge_order("okx", refused) == NeverSent(why="cannot connect")
    held = Failure(released=False, connected=True, text="dropped")
    assert judge_order("okx", held) == NeverSent(why="dropped")
    lost = Failure(released=True, connected=False, refused=False, text="no answer in time")
    assert isinstance(judge_order("okx", lost), Unknown)


@pytest.mark.parametrize("code", sorted(LOAN_REFUSALS["binance"]))
def test_a_loan_is_refused_by_a_listed_code_only(code: str) -> None:
    assert is_loan_refused("binance-sub1", answered(code))
    assert not is_loan_refused("binance", answered(code, status=500))
    assert not is_loan_refused("bybit", answered(code))


@pytest.mark.parametrize("code", ["", "-1000", "-1001", "-1006", "-1007", "-3000"])
def test_a_loan_of_which_the_venue_says_nothing_clear_is_not_refused(code: str) -> None:
    assert not is_loan_refused("binance", answered(code))


@pytest.mark.parametrize("status", [418, 429])
@pytest.mark.parametrize(("venue", "code"), [("binance", "-1003"), ("bitget", "429")])
def test_limits_are_rejections_by_the_venues_own_code_only(status: int, venue: str, code: str) -> None:
    found = judge_order(venue, answered(code, status=status))
    assert isinstance(found, Rejected)
    assert (found.reason, found.code) == ("rate_limit", code)
    page = Failure(released=True, status=status, text="<html>slow down</html>")
    assert isinstance(judge_order(venue, page), Unknown), "a proxy's page says nothing of the order"
    assert isinstance(judge_order(venue, answered("", status=status)), Unknown)
    assert isinstance(judge_order("kucoin", answered("200002", status=status)), Unknown)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("InsufficientFunds", "funds"), ("OrderImmediatelyFillable", "post_only"), ("InvalidNonce", "clock")],
)
def test_venues_without_a_table_go_by_single_minded_classes(kind: str, reason: str) -> None:
    found = judge_order("okx", answered("51008", kinds=frozenset({kind, "ExchangeError"})))
    assert isinstance(found, Rejected)
    assert found.reason == reason
    unread = Failure(released=True, status=200, answered=False, kinds=frozenset({kind}))
    assert isinstance(judge_order("okx", unread), Unknown)


@pytest.mark.parametrize(
    ("venue", "code"),
    [
        ("binance", "-2013"),
        ("binance", "-2011"),
        ("bitget", "25204"),
        ("bitget", "22001"),
        ("bitget", "40109"),
    ],
)
def test_clean_not_founds(venue: str, code: str) -> None:
    assert judge_query(venue, answered(code)) == NotFound(code=code)
    assert isinstance(judge_query(venue, answered(code, status=502)), QueryFailed)


@pytest.mark.parametrize(
    "failure",
    [
        answered("-1021", kinds=frozenset({"OrderNotFound"})),
        Failure(released=False, text="no answer in time"),
        Failure(released=False, status=404, answered=False, kinds=frozenset({"OrderNotFound"})),
    ],
)
def test_a_query_that_says_nothing(failure: Failure) -> None:
    assert isinstance(judge_query("binance", failure), QueryFailed)


def test_not_found_by_class_elsewhere() -> None:
    failure = answered("110001", kinds=frozenset({"OrderNotFound"}), status=200)
    assert judge_query("bybit", failure) == NotFound(code="110001")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"code": -2019, "msg": "Margin is insufficient."}, ("-2019", "Margin is insufficient.")),
        ({"code": "25204", "msg": "Order does not exist"}, ("25204", "Order does not exist")),
        ({"retCode": 110007, "retMsg": "ab not enough"}, ("110007", "ab not enough")),
        ({"label": "BALANCE_NOT_ENOUGH", "message": "x"}, ("BALANCE_NOT_ENOUGH", "x")),
        ({"code": "1", "data": [{"sCode": "51008", "sMsg": "low"}], "msg": ""}, ("51008", "low")),
        ([{"code": -2011, "msg": "Unknown order sent."}], ("-2011", "Unknown order sent.")),
        (None, ("", "")),
        ("text", ("", "")),
        ([], ("", "")),
    ],
)
def test_codes_are_found_in_bodies(answer: Any, expected: tuple[str, str]) -> None:
    assert code_of(answer) == expected
