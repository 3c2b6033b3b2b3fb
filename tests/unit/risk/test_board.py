"""Breakers: one a scope, the strictest first, within 32 KB, and never laxer for being shorter."""

from __future__ import annotations

import msgspec

from libs.common.codec import encode
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config, Exchange
from libs.common.messages_exec import Level, Permit
from libs.common.permit import PermitView, scopes_of
from services.risk.board import PERMIT_BYTES_MAX, Cause, changed, fitted, fold, of_latch
from services.risk.latches import Latch
from services.risk.scopes import Scopes
from tests.unit.risk.rig import Rig
from tests.unit.risk.world import CONFIG

BUS_BYTES_MAX = 64 * 1024
MANY = Config(
    symbols=tuple(f"COIN{number}/USDT" for number in range(400)),
    exchanges={"spot": Exchange(id="binance", type="spot"), "perp": Exchange(id="bitget", type="swap")},
)


def cause(scope: str, level: Level, control: str = "data_age", *, since_us: int = 1) -> Cause:
    return Cause(
        scope=scope,
        level=level,
        control=control,
        reason="why",
        until="then",
        latched=False,
        since_us=since_us,
    )


def permit(*causes: Cause) -> Permit:
    return Permit(risk_epoch=1, revision=1, build="b", wall_us=0, breakers=fold(causes))


def test_one_breaker_a_scope_with_all_reasons_the_strictest_first() -> None:
    found = fold(
        [
            cause("venue:a", Level.NO_OPENS, "x", since_us=1),
            cause("global", Level.NO_OPENS, "y"),
            cause("venue:a", Level.REDUCE_ONLY, "z", since_us=5),
            cause("pair:q", Level.NORMAL, "warn"),
        ]
    )
    assert [(one.scope, one.level, one.controls) for one in found] == [
        ("venue:a", Level.REDUCE_ONLY, ("z", "x")),
        ("global", Level.NO_OPENS, ("y",)),
    ]
    assert found[0].reason == "z: why; x: why"
    assert found[0].since_us == 5, "since the level is what it is"


def test_a_latch_says_what_ends_it() -> None:
    latch = Latch(scope="global", level=Level.NO_OPENS, control="churn", reason="r", since_us=0)
    timed = msgspec.structs.replace(latch, until_us=86_400_000_000)
    assert of_latch(timed).until == "1970-01-02 00:00 UTC, or a reset"
    assert not of_latch(timed).latched
    assert of_latch(latch).until == "a reset"
    assert of_latch(latch).latched


def test_too_many_symbols_collapse_to_their_venue_and_stay_as_strict() -> None:
    scopes = Scopes(pair_specs(MANY))
    causes = [
        cause(f"symbol:{venue}-{name}", Level.REDUCE_ONLY if "COIN7-" in name else Level.NO_OPENS)
        for venue, name in scopes.legs
    ]
    causes.append(cause("symbol:bitget-COIN9-USDT-PERP", Level.FLATTEN, "operator_flatten"))
    large = permit(*causes)
    assert len(encode(large)) > PERMIT_BYTES_MAX
    small = fitted(large, scopes)
    assert len(encode(small)) <= PERMIT_BYTES_MAX
    assert {one.scope: one.level for one in small.breakers} == {
        "symbol:bitget-COIN9-USDT-PERP": Level.FLATTEN,
        "venue:binance": Level.REDUCE_ONLY,
        "venue:bitget": Level.REDUCE_ONLY,
    }, "others are not flattened because a message was too long"
    assert "400 scopes are not normal" in next(
        one.reason for one in small.breakers if one.scope == "venue:binance"
    )
    _never_laxer(large, small, scopes)


def test_too_many_pairs_collapse_to_everything() -> None:
    scopes = Scopes(pair_specs(MANY))
    large = permit(
        *(cause(f"pair:{pair}", Level.REDUCE_ONLY) for pair in scopes.specs),
        cause("global", Level.NO_OPENS, "own"),
    )
    small = fitted(large, scopes)
    assert [(one.scope, one.level) for one in small.breakers] == [("global", Level.REDUCE_ONLY)]
    assert small.breakers[0].controls == ("collapsed", "own")
    _never_laxer(large, small, scopes)


def test_what_is_flattened_is_named_and_loses_its_words_before_the_bus_refuses_it() -> None:
    scopes = Scopes(pair_specs(MANY))
    wordy = [
        msgspec.structs.replace(cause(f"pair:{one}", Level.FLATTEN), reason="x" * 240) for one in scopes.specs
    ]
    large = permit(*wordy)
    small = fitted(large, scopes)
    assert len(encode(large)) > BUS_BYTES_MAX > len(encode(small))
    assert {one.scope for one in small.breakers} == {one.scope for one in wordy}
    _never_laxer(large, small, scopes)


def _never_laxer(large: Permit, small: Permit, scopes: Scopes) -> None:
    views = [PermitView(build="b"), PermitView(build="b")]
    now = Rig().clock.now()
    for view, one in zip(views, (large, small), strict=True):
        assert view.apply(msgspec.structs.replace(one, wall_us=now.wall_us), now)
    for spec in scopes.specs.values():
        names = scopes_of(spec.id, tuple((leg.venue, leg.instrument) for leg in spec.legs))
        assert views[1].level(names).rank >= views[0].level(names).rank


def test_what_fits_is_left_alone() -> None:
    scopes = Scopes(pair_specs(CONFIG))
    one = permit(cause("symbol:binance-BTC-USDT", Level.NO_OPENS))
    assert fitted(one, scopes) is one


def test_only_changes_of_level_or_controls_are_told() -> None:
    former = {
        one.scope: one for one in fold([cause("global", Level.NO_OPENS), cause("venue:a", Level.NO_OPENS)])
    }
    after = {
        one.scope: one for one in fold([cause("global", Level.REDUCE_ONLY), cause("pair:q", Level.NO_OPENS)])
    }
    told = changed(former, after, wall_us=7)
    assert {(one.scope, one.level) for one in told} == {
        ("global", Level.REDUCE_ONLY),
        ("pair:q", Level.NO_OPENS),
        ("venue:a", Level.NORMAL),
    }
    assert changed(after, after, wall_us=8) == ()
