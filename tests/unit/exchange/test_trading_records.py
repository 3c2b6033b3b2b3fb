"""What is asked for lines of a venue's books, and what is made of the answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from libs.common.clock import wall_us
from libs.common.instant import MS_PER_DAY
from libs.exchange.live.binance import BinanceDesk
from libs.exchange.live.bitget import WINDOW_MS, BitgetDesk
from libs.exchange.live.lists import BACK_MS_MAX
from libs.exchange.live.record import RECORDS
from libs.exchange.live.wire import Call
from libs.exchange.port import Instrument, VenueError
from tests.unit.exchange.test_trading_requests import Captured, opened


class Books:
    """The only place of an account, with answers by script: (method, what was asked) of every question."""

    def __init__(self, **answers: Any) -> None:
        self.venue = "somewhere"
        self.poll = self
        self.instruments: dict[str, Instrument] = {}
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def serving(self, _kind: object) -> Books:
        return self

    def now_ms(self, *, market: bool) -> int:
        return wall_us() // 1_000

    async def get(self, _name: str, method: str, asked: dict[str, Any] | None = None) -> Any:
        self.asked.append((method, dict(asked or {})))
        found = self.answers[method]
        return found(asked) if callable(found) else found

    async def ask(self, name: str, work: Callable[[Any], Any], *, noted: Call) -> Any:
        try:
            return await work(Methods(self, name))
        except VenueError as error:
            noted.answer = {"code": str(error).rsplit(" ", 1)[-1], "msg": "..."}
            raise


class Methods:
    """ccxt's implicit methods of a place."""

    def __init__(self, books: Books, name: str) -> None:
        self._books, self._name = books, name

    def __getattr__(self, method: str) -> Any:
        return lambda asked: self._books.get(self._name, method, asked)


async def test_bitgets_books_are_read_in_windows_and_only_as_far_back_as_there_are_any() -> None:
    books = Books(privateUtaGetV3AccountFinancialRecords={"data": {"list": []}})
    desk = BitgetDesk(RECORDS["bitget"], books)  # type: ignore[arg-type]  # answers what is asked of it
    assert await desk.records("interest", 0) == []
    asked = [one for _, one in books.asked]
    now_ms = wall_us() // 1_000
    assert len(asked) == BACK_MS_MAX // WINDOW_MS + 1
    assert abs(asked[0]["startTime"] - (now_ms - BACK_MS_MAX)) < MS_PER_DAY
    for one, following in itertools.pairwise(asked):
        assert one["endTime"] == following["startTime"] == one["startTime"] + WINDOW_MS
    assert "endTime" not in asked[-1]
    assert now_ms - asked[-1]["startTime"] <= WINDOW_MS


NOW_MS = wall_us() // 1_000
DEPOSIT = {
    "id": "769800519366885376",
    "amount": "0.001",
    "coin": "BNB",
    "status": 1,
    "txId": "98A3EA56",
    "insertTime": NOW_MS - 5_000,
    "walletType": 0,
}
WITHDRAWAL = {
    "id": "b6ae22b3",
    "amount": "8.91000000",
    "transactionFee": "0.004",
    "coin": "USDT",
    "status": 6,
    "applyTime": "2019-10-12 11:12:02",
    "completeTime": "2023-03-23 16:52:41",
    "walletType": 0,
}


def binance(**answers: Any) -> tuple[BinanceDesk, Books]:
    books = Books(**answers)
    return BinanceDesk(RECORDS["binance"], books), books  # type: ignore[arg-type]  # see above


async def test_what_came_from_outside_is_told_once_its_money_is_there() -> None:
    pending = {**DEPOSIT, "id": "1", "status": 0}
    elsewhere = {**DEPOSIT, "id": "2", "walletType": 1}
    locked = {**DEPOSIT, "id": "3", "status": "6"}
    desk, books = binance(sapiGetCapitalDepositHisrec=[DEPOSIT, pending, elsewhere, locked])
    since_ms = NOW_MS - 60_000
    found = await desk.records("deposit", since_ms)
    assert [(one.record_id, one.asset, one.amount, one.ts_ms) for one in found] == [
        (number, "BNB", Decimal("0.001"), NOW_MS - 5_000) for number in ("769800519366885376", "3")
    ]
    [(_, asked)] = books.asked
    assert asked["startTime"] == since_ms - 2 * MS_PER_DAY, "it may have begun before"
    assert asked["endTime"] > NOW_MS


async def test_what_left_is_told_with_its_fee_when_it_is_done() -> None:
    rows = [WITHDRAWAL, {**WITHDRAWAL, "id": "1", "status": 4}]
    desk, _ = binance(sapiGetCapitalWithdrawHistory=rows)
    (found,) = await desk.records("withdrawal", NOW_MS - 60_000)
    assert (found.amount, found.ts_ms) == (Decimal("-8.914"), 1_679_590_361_000)


async def test_long_lists_are_read_to_their_end() -> None:
    def page(asked: dict[str, Any]) -> list[dict[str, Any]]:
        numbers = range(asked["offset"], min(asked["offset"] + asked["limit"], 1_200))
        return [{**DEPOSIT, "id": str(number)} for number in numbers]

    desk, books = binance(sapiGetCapitalDepositHisrec=page)
    assert len(await desk.records("deposit", NOW_MS)) == 1_200
    assert [asked["offset"] for _, asked in books.asked] == [0, 1_000]


async def test_a_list_that_the_key_may_not_read_is_no_list() -> None:
    codes = iter(("-2015", "-1003"))

    def refuse(_: object) -> Any:
        raise VenueError("binance", "rate_limit", next(codes))

    desk, _ = binance(sapiGetCapitalDepositHisrec=refuse, sapiGetCapitalWithdrawHistory={})
    for expected in ("not_supported", "rate_limit"):
        with pytest.raises(VenueError) as refused:
            await desk.records("deposit", NOW_MS)
        assert refused.value.error_class == expected
    with pytest.raises(VenueError) as unread:
        await desk.records("withdrawal", NOW_MS)
    assert unread.value.error_class == "bad_payload"


@pytest.mark.parametrize(
    ("kind", "path"), [("deposit", "deposit/hisrec"), ("withdrawal", "withdraw/history")]
)
async def test_the_request_is_the_one_that_binance_documents(kind: Any, path: str) -> None:
    trading, seen = opened("binance")
    Captured.marker = "no order"
    with pytest.raises(VenueError):  # the capturing instance answers everything with {}
        await trading.records(kind, since_ms=NOW_MS)
    [(method, url, _)] = seen
    assert method == "GET"
    assert url.startswith(f"https://api.binance.com/sapi/v1/capital/{path}?")
    for name in ("startTime=", "endTime=", "limit=1000", "offset=0", "signature="):
        assert name in url
