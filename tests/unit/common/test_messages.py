"""Payloads at the door: what is not what its subject promises is refused, what is newer is tolerated."""

from __future__ import annotations

import math

import msgspec
import pytest

from libs.common import subjects
from libs.common.messages import (
    SUBJECT_TYPES,
    BadMessage,
    Book,
    ClockState,
    Command,
    Evaluation,
    Funding,
    FundingHistory,
    Message,
    Opportunity,
    Quote,
    Settlement,
    Want,
    decode,
    encode,
    type_of,
)

QUOTE = Quote(
    venue="okx", instrument="X-USDT", bid=1.5, ask=2.5, bid_size=3.0, ask_size=4.0, ts_ms=5, recv_us=6
)


def changed(message: Message, **fields: str) -> bytes:
    """The message's JSON with raw JSON text in the place of some fields."""
    raw = {
        key: msgspec.Raw(value)
        for key, value in msgspec.json.decode(encode(message), type=dict[str, msgspec.Raw]).items()
    }
    raw.update({key: msgspec.Raw(text.encode()) for key, text in fields.items()})
    return msgspec.json.encode(raw)


def test_a_message_survives_the_way() -> None:
    assert decode(encode(QUOTE), Quote) == QUOTE
    history = FundingHistory(
        venue="okx",
        instrument="X",
        prints=(Settlement(settled_ms=1, rate=-0.0001, interval_hours=8.0),),
        recv_us=1,
    )
    assert b'"prints":[[1,-0.0001,8.0]]' in encode(history)
    assert decode(encode(history), FundingHistory) == history


@pytest.mark.parametrize(
    "number",
    ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "nan", "null", '"1"', '"NaN"', "true", "[]", ""],
)
@pytest.mark.parametrize("field", ["bid", "ask_size"])
def test_a_number_that_is_none_is_refused_with_its_place(field: str, number: str) -> None:
    payload = encode(QUOTE)
    broken = payload.replace(f'"{field}":'.encode(), f'"{field}":{number},"was":'.encode())
    with pytest.raises(BadMessage, match=r"^Quote: "):
        decode(broken, Quote)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
def test_non_finite_numbers_are_refused_inside_too(number: str) -> None:
    book = f'{{"venue":"v","instrument":"i","bids":[[1.0,{number}]],"asks":[],"ts_ms":1,"recv_us":1}}'
    with pytest.raises(BadMessage, match=r"^Book: "):
        decode(book.encode(), Book)
    funding = (
        f'{{"venue":"v","instrument":"i","kind":"current","rate":{number},"interval_hours":8,'
        '"interval_source":"rate","ts_ms":1,"recv_us":1}'
    )
    with pytest.raises(BadMessage, match=r"^Funding: "):
        decode(funding.encode(), Funding)
    optional = funding.replace(f'"rate":{number}', f'"rate":0.1,"mark":{number}')
    with pytest.raises(BadMessage, match=r"^Funding: "):
        decode(optional.encode(), Funding)


def test_a_non_finite_number_that_we_would_publish_is_refused_by_the_reader() -> None:
    for value in (math.nan, math.inf, -math.inf):
        payload = encode(msgspec.structs.replace(QUOTE, bid=value))
        assert b'"bid":null' in payload
        with pytest.raises(BadMessage):
            decode(payload, Quote)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"venue":"\xff"}',
        b"{}" * 2,
        b'{"bid":1}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_such_message_is_refused(payload: bytes) -> None:
    with pytest.raises(BadMessage, match=r"^Quote: "):
        decode(payload, Quote)


def test_unknown_fields_of_a_newer_publisher_are_tolerated_and_missing_ones_have_defaults() -> None:
    payload = encode(QUOTE)[:-1] + b',"new_in_2030":{"a":[1]}}'
    assert decode(payload, Quote) == QUOTE
    assert decode(b"{}", Command) == Command()
    assert decode(b'{"service":"signal"}', Want) == Want(service="signal")


def test_words_outside_a_closed_list_are_refused() -> None:
    with pytest.raises(BadMessage, match=r"\$\.source"):
        decode(encode(QUOTE).replace(b'"stream"', b'"guess"'), Quote)


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        (subjects.quote("okx", "X-USDT"), Quote),
        (subjects.funding("okx", "X-USDT-PERP"), Funding),
        (subjects.EVALUATION, Evaluation),
        (subjects.opportunity("X-USDT_a-spot_b-perp"), Opportunity),
        (subjects.CLOCK, ClockState),
        (subjects.command("halt"), Command),
        ("md.quote.okx", None),
        ("md.quote.okx.X.Y", None),
        ("md.unknown.okx.X", None),
        ("exec.pair", None),
        ("", None),
    ],
)
def test_the_type_of_a_subject(subject: str, kind: type[Message] | None) -> None:
    assert type_of(subject) is kind


def test_every_subject_of_the_table_has_one_type() -> None:
    for pattern, kind in SUBJECT_TYPES.items():
        assert type_of(pattern.replace("*", "x")) is kind
