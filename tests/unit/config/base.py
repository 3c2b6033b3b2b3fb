"""A good config to break, and the systematic ways of breaking it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from libs.common.config import names
from libs.common.config.units import BOUNDS, Unit

GOOD: dict[str, Any] = {
    "mode": "observer",
    "symbols": ["BTC/USDT", "ETH/USDT"],
    "exchanges": {
        "spot": {"id": "binance", "type": "spot"},
        "perp": {"id": "binance", "type": "swap"},
        "other": {"id": "bitget", "type": "swap"},
    },
    "pairs": [{"symbol": "*", "legs": ["spot", "perp"]}, {"symbol": "BTC/USDT", "legs": ["perp", "other"]}],
    "position": {"notional_usd": 1000},
    "thresholds": {"dailyFundingMin": 0.0002},
    "costs": {"taker": 0.0005, "venues": {"binance": {"maker": 0.0001}}},
    "limits": {"max_notional_usd": 5000},
}

ABSENT = object()


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """`path` set to `value` must be refused at `at`, with `reason` in the text (and `nearest` named)."""

    name: str
    path: tuple[str | int, ...]
    value: Any
    at: str
    reason: str
    nearest: str = ""

    def __str__(self) -> str:
        return self.name


def with_value(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """GOOD with one value changed, added or (ABSENT) removed."""
    tree = copy.deepcopy(GOOD)
    at: Any = tree
    for part in path[:-1]:
        if isinstance(at, dict) and part not in at:
            at[part] = {}
        at = at[part]
    if value is ABSENT:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return tree


def write(folder: Path, tree: Any, name: str = "config.json") -> Path:
    path = folder / name
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree), encoding="utf-8")
    return path


def _at(key: str) -> tuple[str, ...]:
    return tuple("binance" if part == "*" else part for part in key.split("."))


def out_of_bounds() -> Iterator[Broken]:
    """Every number of the schema, once above and once below what its unit allows."""
    for key, bound in BOUNDS.items():
        path = _at(key)
        whole = bound.unit is Unit.COUNT or key == "report.hour_utc"
        above = int(bound.high) + 1 if whole else bound.high * 2 or 0.1
        below = int(bound.low) - 1 if whole else bound.low - 1
        for word, value in (("above", above), ("below", below)):
            reason = (
                "expected, not"
                if word == "below" or bound.unit is not Unit.FRACTION or not bound.high
                else "a fraction is expected"
            )
            yield Broken(name=f"{key} {word}", path=path, value=value, at=".".join(path), reason=reason)
        if bound.above:
            yield Broken(
                name=f"{key} at its open end",
                path=path,
                value=bound.low,
                at=".".join(path),
                reason="expected, not",
            )


def misspelled() -> Iterator[Broken]:
    """One key of each section with a letter missing."""
    for key in names.all_paths():
        *section, field = key.split(".")
        path = tuple(
            {"exchanges": "perp", "venues": "binance", "channels": "phone"}[section[i - 1]]
            if part == "*"
            else part
            for i, part in enumerate(section)
        )
        if len(field) < 5 or "options" in section or field.endswith(("_file", "File")):
            continue
        wrong = field[:2] + field[3:]
        if ".".join((*section, wrong)) in names.all_paths():
            continue
        yield Broken(
            name=f"{key} misspelled",
            path=(*path, wrong),
            value=1,
            at=".".join((*path, wrong)),
            reason="unknown key",
            nearest=".".join((*path, field)),
        )


def _named(path: tuple[str, ...]) -> str:
    """A name of the user's choice, below a section of such."""
    if path[:2] == ("paper", "balances"):
        return ("binance", "spot", "USDT")[len(path) - 2]
    return {"exchanges": "perp", "venues": "binance", "channels": "phone"}[path[-1]]


def wrong_words() -> Iterator[Broken]:
    """Every choice of the schema with a word that is none of them."""

    def visit(shape: inspect.Type, path: tuple[str, ...]) -> Iterator[Broken]:
        match shape:
            case inspect.StructType():
                for field in shape.fields:
                    yield from visit(field.type, (*path, field.name))
            case inspect.DictType() if path[-1] != "options":
                yield from visit(shape.value_type, (*path, _named(path)))
            case inspect.UnionType() if any(isinstance(part, inspect.LiteralType) for part in shape.types):
                yield from visit(next(p for p in shape.types if isinstance(p, inspect.LiteralType)), path)
            case inspect.LiteralType() | inspect.EnumType():
                word = str(shape.values[0]) if isinstance(shape, inspect.LiteralType) else "observer"
                yield Broken(
                    name=f"{'.'.join(path)} is no choice",
                    path=path,
                    value=word + "s",
                    at=".".join(path),
                    reason="one of ",
                    nearest=word,
                )

    yield from visit(names.root(), ())


def wrong_types() -> Iterator[Broken]:
    """Every scalar of the schema with text, a list, null or a flag in its place."""

    def visit(shape: inspect.Type, path: tuple[str, ...]) -> Iterator[tuple[inspect.Type, tuple[str, ...]]]:
        if isinstance(shape, inspect.StructType):
            for field in shape.fields:
                yield from visit(field.type, (*path, field.name))
        elif isinstance(shape, inspect.DictType):
            if path[-1] != "options":
                yield from visit(shape.value_type, (*path, _named(path)))
        else:
            yield shape, path

    for shape, path in visit(names.root(), ()):
        value: Any = {"a": 1} if isinstance(shape, inspect.BoolType) else [True]
        if isinstance(shape, inspect.VarTupleType):
            value = "BTC/USDT"
        at = ".".join(path)
        yield Broken(name=f"{at} of a wrong type", path=path, value=value, at=at, reason="expected")
