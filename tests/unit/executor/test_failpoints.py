"""A fee that a failpoint loses is neither written nor told; everything else is as it was."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from libs.common.codec import decode, encode
from libs.common.effects import Effect, Event, Persist, Publish, TimerFired
from libs.common.instant import Now
from libs.common.messages_exec import LedgerKind, LedgerLine
from libs.common.store import Transition
from libs.common.subjects import exec_ledger
from services.executor.failpoints import ENV, LOSE_FEE, Failpoints, Tripwire
from services.executor.ledger import STREAM
from tests.unit.executor.build import at

PAIR = "BTC-USDT_binance-spot_binance-perp"


def line(kind: LedgerKind, number: int) -> LedgerLine:
    return LedgerLine(
        key=f"binance:{kind}:{number}",
        pair=PAIR,
        venue="binance",
        instrument="BTC-USDT-PERP",
        kind=kind,
        asset="USDT",
        amount=Decimal(-1),
        usd=Decimal(-1),
        venue_ms=1,
        wall_us=1,
    )


class Books:
    """An actor that books a fill and its fee, and tells both, with each event."""

    def __init__(self) -> None:
        self.number = 0

    def handle(self, _event: Event, _now: Now) -> Iterable[Effect]:
        self.number += 1
        lines = [line(kind, self.number) for kind in (LedgerKind.FILL, LedgerKind.FEE)]
        entries = tuple({"json": encode(one)} for one in lines)
        appends = {"journal": ({"pair": b"x"},), STREAM: entries}
        yield Persist(token=str(self.number), change=Transition(appends=appends), tell=True)
        for one in lines:
            yield Publish(subject=exec_ledger(PAIR), message=one)


def turns(point: str, count: int) -> list[tuple[list[str], list[str]]]:
    """Of so many turns: what was written to the ledger, and what was told."""
    actor = Tripwire(Books(), Failpoints.of({ENV: point}))
    found = []
    for _ in range(count):
        written, told = [], []
        for effect in actor.handle(TimerFired(name="x"), at(1)):
            if isinstance(effect, Persist):
                assert effect.change is not None
                assert effect.tell
                assert "journal" in effect.change.appends
                entries = effect.change.appends[STREAM]
                written += [decode(entry["json"], LedgerLine).key for entry in entries]
            elif isinstance(effect, Publish) and isinstance(effect.message, LedgerLine):
                told.append(effect.message.key)
        found.append((written, told))
    return found


def test_one_fee_is_neither_written_nor_told() -> None:
    first, second, third = turns(f"{LOSE_FEE}:2", 3)
    for number, (written, told) in ((1, first), (3, third)):
        assert written == told == [f"binance:fill:{number}", f"binance:fee:{number}"]
    assert second == (["binance:fill:2"], ["binance:fill:2"])


def test_another_point_loses_none() -> None:
    for written, told in turns("after_prepare", 3):
        assert len(written) == len(told) == 2
