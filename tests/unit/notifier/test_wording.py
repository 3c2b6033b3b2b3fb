"""The words of messages: what is in them, and that no channel can refuse one for its length."""

from __future__ import annotations

import shlex
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.messages import AlertLevel, AlertRaised
from services.notifier import feishu
from services.notifier.feishu import check
from services.notifier.lane import DIGEST_ITEMS
from services.notifier.model import Item, item_of
from services.notifier.wording import CHARS_MAX, chars, digest, notice_of, plain, single
from services.notifier.work import NotDelivered

TELEGRAM_CHARS_MAX = 4_096
FEISHU_BYTES_MAX = 20_000


def item(number: int = 0, **fields: Any) -> Item:
    plainly: dict[str, Any] = {
        "id": f"{number}-0",
        "level": AlertLevel.CRITICAL,
        "key": "naked:BTC",
        "text": "120 USD naked",
        "service": "executor",
        "raised_us": 1_700_000_000_000_000,
        "taken_us": 1_700_000_000_000_000,
    }
    return Item(**{**plainly, **fields})


def test_one_matter_says_all_that_is_known_of_it_in_the_readers_time() -> None:
    one = item(context={"pair": "P"}, repeats=1, why="not acknowledged within 5 min on team")
    said = single(one, deployment="main", zone=ZoneInfo("Asia/Shanghai"))
    assert said.title == "CRITICAL: 120 USD naked  [main]"
    assert plain(said).splitlines() == [
        "120 USD naked",
        "Raised once more since",
        "Escalated: not acknowledged within 5 min on team",
        "",
        "when: 2023-11-15 06:13:20 CST",
        "from: executor",
        "key: naked:BTC",
        "pair: P",
        "",
        "Say that you know: fundarb ack naked:BTC",
    ]


def test_repeats_are_told_with_their_last_words() -> None:
    said = single(item(repeats=7, last_text="240 USD naked"), deployment="main")
    assert said.lines == ("120 USD naked", "Raised 7 more times since; the last: 240 USD naked")


@pytest.mark.parametrize(
    "fields",
    [
        {"level": AlertLevel.WARNING},
        {"acknowledged_by": "ann"},
        {"kind": "resolved"},
        {"kind": "report", "level": AlertLevel.INFO},
    ],
)
def test_what_waits_for_nobody_asks_for_nothing(fields: dict[str, Any]) -> None:
    assert single(item(**fields), deployment="main").footer == ""
    assert digest([item(**fields)] * 2, deployment="main").footer == ""


@pytest.mark.parametrize(
    "key", ["naked:BTC", "a b", "it's; rm -rf ~", "$(x)", "`x`", "\u8d44\u91d1\u8d39", "-x"]
)
def test_what_is_to_be_typed_names_exactly_this_key_to_a_shell(key: str) -> None:
    footer = single(item(key=key), deployment="main").footer
    assert shlex.split(footer)[-1] == key


def test_a_digest_has_a_line_for_each_and_counts_them_in_its_title() -> None:
    calm = item(1, level=AlertLevel.WARNING, text="a\nb  c", key="calm", repeats=2)
    over = item(2, kind="resolved", key="over", why="x")
    news = item(3, kind="opportunity", level=AlertLevel.INFO, key="opportunity:P", text="P passes")
    said = digest([item(), calm, over, news], deployment="main", left_out=3)
    assert said.title == "1 CRITICAL, 1 Warning, 1 Resolved, 1 Opportunity  [main]"
    assert said.level is AlertLevel.CRITICAL
    assert said.lines == (
        "11-14 22:13:20 CRITICAL: 120 USD naked [naked:BTC]",
        "11-14 22:13:20 Warning (2 more times): a b c [calm]",
        "11-14 22:13:20 Resolved (escalated): 120 USD naked [over]",
        "11-14 22:13:20 Opportunity: P passes",
        "3 older ones found no room here: the recorder's log has them",
    )
    assert said.footer == "Say that you know: fundarb ack KEY, or fundarb ack --all"


def test_one_item_is_a_digest_only_when_others_found_no_room() -> None:
    assert notice_of([item()], deployment="main") == single(item(), deployment="main")
    assert notice_of([item()], deployment="main", left_out=1).title == "1 CRITICAL  [main]"


