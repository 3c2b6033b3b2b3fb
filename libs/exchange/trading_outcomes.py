"""What an answer to an order or a query proves: tables of venue codes, and unknown by default.

Only a refusal that is listed here (or an exception class of ccxt that stands for nothing else) means "the
order does not exist". ccxt's class alone is not enough: `InvalidOrder` covers duplicates of an id that did
arrive, a plain `ExchangeError` covers Bitget's "not found", and several texts reach us without their code.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from libs.exchange.trading_values import (
    NeverSent,
    NotFound,
    QueryFailed,
    Rejected,
    RejectReason,
    Unknown,
)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A call of ccxt that raised, as facts.

    released: the order was let go (False: it is proven that nothing was written). connected: it had a
    connection when it was let go. refused: no connection came about (`ClientConnectorError`, DNS).
    status: HTTP status of the answer, None without one; answered: its body was a JSON object or list;
    code, message: the venue's own. kinds: names of the exception's class and its bases.
    """

    released: bool
    connected: bool = True
    refused: bool = False
    status: int | None = None
    answered: bool = False
    code: str = ""
    message: str = ""
    kinds: frozenset[str] = frozenset()
    text: str = ""


_FUNDS: Final = "funds"
_FILTER: Final = "filter"

# Limits, clock, keys and markets that do not trade are refused before the matching engine has seen an order
# (docs/adr/0017); a status alone, 418 and 429 included, proves nothing: a proxy's page has one too.
# Binance, REST errors of api, sapi and fapi. -2010 is several things and is told apart by its text.
_BINANCE: Final[dict[str, RejectReason]] = {
    "-1013": _FILTER,  # Filter failure: LOT_SIZE, MIN_NOTIONAL, NOTIONAL, PERCENT_PRICE_BY_SIDE, ...
    "-1111": _FILTER,  # precision over the maximum
    "-1015": "rate_limit",  # too many new orders
    "-1003": "rate_limit",
    "-1021": "clock",
    "-1022": "auth",
    "-2014": "auth",
    "-2015": "auth",  # becomes DDoSProtection in ccxt once a call has been authenticated
    "-2018": _FUNDS,
    "-2019": _FUNDS,
    "-2022": "reduce_only",
    "-2027": _FILTER,  # beyond the bracket of this leverage
    "-3041": _FUNDS,
    "-4003": _FILTER,
    "-4004": _FILTER,
    "-4005": _FILTER,
    "-4014": _FILTER,
    "-4016": _FILTER,
    "-4023": _FILTER,
    "-4024": _FILTER,
    "-4118": "reduce_only",
    "-4131": _FILTER,
    "-4140": "not_tradable",
    "-4164": _FILTER,  # minimum notional
    "-5021": _FILTER,  # FOK that cannot be filled
    "-5022": "post_only",
}
_BINANCE_2010: Final[tuple[tuple[str, RejectReason], ...]] = (
    ("insufficient balance", _FUNDS),
    ("would immediately match", "post_only"),
    ("filter failure", _FILTER),
)

# Bitget v3: ccxt has no class for most of them. 40786 is a duplicate client id: the earlier one did arrive.
_BITGET: Final[dict[str, RejectReason]] = {
    "25202": _FUNDS,
    "25203": _FUNDS,
    "40711": _FUNDS,
    "40712": _FUNDS,
    "40762": _FUNDS,
    "43012": _FUNDS,
    "40808": _FILTER,  # size scale
    "41103": _FILTER,  # price scale
    "40706": _FILTER,
    "45110": _FILTER,  # minimum amount
    "45111": _FILTER,
    "45113": _FILTER,
    "45115": _FILTER,  # price is no multiple of the tick
    "45119": _FILTER,
    # https://www.bitget.com/api-doc/uta/error-code/restapi
    "25205": _FILTER,  # price below the band
    "25206": _FILTER,  # price above the band
    "25207": _FILTER,  # minimum quantity
    "25208": _FILTER,  # maximum quantity
    "25244": _FILTER,  # price is no multiple of the tick
    "22002": "reduce_only",  # no position to close
    "25225": "reduce_only",
    "25227": "reduce_only",
    "25232": "reduce_only",
    "25101": "not_tradable",
    "25104": "not_tradable",
    "40004": "clock",
    "40005": "clock",
    "40008": "clock",
    "40006": "auth",
    "40009": "auth",
    "40011": "auth",
    "40012": "auth",
    "40014": "auth",
    "40018": "auth",
    "40037": "auth",
    "40309": "not_tradable",
    "41114": "not_tradable",
    "429": "rate_limit",
}

REJECTS: Final[dict[str, dict[str, RejectReason]]] = {"binance": _BINANCE, "bitget": _BITGET}
"""By venue: codes that prove that an order was not accepted."""

# Codes that look like a refusal and prove nothing, or even the contrary.
UNPROVEN: Final[dict[str, frozenset[str]]] = {
    "binance": frozenset({"-1000", "-1001", "-1006", "-1007", "-1008", "-4116"}),
    "bitget": frozenset({"40786", "40015", "40725", "40010", "45001"}),
}

