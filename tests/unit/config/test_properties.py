"""Merging, overriding and spelling, for any settings."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from libs.common.config import names
from libs.common.config.load import ConfigError, Problem, load_config, load_with_report
from libs.common.config.schema import Config
from libs.common.config.units import BOUNDS, Unit, out_of_bounds
from tests.unit.config.base import GOOD

# Numbers that no rule ties to another one.
FREE = {
    key: bound
    for key, bound in BOUNDS.items()
    if "*" not in key
    and key.split(".")[1] not in (
        "futures_margin_leverage", "max_leverage", "notional_usd", "max_notional_usd",
        "max_notional_per_venue_usd", "poll_interval_sec", "open_timeout_sec", "history_days",
    )
}  # fmt: skip


def numbers(key: str) -> st.SearchStrategy[float]:
    bound = BOUNDS[key]
    if bound.unit is Unit.COUNT or key == "report.hour_utc":
        return st.integers(int(bound.low), int(bound.high))
    return st.floats(bound.low, bound.high, exclude_min=bound.above).filter(
        lambda value: out_of_bounds(key, value) is None
    )


@st.composite
def some_settings(draw: st.DrawFn) -> dict[str, float]:
    keys = draw(st.lists(st.sampled_from(sorted(FREE)), unique=True, max_size=6))
    return {key: draw(numbers(key)) for key in keys}


def tree_of(flat: dict[str, float], *, camel: bool = False) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        section, field = key.split(".")
        tree.setdefault(section, {})[names.camel(field) if camel else field] = value
    return tree


def load(trees: list[dict[str, Any]], env: dict[str, str] | None = None) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for index, tree in enumerate(trees):
            paths.append(Path(folder) / f"{index}.json")
            paths[-1].write_text(json.dumps(tree))
        return load_config(paths, env or {})


def value_of(config: Config, key: str) -> Any:
    section, field = key.split(".")
    return getattr(getattr(config, section), field)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(some_settings(), some_settings(), some_settings())
def test_the_last_one_wins_setting_by_setting(
    first: dict[str, float], second: dict[str, float], third: dict[str, float]
) -> None:
    env = {f"FUNDARB__{key.replace('.', '__').upper()}": json.dumps(value) for key, value in third.items()}
    config = load([tree_of(first), tree_of(second)], env)
    for key in FREE:
        wanted = third.get(key, second.get(key, first.get(key, value_of(Config(), key))))
        assert value_of(config, key) == wanted


@settings(derandomize=True, max_examples=60, deadline=None)
@given(some_settings())
def test_a_setting_means_the_same_however_it_is_given(flat: dict[str, float]) -> None:
    env = {f"FUNDARB__{key.replace('.', '__').upper()}": json.dumps(value) for key, value in flat.items()}
    assert (
        load([tree_of(flat)])
        == load([tree_of(flat, camel=True)])
        == load([], env)
        == load([tree_of(flat)] * 2)
    )


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.sampled_from(["taker", "maker"]), st.integers(-5_000, 10_000))
def test_bps_and_fractions_are_the_same_number(field: str, hundredths: int) -> None:
    bps = hundredths / 100
    if 0 < abs(bps) < 0.01:
        return
    text = f"{hundredths / 1_000_000:.8f}"
    both = {"costs": {f"{field}_bps": bps, field: json.loads(text)}}
    assert getattr(load([both]).costs, field) == json.loads(text)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["mode", "symbols", "exchanges", "pairs", "position", "costs", "thresholds", "x", "notify"]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["id", "type", "taker", "legs", "symbol", "secret", "a"]),
                    inner,
                    max_size=3,
                )
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_nonsense_is_refused_in_words_or_accepted(tree: dict[str, Any]) -> None:
    config, problems = read(tree)
    assert (config is None) == bool(problems)
    assert all(problem.reason for problem in problems)


def read(tree: dict[str, Any]) -> tuple[Config | None, tuple[Problem, ...]]:
    try:
        return load([tree]), ()
    except ConfigError as error:
        return None, error.problems


def test_what_was_loaded_can_be_written_and_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD))
    config = load_with_report([path], {}).config
    path.write_bytes(msgspec.json.encode(config))
    again = json.loads(path.read_text())
    for section in ("thresholds", "limits", "costs"):
        again[section] = {name: value for name, value in again[section].items() if value is not None}
    again["costs"]["venues"]["binance"] = {"maker": 0.0001}
    path.write_text(json.dumps(again))
    assert load_config([path], {}) == config


def test_every_number_has_a_bound() -> None:
    def visit(shape: inspect.Type, path: tuple[str, ...]) -> list[str]:
        match shape:
            case inspect.StructType():
                return [found for field in shape.fields for found in visit(field.type, (*path, field.name))]
            case inspect.DictType():
                return [] if path[-1] == "options" else visit(shape.value_type, (*path, "*"))
            case inspect.UnionType():
                return [found for part in shape.types for found in visit(part, path)]
            case inspect.FloatType() | inspect.IntType():
                return [".".join(path)]
        return []

    assert sorted(visit(names.root(), ())) == sorted(BOUNDS)


def test_every_default_is_within_its_bounds() -> None:
    for key in BOUNDS:
        if "*" not in key:
            value = value_of(Config(), key)
            assert value is None or out_of_bounds(key, value) is None, key
