"""What a command must be before anybody acts on it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.commands import (
    AGE_MS_MAX,
    AHEAD_MS_MAX,
    IDS_MAX,
    READING,
    REASON_CHARS_MAX,
    VERBS,
    Asked,
    CommandDesk,
)
from libs.common.effects import Audit, Effect, Received, Reply
from libs.common.instant import Now
from libs.common.messages import Command, Message, Want, encode
from libs.common.notices import audit_entry

BTC = "BTC-USDT_binance-spot_binance-perp"
ETH = "ETH-USDT_binance-spot_bitget-perp"
PAIRS = {
    BTC: (("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP")),
    ETH: (("binance", "ETH-USDT"), ("bitget", "ETH-USDT-PERP")),
}
NOW = Now(wall_us=1_700_000_000_000_000, market_ms=0, mono_us=0)
NOW_MS = NOW.wall_us // 1_000


def desk(*verbs: str, catches_unknown: bool = False) -> CommandDesk:
    return CommandDesk("executor", verbs=verbs or VERBS, pairs=PAIRS, catches_unknown=catches_unknown)


def said(verb: str, reply: str = "inbox", **fields: Any) -> Received:
    return Received(subject=f"cmd.{verb}", message=Command(**fields), reply=reply)


def taken(at: CommandDesk, verb: str, **fields: Any) -> Asked:
    asked = at.take(said(verb, **fields), NOW)
    assert isinstance(asked, Asked), asked
    return asked


def code_of(effects: Asked | list[Effect]) -> str:
    """The code of a refusal, which is one audit line and one answer that say the same."""
    assert not isinstance(effects, Asked), effects
    audit, reply = effects
    assert isinstance(audit, Audit)
    assert isinstance(reply, Reply)
    assert audit.decision == "refused"
    assert not reply.reply.ok
    assert reply.reply.error is not None
    assert audit.reason == f"{reply.reply.error.code}: {reply.reply.error.message}"
    return reply.reply.error.code


# --- whose it is ------------------------------------------------------------------------------------


def test_another_services_verb_is_left_to_it() -> None:
    assert desk("open").take(said("halt"), NOW) == []
    assert desk("halt", catches_unknown=True).take(said("open"), NOW) == []


def test_a_verb_that_nobody_knows_is_refused_by_one() -> None:
    assert desk("open").take(said("sell_all"), NOW) == []
    assert code_of(desk("halt", catches_unknown=True).take(said("sell_all"), NOW)) == "unknown"


def test_what_is_no_command_is_none() -> None:
    want: Message = Want(service="x")
    assert desk().take(Received(subject="cmd.halt", message=want), NOW) == []
    assert desk().take(Received(subject="sys.want.x", message=Command()), NOW) == []


def test_a_desk_cannot_be_given_a_verb_that_is_not_in_the_table() -> None:
    with pytest.raises(ValueError, match="hlat"):
        desk("hlat")


def test_subscriptions_are_the_own_verbs_or_all() -> None:
    assert desk("open", "close").subscriptions == ("cmd.close", "cmd.open")
    assert desk("halt", catches_unknown=True).subscriptions == ("cmd.*",)


# --- when -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age_ms", [0, AGE_MS_MAX, -AHEAD_MS_MAX])
def test_a_stamp_within_bounds_counts(age_ms: int) -> None:
    assert taken(desk(), "halt", ts_ms=NOW_MS - age_ms).scope == "global"


@pytest.mark.parametrize(
    ("ts_ms", "code"),
    [
        (NOW_MS - AGE_MS_MAX - 1, "late"),
        (NOW_MS // 1_000, "late"),
        (0, "late"),
        (NOW_MS + AHEAD_MS_MAX + 1, "from_the_future"),
        (NOW_MS * 1_000, "from_the_future"),
    ],
)
def test_old_and_future_stamps_are_refused(ts_ms: int, code: str) -> None:
    assert code_of(desk().take(said("halt", ts_ms=ts_ms), NOW)) == code


# --- once -------------------------------------------------------------------------------------------


def test_an_id_is_taken_once() -> None:
    at = desk()
    taken(at, "halt", id="a")
    assert code_of(at.take(said("halt", id="a"), NOW)) == "repeated"
    assert code_of(at.take(said("resume", id="a"), NOW)) == "repeated"
    taken(at, "halt", id="b")


def test_commands_without_an_id_may_be_said_again() -> None:
    at = desk()
    taken(at, "halt")
    taken(at, "halt")


def test_a_refused_command_has_used_its_id() -> None:
    """Who has seen a refusal and means it anyway says so anew; a copy of it says nothing."""
    at = desk()
    assert code_of(at.take(said("flatten", id="a"), NOW)) == "confirm"
    assert code_of(at.take(said("flatten", id="a", confirm=True), NOW)) == "repeated"


def test_ids_of_an_earlier_life_are_known() -> None:
    at = desk()
    at.remember(["a", "b"])
    assert code_of(at.take(said("halt", id="b"), NOW)) == "repeated"


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    at = desk()
    at.remember(f"n{count}" for count in range(IDS_MAX + 1))
    assert code_of(at.take(said("halt", id=f"n{IDS_MAX}"), NOW)) == "repeated"
    assert code_of(at.take(said("halt", id="n1"), NOW)) == "repeated"
    taken(at, "halt", id="n0")


@pytest.mark.parametrize("value", ["", "a\nb", "\u0430", "x" * 129, "a\x00"])
def test_an_id_is_short_and_printable(value: str) -> None:
    assert code_of(desk().take(said("halt", id=value), NOW)) == "bad_request"


# --- about what -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "scope", "pairs"),
    [
        ({}, "global", (BTC, ETH)),
        ({"scope": "global"}, "global", (BTC, ETH)),
        ({"scope": "venue:bitget"}, "venue:bitget", (ETH,)),
        ({"scope": "venue:binance"}, "venue:binance", (BTC, ETH)),
        ({"scope": "symbol:binance-BTC-USDT-PERP"}, "symbol:binance-BTC-USDT-PERP", (BTC,)),
        ({"scope": f"pair:{BTC}"}, f"pair:{BTC}", (BTC,)),
        ({"pair": BTC}, f"pair:{BTC}", (BTC,)),
        ({"pair": "BTC-USDT_spot_perp"}, f"pair:{BTC}", (BTC,)),
        ({"scope": "pair:ETH-USDT_spot_perp", "pair": ETH}, f"pair:{ETH}", (ETH,)),
    ],
)
def test_a_scope_is_found_with_the_pairs_that_it_covers(
    fields: dict[str, str], scope: str, pairs: tuple[str, ...]
) -> None:
    asked = taken(desk(), "halt", **fields)
    assert (asked.scope, asked.pairs) == (scope, pairs)
    assert asked.pair == (pairs[0] if scope.startswith("pair:") else None)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"pair": "DOGE-USDT_spot_perp"}, "unknown_pair"),
        ({"pair": ""}, "unknown_pair"),
        ({"pair": f"{BTC} "}, "unknown_pair"),
        ({"pair": BTC.lower()}, "unknown_pair"),
        ({"pair": f"{BTC}\n{ETH}"}, "unknown_pair"),
        ({"pair": "*"}, "unknown_pair"),
        ({"pair": "../../etc"}, "unknown_pair"),
        ({"scope": "venue:kraken"}, "unknown_scope"),
        ({"scope": "venue:>"}, "unknown_scope"),
        ({"scope": "venue:"}, "unknown_scope"),
        ({"scope": "symbol:bitget-BTC-USDT-PERP"}, "unknown_scope"),
        ({"scope": "pair:*"}, "unknown_pair"),
        ({"scope": "binance"}, "bad_scope"),
        ({"scope": ""}, "bad_scope"),
        ({"scope": "GLOBAL"}, "bad_scope"),
        ({"scope": "global:"}, "bad_scope"),
        ({"pair": BTC, "scope": "global"}, "conflict"),
        ({"pair": BTC, "scope": f"pair:{ETH}"}, "conflict"),
        ({"pair": BTC, "scope": "venue:binance"}, "conflict"),
    ],
)
def test_scopes_that_are_not_there_are_refused(fields: dict[str, str], code: str) -> None:
    assert code_of(desk().take(said("halt", **fields), NOW)) == code


def test_an_alias_of_two_pairs_names_both() -> None:
    twice = {
        **PAIRS,
        "BTC-USDT_bitget-spot_bitget-perp": (("bitget", "BTC-USDT"), ("bitget", "BTC-USDT-PERP")),
    }
    at = CommandDesk("risk", verbs=("halt",), pairs=twice)
    refused = at.take(said("halt", pair="BTC-USDT_spot_perp"), NOW)
    assert code_of(refused) == "ambiguous"
    assert isinstance(refused, list)
    assert all(pair in str(refused[1]) for pair in (BTC, "BTC-USDT_bitget-spot_bitget-perp"))


def test_a_dated_leg_has_its_date_in_the_alias() -> None:
    pair = "BTC-USDT_okx-spot_okx-241227"
    dated = {pair: (("okx", "BTC-USDT"), ("okx", "BTC-USDT-241227"))}
    assert (
        taken(CommandDesk("risk", verbs=("halt",), pairs=dated), "halt", pair="BTC-USDT_spot_241227").pair
        == pair
    )


def test_hostile_names_are_quoted_short_and_in_ascii() -> None:
    refused = desk().take(said("halt", pair="\u202e\x1b[2J" + "\U0001f4a5" * 5_000), NOW)
    assert isinstance(refused, list)
    assert isinstance(refused[1], Reply)
    error = refused[1].reply.error
    assert error is not None
    assert error.message.isascii()
    assert error.message.isprintable()
    assert len(error.message) < 1_000


# --- what it needs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["flatten", "reset"])
def test_what_cannot_be_undone_needs_a_confirmation(verb: str) -> None:
    assert code_of(desk().take(said(verb), NOW)) == "confirm"
    taken(desk(), verb, confirm=True)


@pytest.mark.parametrize("verb", ["pause", "resume", "halt"])
def test_a_halt_is_one_step(verb: str) -> None:
    assert taken(desk(), verb).verb == verb


@pytest.mark.parametrize("verb", ["open", "close", "rebalance"])
def test_some_verbs_are_about_exactly_one_pair(verb: str) -> None:
    assert code_of(desk().take(said(verb), NOW)) == "bad_request"
    assert code_of(desk().take(said(verb, scope="venue:bitget"), NOW)) == "bad_request"
    assert taken(desk(), verb, pair=BTC).pair == BTC


@pytest.mark.parametrize("field", ["reason", "actor"])
def test_long_texts_are_refused(field: str) -> None:
    assert code_of(desk().take(said("halt", **{field: "x" * (REASON_CHARS_MAX + 1)}), NOW)) == "bad_request"


def test_texts_become_one_printable_line() -> None:
    asked = taken(desk(), "halt", reason="a\r\nb\x1b[2J\u202ec", actor="me\n")
    assert asked.reason == "a  b [2J c"
    assert asked.actor == "me"


# --- how it ends ------------------------------------------------------------------------------------


def test_done_is_one_line_and_one_answer() -> None:
    audit, reply = taken(desk(), "close", pair=BTC, reason="weekend", actor="me@home").done(
        {"state": "closing"}
    )
    assert audit == Audit(
        subject="cmd.close",
        body=f'{{"pair":"{BTC}","reason":"weekend","actor":"me@home"}}',
        decision="done",
        reason="weekend",
        actor="me@home",
    )
    assert isinstance(reply, Reply)
    assert (reply.to, reply.reply.service, reply.reply.ok) == ("inbox", "executor", True)
    assert reply.reply.result == {"scope": f"pair:{BTC}", "state": "closing"}


def test_refusing_is_one_line_and_one_answer() -> None:
    assert code_of(taken(desk(), "close", pair=BTC).refuse("busy", "it is being opened")) == "busy"


def test_who_only_reads_leaves_no_line() -> None:
    for verb in READING:
        assert [type(one) for one in taken(desk(), verb).done()] == [Reply]
        assert [type(one) for one in taken(desk(), verb).refuse("no", "no")] == [Audit, Reply]


texts = st.none() | st.text(max_size=700) | st.sampled_from(["global", BTC, f"pair:{ETH}", "venue:bitget"])


@settings(derandomize=True, max_examples=300)
@given(
    verb=st.sampled_from([*VERBS, "x"]),
    pair=texts,
    scope=texts,
    reason=texts,
    actor=texts,
    id=texts,
    ts_ms=st.none() | st.integers(0, 2**53) | st.just(NOW_MS),
    confirm=st.booleans(),
)
def test_whatever_is_said_is_decided_once_and_can_be_written_down(verb: str, **fields: Any) -> None:
    """No text makes an answer or an audit line that could not be encoded."""
    at = desk(catches_unknown=True)
    asked = at.take(said(verb, **fields), NOW)
    effects = asked if isinstance(asked, list) else asked.refuse("no", "no")
    audit, reply = effects
    assert isinstance(audit, Audit)
    assert isinstance(reply, Reply)
    entry = audit_entry(audit, service="risk", wall_us=0)
    assert entry["decision"] == b"refused"
    assert len(encode(reply.reply)) < 8_000
    if isinstance(asked, Asked):
        assert asked.scope == "global" or asked.pairs
        assert asked.reason.isprintable()