NOT_FOUND: Final[dict[str, frozenset[str]]] = {
    "binance": frozenset({"-2011", "-2013"}),
    "bitget": frozenset({"25204", "22001", "40109", "40768", "43001"}),
}
"""By venue: codes that say cleanly "no such order"."""

# https://developers.binance.com/docs/margin_trading/error-code
LOAN_REFUSALS: Final[dict[str, frozenset[str]]] = {
    "binance": frozenset(
        {
            "-3002",  # no such asset
            "-3003",  # no margin account
            "-3006",  # more than may be borrowed
            "-3007",  # another loan is under way
            "-3008",  # borrowing is not allowed
            "-3010",  # repaying is not allowed
            "-3012",  # borrowing this asset is banned
            "-3013",  # less than the minimum
            "-3014",  # borrowing is banned for this account
            "-3015",  # more than is owed, or what would be left is too little
            "-3016",  # less than the minimum of a repayment
            "-3041",  # not enough coins
            "-3045",  # the venue has not enough to lend
        }
    ),
}
"""By venue: codes that prove that a loan or a repayment was not carried out."""

# ccxt's classes that stand for one thing only, for venues without a table (and codes missing in one).
_BY_CLASS: Final[tuple[tuple[str, RejectReason], ...]] = (
    ("InsufficientFunds", _FUNDS),
    ("OrderImmediatelyFillable", "post_only"),
    ("InvalidNonce", "clock"),
)
_SERVER_ERROR: Final = 500


def stem_of(venue: str) -> str:
    """`binance` for `binance-sub1`: tables go by exchange."""
    return venue.split("-", 1)[0]


def judge_order(venue: str, failure: Failure) -> Rejected | Unknown | NeverSent:
    """What a failed submission proves.

    >>> judge_order("bitget", Failure(released=True, status=400, answered=True, code="25202")).reason
    'funds'
    """
    text = failure.text or failure.message
    if not failure.released or (failure.refused and not failure.connected):
        return NeverSent(why=text or "it was not let go")
    if failure.status is None:
        return Unknown(why=text or "no answer")
    if failure.status >= _SERVER_ERROR or not failure.answered:
        return Unknown(why=f"HTTP {failure.status}: {text}")
    reason = reason_of(stem_of(venue), failure)
    if reason is None:
        return Unknown(why=f"{failure.code}: {text}" if failure.code else text)
    return Rejected(code=failure.code, reason=reason, text=text)


def reason_of(stem: str, failure: Failure) -> RejectReason | None:
    """Why a structured refusal was given, None when it is not on the allow-list."""
    if failure.code in UNPROVEN.get(stem, frozenset()) or "DuplicateOrderId" in failure.kinds:
        return None
    message = failure.message.lower()
    if "duplicate" in message:
        return None
    listed = REJECTS.get(stem, {}).get(failure.code)
    if listed is not None:
        return listed
    if stem == "binance" and failure.code == "-2010":
        return next((reason for words, reason in _BINANCE_2010 if words in message), None)
    return next((reason for name, reason in _BY_CLASS if name in failure.kinds), None)


def judge_query(venue: str, failure: Failure) -> NotFound | QueryFailed:
    """What a failed query proves: a clean not-found, or nothing."""
    stem = stem_of(venue)
    clean = failure.answered and failure.status is not None and failure.status < _SERVER_ERROR
    known = NOT_FOUND.get(stem)
    if clean and (failure.code in known if known is not None else "OrderNotFound" in failure.kinds):
        return NotFound(code=failure.code or "OrderNotFound")
    return QueryFailed(why=failure.text or failure.message or "no answer")


def is_loan_refused(venue: str, failure: Failure) -> bool:
    """Whether a failed loan or repayment is proven not to have been carried out.

    >>> is_loan_refused("binance", Failure(released=True, status=400, answered=True, code="-3045"))
    True
    """
    clean = failure.answered and failure.status is not None and failure.status < _SERVER_ERROR
    return clean and failure.code in LOAN_REFUSALS.get(stem_of(venue), frozenset())


_CODE_FIELDS: Final = ("code", "retCode", "err_code", "err-code", "error_code", "label")
_TEXT_FIELDS: Final = ("msg", "retMsg", "message", "err_msg", "err-msg", "detail")


def code_of(answer: Any) -> tuple[str, str]:
    """The venue's own error code and text in a decoded answer, empty where there are none.

    OKX wraps the order's own code: `{"code": "1", "data": [{"sCode": "51008", "sMsg": ...}]}`.
    """
    body = answer[0] if isinstance(answer, list) and answer else answer
    if not isinstance(body, dict):
        return "", ""
    rows = body.get("data")
    if isinstance(rows, list) and rows and isinstance(rows[0], dict) and rows[0].get("sCode"):
        return str(rows[0]["sCode"]), str(rows[0].get("sMsg") or "")
    code = next((body[name] for name in _CODE_FIELDS if body.get(name) not in (None, "")), "")
    text = next((body[name] for name in _TEXT_FIELDS if body.get(name) not in (None, "")), "")
    return str(code), str(text)
