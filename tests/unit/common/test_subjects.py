"""Names on the wire: whatever a venue calls a thing, its token is safe, and two things never share one."""

from __future__ import annotations

import inspect

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common import subjects
from libs.common.bus import check_subject, matches
from libs.common.messages import type_of
from libs.common.subjects import Channel, Kind

ODD = [
    "BTC",
    "1000SHIB",
    "xyz:AAPL",
    "A.B",
    "a*",
    "a>",
    "BTC/USDT:USDT-241227",
    "a b",
    "我踏马来了",
    "币安人生",
    "é",
    "a_b",
    "a-b",
    "\n",
    "🐸",
]


def test_slugs_are_safe_and_tell_odd_names_apart() -> None:
    made = [subjects.slug(name) for name in ODD]
    assert len(set(made)) == len(ODD)
    assert all(subjects.SLUG.match(one) for one in made)
    assert subjects.slug("币") == "_5e01_"
    assert subjects.slug("xyz:AAPL") == "xyz_3a_AAPL"
    assert subjects.slug("a_b") == "a_5f_b"
    with pytest.raises(ValueError, match="empty"):
        subjects.slug("")


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_any_two_names_have_two_safe_slugs(one: str, other: str) -> None:
    first, second = subjects.slug(one), subjects.slug(other)
    assert subjects.SLUG.match(first)
    assert (first == second) == (one == other)
    check_subject(subjects.quote("okx", first))


@pytest.mark.parametrize("base", ODD)
def test_instruments_of_odd_bases_go_the_whole_way_round_the_table(base: str) -> None:
    spot = subjects.instrument_slug(base, "USDT", Kind.SPOT)
    perp = subjects.instrument_slug(base, "USDT", Kind.PERP)
    future = subjects.instrument_slug(base, "USDT", Kind.FUTURE, expiry="241227")
    assert [subjects.kind_of(one) for one in (spot, perp, future)] == [Kind.SPOT, Kind.PERP, Kind.FUTURE]
    for build in (subjects.quote, subjects.book, subjects.funding, subjects.history, subjects.instrument):
        for slug in (spot, perp, future):
            subject = build("binance", slug)
            check_subject(subject)
            assert type_of(subject) is not None
            assert matches(subjects.ALL_MD, subject)
            assert subjects.channel_of(subject) is Channel.DATA
    pair = subjects.pair_id(("binance", spot), ("bybit", perp))
    assert pair == f"{subjects.slug(base)}-USDT_binance-spot_bybit-perp"
    assert matches(subjects.ALL_OPPORTUNITIES, subjects.opportunity(pair))


def test_pairs_of_the_same_coin_on_other_legs_have_other_ids() -> None:
    spot, perp, dated = "BTC-USDT", "BTC-USDT-PERP", "BTC-USDT-241227"
    legs = [(venue, one) for venue in ("binance", "okx") for one in (spot, perp, dated)]
    pairs = [(one, other) for one in legs for other in legs if one != other]
    assert len({subjects.pair_id(*pair) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("expiry", ["", "24127", "2024-12-27", "24122a", "241227\n"])
def test_a_dated_future_needs_its_expiry(expiry: str) -> None:
    with pytest.raises(ValueError, match="yymmdd"):
        subjects.instrument_slug("BTC", "USDT", Kind.FUTURE, expiry=expiry)


@pytest.mark.parametrize("bad", ["", ".", "a.b", "*", ">", "a b", "é", "BTC/USDT", "a\n", "\x00", "币"])
def test_no_builder_lets_a_bad_token_through(bad: str) -> None:
    builders = {
        name: build
        for name, build in inspect.getmembers(subjects, inspect.isfunction)
        if build.__annotations__.get("return") == "str" and not name.startswith("_")
    }
    for name in ("slug", "instrument_slug", "leg_name", "pair_id", "pair_stem", "pair_name"):
        del builders[name]
    assert len(builders) >= 10
    for name, build in builders.items():
        tokens = ["x"] * len(inspect.signature(build).parameters)
        check_subject(build(*tokens))
        for place in range(len(tokens)):
            with pytest.raises(ValueError, match="no subject token"):
                build(*tokens[:place], bad, *tokens[place + 1 :])
            assert name


@pytest.mark.parametrize(
    ("subject", "channel"),
    [
        ("md.quote.okx.X", Channel.DATA),
        ("signal.opportunity.X", Channel.DATA),
        ("signal.evaluation", Channel.DATA),
        ("signal.intent.X", Channel.CONTROL),
        ("exec.pair.X", Channel.CONTROL),
        ("risk.permit", Channel.CONTROL),
        ("alert.critical", Channel.CONTROL),
        ("sys.health.feed", Channel.CONTROL),
        ("cmd.halt", Channel.CONTROL),
        ("_INBOX.x.1", Channel.CONTROL),
        ("mdx.quote", Channel.CONTROL),
    ],
)
def test_what_must_not_wait_for_ticks_goes_over_control(subject: str, channel: Channel) -> None:
    assert subjects.channel_of(subject) is channel


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP")),
        (("binance-sub_1", "BTC-USDT"), ("bitget", "BTC-USDT-261225")),
        (("okx", "X_Y-USDT-PERP"), ("gate-a-b_c", "X_Y-USDT-PERP")),
    ],
)
def test_a_pair_s_id_tells_its_venues(first: tuple[str, str], second: tuple[str, str]) -> None:
    assert subjects.venues_of(subjects.pair_id(first, second)) == (first[0], second[0])


@pytest.mark.parametrize("text", ["", "BTC-USDT", "BTC-USDT_binance-spot", "BTC-USDT_a-spot_b-x"])
def test_what_is_no_pair_s_id_has_no_venues(text: str) -> None:
    assert subjects.venues_of(text) == ()
