"""`sapi/v1/asset/transfer`: money between the wallets of one user, instantly."""

from __future__ import annotations

from typing import Any, Final

from libs.exchange.engine.commands import Transfer
from libs.exchange.engine.types import Entry, EntryKind
from services.venue.binance_spot_account import assets
from services.venue.binance_spot_errors import BAD_INPUT, MARGIN_OUT, TRANSFER, said
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_texts import ms
from services.venue.binance_spot_trading import Wallet
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer

_WALLETS: Final = {"MAIN": "spot", "UMFUTURE": "usdm", "MARGIN": "margin"}
_TYPES: Final = {
    f"{source}_{target}": (_WALLETS[source], _WALLETS[target])
    for source in _WALLETS
    for target in _WALLETS
    if source != target
}
_ROWS_DEFAULT: Final = 10
_ROWS_MAX: Final = 100
_IDS_PER_MS: Final = 1_000


def transfer(house: House, call: Call, key: Key) -> Answer:
    """POST /sapi/v1/asset/transfer."""
    form = Form(call)
    source, target = _direction(house, form, key)
    asset, wanted = form.need("asset"), form.need_decimal("amount")
    if wanted <= 0 or asset not in assets(house, call.now):
        raise said(BAD_INPUT)
    number = _next_id(house, source, call.now.wall_ms)
    command = Transfer(source=source, target=target, asset=asset, amount=wanted, ref=str(number))
    table = MARGIN_OUT if source.endswith(":margin") else TRANSFER
    Wallet(house, call, "spot", source).apply(command, table)
    return answer({"tranId": number})


def _direction(house: House, form: Form, key: Key) -> tuple[str, str]:
    wallets = _TYPES.get(form.need("type"))
    if wallets is None:
        raise said(BAD_INPUT)
    return house.account(key.user, wallets[0]), house.account(key.user, wallets[1])


def _next_id(house: House, source: str, wall_ms: int) -> int:
    """A number that no transfer out of the account has: the time with a counter behind it."""
    first = wall_ms * _IDS_PER_MS
    taken = [int(entry.ref) for entry in _moved(house, source) if entry.ref.isdecimal()]
    return max([first, *(number + 1 for number in taken if number >= first)])


def _moved(house: House, account: str) -> list[Entry]:
    return [entry for entry in house.engine.entries(account) if entry.kind is EntryKind.TRANSFER]


def transfers(house: House, call: Call, key: Key) -> Answer:
    """GET /sapi/v1/asset/transfer: one direction, newest first, by pages."""
    form = Form(call)
    name = form.need("type")
    source, target = _direction(house, form, key)
    since, until = form.integer("startTime"), form.integer("endTime")
    page, size = form.count("current", 1, 1 << 30), form.count("size", _ROWS_DEFAULT, _ROWS_MAX)
    arrived = {(entry.ref, entry.asset) for entry in _moved(house, target) if entry.amount > 0}
    rows: list[dict[str, Any]] = [
        {
            "asset": entry.asset,
            "amount": f"{-entry.amount.normalize():f}",
            "type": name,
            "status": "CONFIRMED",
            "tranId": int(entry.ref) if entry.ref.isdecimal() else entry.entry_id,
            "timestamp": ms(entry.wall_us),
        }
        for entry in reversed(_moved(house, source))
        if entry.amount < 0
        and (entry.ref, entry.asset) in arrived
        and (since is None or ms(entry.wall_us) >= since)
        and (until is None or ms(entry.wall_us) <= until)
    ]
    return answer({"total": len(rows), "rows": rows[(page - 1) * size : page * size]})