def test_a_resolved_matter_is_not_shown_as_loud_as_it_was() -> None:
    assert single(item(kind="resolved"), deployment="main").level is AlertLevel.INFO
    assert digest([item(kind="resolved")] * 2, deployment="main").level is AlertLevel.INFO


# --- length -------------------------------------------------------------------------------------------------

words = st.one_of(
    st.text(max_size=30),
    st.integers(0, 4_000).map(lambda count: "\u8d44" * count),
    st.integers(0, 4_000).map(lambda count: '"' * count),
    st.integers(0, 4_000).map(lambda count: "x" * count),
    st.integers(0, 4_000).map(lambda count: "\x01" * count),
)


@st.composite
def items(draw: st.DrawFn) -> Item:
    raised = AlertRaised(
        level=draw(st.sampled_from(AlertLevel)),
        key=draw(words),
        text=draw(words),
        service=draw(words),
        context=draw(st.dictionaries(words, words, max_size=16)),
        wall_us=1_700_000_000_000_000,
    )
    made = item_of("1-0", raised, taken_us=1_700_000_000_000_000)
    repeats = draw(st.sampled_from((0, 1, 123_456)))
    last = item_of("2-0", msgspec.structs.replace(raised, text=draw(words)), taken_us=0).text
    return msgspec.structs.replace(
        made, repeats=repeats, last_text=last if repeats else "", why=draw(words)[:1_000]
    )


@settings(derandomize=True, max_examples=150, deadline=None)
@given(one=items(), many=st.lists(items(), min_size=1, max_size=3), left_out=st.sampled_from((0, 99_999)))
def test_no_message_is_longer_than_the_strictest_channel_takes(
    one: Item, many: list[Item], left_out: int
) -> None:
    full = (many * DIGEST_ITEMS)[:DIGEST_ITEMS]
    for said in (single(one, deployment="main"), digest(full, deployment="main", left_out=left_out)):
        assert chars(said) <= CHARS_MAX < TELEGRAM_CHARS_MAX
        assert len(said.title) + 1 + len(plain(said)) == chars(said)
        assert len(feishu.body(said, secret="s" * 30, timestamp_sec=1_700_000_000)) <= FEISHU_BYTES_MAX
    assert len(digest(full, deployment="main").lines) == DIGEST_ITEMS


def test_signs_that_nobody_sees_are_left_out_and_lines_stay() -> None:
    raised = AlertRaised(
        level=AlertLevel.INFO, key="a\x1b[2Jb", text="one\ntwo\x00\u202e", service="s", wall_us=0
    )
    made = item_of("1-0", msgspec.structs.replace(raised, context={"a\tb": "\x07"}), taken_us=0)
    assert (made.key, made.text, made.context) == ("a [2Jb", "one\ntwo  ", {"a b": " "})


def test_what_does_not_fit_is_said_to_be_missing_and_the_first_words_stay() -> None:
    long = item(context={f"name{number}": "v" * 200 for number in range(12)}, text="t" * 1_500)
    said = single(long, deployment="main")
    names = [name for name, _ in said.facts]
    assert names[:4] == ["when", "from", "key", "name0"]
    assert said.facts[-1] == ("not shown", f"{12 - (len(names) - 4)} more of what is known")
    assert said.lines[0] == "t" * 1_500


# --- a bot's answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "answer", "words", "refused"),
    [
        (502, b"<html>", "HTTP 502, and no JSON in the answer", False),
        (200, b"[0]", "HTTP 200 code None", False),
        (500, b'{"code":0}', "HTTP 500 code None", False),
        (200, b'{"code":9499,"msg":"bad"}', "HTTP 200 code 9499; bad; the message is not understood", True),
        (200, b'{"code":11246}', "HTTP 200 code 11246", True),
        (400, b'{"code":19001}', "HTTP 400 code 19001; the webhook address is not that of a bot", False),
        (200, b'{"code":"0"}', "HTTP 200 code 0", False),
    ],
)
def test_what_a_bot_means(status: int, answer: bytes, words: str, refused: bool) -> None:  # noqa: FBT001
    with pytest.raises(NotDelivered) as caught:
        check(status, answer)
    assert str(caught.value).startswith(words)
    assert (caught.value.error_class == "refused") is refused
