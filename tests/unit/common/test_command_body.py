"""Fields that are there twice, and fields that nobody knows."""

from __future__ import annotations

import pytest

from libs.common.bus import Frame
from libs.common.command_body import LENIENT, BadBody, check_body
from libs.common.commands import VERBS
from libs.common.effects import Event
from libs.common.intake import Intake
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.messages import Command, encode
from libs.common.store_log import StoreLog


@pytest.mark.parametrize("verb", VERBS)
def test_an_ordinary_body_passes(verb: str) -> None:
    check_body(b'{"scope": "global", "reason": null, "ts_ms": 1}', verb)
    check_body(b"{}", verb)


@pytest.mark.parametrize("verb", VERBS)
def test_a_field_that_is_there_twice_is_refused(verb: str) -> None:
    with pytest.raises(BadBody, match="'scope' is there twice"):
        check_body(b'{"scope": "global", "scope": "venue:binance"}', verb)


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - LENIENT))
def test_a_misspelt_field_is_refused_with_what_was_meant(verb: str) -> None:
    with pytest.raises(BadBody, match="did you mean `scope`"):
        check_body(b'{"scpoe": "pair:X", "confirm": true}', verb)
    with pytest.raises(BadBody, match="there are pair, scope"):
        check_body(b'{"\\u202e": 1}', verb)


@pytest.mark.parametrize("verb", sorted(LENIENT))
def test_what_makes_things_safer_is_obeyed_beside_unknown_fields(verb: str) -> None:
    check_body(b'{"note": "now!"}', verb)


def test_numbers_that_python_does_not_read_are_refused() -> None:
    with pytest.raises(BadBody, match="4300"):
        check_body(b'{"q": ' + b"1" * 5_000 + b"}", "halt")


def test_an_unknown_field_that_says_nothing_is_none() -> None:
    check_body(b'{"scope": "global", "later": null}', "flatten")


def test_only_what_is_said_is_sent() -> None:
    """A newer console is understood by services of an older version, as long as it says nothing new."""
    assert encode(Command(scope="global", confirm=True)) == b'{"scope":"global","confirm":true}'


@pytest.mark.parametrize(
    ("verb", "body"),
    [("halt", b'{"pair": "a", "pair": "b"}'), ("flatten", b'{"scpoe": "x", "confirm": true}')],
)
async def test_a_service_never_sees_such_a_body(verb: str, body: bytes) -> None:
    offered: list[Event] = []
    store = MemoryStore()
    entries = StoreLog(store)
    intake = Intake(service="risk", bus=MemoryBus(MemoryBroker()), offer=offered.append, entries=entries)
    intake.take(Frame(subject=f"cmd.{verb}", payload=body, reply="", recv_us=0))
    assert offered == []
    assert len(entries) == 1, "it is audited"
    intake.take(Frame(subject=f"cmd.{verb}", payload=b"", reply="", recv_us=0))
    assert len(offered) == 1
