"""What an account's call gets instead of its answer: the venues' own words for limits and faults."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from libs.exchange.redirect import BITGET_HOSTS
from services.venue import bitget_common
from services.venue.faults import Fault, Kind
from services.venue.instruments import Protocol
from services.venue.wire import Answer, Call, answer

_PAGE: Final = (
    b"<html><head><title>Attention required</title></head><body>Please wait a moment.</body></html>"
)

# https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code and the spot list;
# https://www.bitget.com/api-doc/uta/error-code.
TEXTS: Final = {
    "-1003": "Too many requests; current limit of IP(127.0.0.1) is 2400 requests per minute.",
    "-1007": "Timeout waiting for response from backend server. Send status unknown; "
    "execution status unknown.",
    "-1008": "Server is currently overloaded with other requests. Please try again in a few minutes.",
    "-1013": "Filter failure: LOT_SIZE",
    "-1015": "Too many new orders; current limit is 300 orders per TEN_SECONDS.",
    "-1021": "Timestamp for this request is outside of the recvWindow.",
    "-1111": "Precision is over the maximum defined for this asset.",
    "-2010": "Account has insufficient balance for requested action.",
    "-2011": "Unknown order sent.",
    "-2013": "Order does not exist.",
    "-2015": "Invalid API-key, IP, or permissions for action.",
    "-2018": "Balance is insufficient.",
    "-2019": "Margin is insufficient.",
    "-2022": "ReduceOnly Order is rejected.",
    "-2027": "Exceeded the maximum allowable position at current leverage.",
    "-3045": "The system does not have enough asset now.",
    "-4061": "Order's position side does not match user's setting.",
    "-4116": "ClientOrderId is duplicated.",
    "-4131": "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    "-4164": "Order's notional must be no smaller than 5 (unless you choose reduce only)",
    "-5022": "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history",
    "22002": "No position to close",
    "25202": "Insufficient balance",
    "25203": "Insufficient margin",
    "25204": "Order does not exist",
    "40014": "Incorrect permissions",
    "40725": "service return an error",
    "40762": "The order size is greater than the max open size",
    "40774": "The order type for unilateral position must also be the unilateral position type.",
    "40786": "Duplicate clientOid",
    "45110": "less than the minimum amount 5 USDT",
    "429": "Too many requests",
}
_STATUS: Final = {"-1003": 429, "-1008": 503, "-1015": 429, "-2014": 401, "-2015": 401, "429": 429}
_TEXT_ELSE: Final = "The request was refused."

NOT_FOUND: Final[dict[Protocol, str]] = {"binance": "-2013", "bitget": "25204"}
FORBIDDEN: Final[dict[Protocol, str]] = {"binance": "-2015", "bitget": "40014"}


def protocol_of(host: str) -> Protocol:
    """The protocol that a host speaks."""
    return "bitget" if host in BITGET_HOSTS else "binance"


def by_code(call: Call, code: str, text: str = "") -> Answer:
    """The error body of a code, in the form of the call's venue."""
    said = text or TEXTS.get(code, _TEXT_ELSE)
    status = _STATUS.get(code, 400)
    if protocol_of(call.host) == "bitget":
        return answer(bitget_common.body(call.now.wall_ms, None, code=code, text=said), status=status)
    return answer({"code": int(code), "msg": said}, status=status)


def banned(until_ms: int, now_ms: int) -> Answer:
    """Binance's 418."""
    text = f"Way too many requests; IP(127.0.0.1) banned until {until_ms}. Please use the websocket."
    body = msgspec.json.encode({"code": -1003, "msg": text})
    headers = {"retry-after": str(max(1, (until_ms - now_ms) // 1_000))}
    return Answer(status=418, body=body, headers=headers)


def faulty(fault: Fault, call: Call) -> Answer:
    """The answer that a transport fault puts in place of the real one."""
    bitget = protocol_of(call.host) == "bitget"
    match fault.kind:
        case Kind.HTML_200:
            return Answer(body=_PAGE, content_type="text/html")
        case Kind.HTTP_418:
            return banned(call.now.wall_ms + fault.retry_after_sec * 1_000, call.now.wall_ms)
        case Kind.OPERATION_FAILED:
            found = by_code(call, "40725" if bitget else "-1008")
            return msgspec.structs.replace(found, status=503)
        case Kind.HTTP_429:
            status, code, text = 429, -1003, "Too many requests; please use the websocket for live updates."
        case _:
            status, code, text = fault.status, -1001, "Internal error; unable to process your request."
    headers = {"retry-after": str(fault.retry_after_sec)} if status == 429 else {}
    if bitget:
        bodied = bitget_common.body(
            call.now.wall_ms, None, code="429" if status == 429 else "40725", text=text
        )
        return Answer(status=status, body=msgspec.json.encode(bodied), headers=headers)
    return Answer(status=status, body=msgspec.json.encode({"code": code, "msg": text}), headers=headers)


def without_id(found: Answer) -> Answer:
    """An order's answer with no order id in it; anything that is no such answer stays as it is."""
    try:
        body = msgspec.json.decode(found.body, type=dict[str, Any])
    except msgspec.DecodeError:
        return found
    data = body.get("data")
    inner = data if isinstance(data, dict) else body
    inner.pop("orderId", None)
    return msgspec.structs.replace(found, body=msgspec.json.encode(body))
