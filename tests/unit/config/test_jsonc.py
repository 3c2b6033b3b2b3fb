"""JSON with comments: as `json` reads it, plus comments, and an answer with a place for everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.config.jsonc import JsonSyntaxError, parse

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**18), max_value=10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
SPACE = st.sampled_from(["", " ", "\n", "\t", '// 中文 " } ] , \n', '/* * / // \n " */', "/**/", "//\n"])


@st.composite
def commented(draw: st.DrawFn, value: Any) -> str:
    """JSON of `value` with comments and trailing commas wherever they may stand."""

    def gap() -> str:
        return draw(SPACE)

    def write(node: Any) -> str:
        if isinstance(node, dict):
            parts = [
                f"{gap()}{json.dumps(key)}{gap()}:{gap()}{write(inner)}{gap()}" for key, inner in node.items()
            ]
        elif isinstance(node, list):
            parts = [f"{gap()}{write(inner)}{gap()}" for inner in node]
        else:
            return json.dumps(node, ensure_ascii=draw(st.sampled_from([True, False])))
        last = draw(st.sampled_from(["", ","])) if parts else ""
        opened, closed = ("{", "}") if isinstance(node, dict) else ("[", "]")
        return f"{opened}{gap()}{','.join(parts)}{last}{gap()}{closed}"

    return f"{gap()}{write(value)}{gap()}"


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.data(), TREES)
def test_comments_change_nothing(data: st.DataObject, tree: Any) -> None:
    text = data.draw(commented(tree))
    assert parse(text).tree == tree


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(alphabet='{}[]",:/*\\ \n0123456789.eE+-truefalsnN\x00\ufeffж') | st.text())
def test_any_text_is_a_value_or_a_syntax_error_with_a_place(text: str) -> None:
    tree, error = read(text)
    if error is None:
        json.dumps(tree, allow_nan=False)
        return
    assert 1 <= error.line <= text.count("\n") + 1
    assert error.column >= 1
    if not text.startswith("\ufeff"):
        with pytest.raises(ValueError):  # noqa: PT011 - what we refuse, json refuses
            _strictly(text)


def read(text: str) -> tuple[Any, JsonSyntaxError | None]:
    try:
        return parse(text).tree, None
    except JsonSyntaxError as error:
        return None, error


def _strictly(text: str) -> None:
    """`json` with what we refuse on top of it."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(found)) != len(found):
            raise ValueError("twice")
        return dict(found)

    def constant(name: str) -> None:
        raise ValueError(name)

    tree = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    json.dumps(tree, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "empty"),
        ("// nothing\n", 2, "empty"),
        ('{"a": 1', 1, "never closed with }"),
        ("[1, 2", 1, "never closed with ]"),
        ("{\n/* open", 2, "never closed with */"),
        ('{"a" 1}', 1, '":" is expected'),
        ('{"a": 1 "b": 2}', 1, '"," or "}" is expected'),
        ("{'a': 1}", 1, "a key in double quotes"),
        ("['a']", 1, "double quotes"),
        ("{,}", 1, "a key in double quotes"),
        ("[,]", 1, "a value is expected"),
        ('["a\nb"]', 1, "broken string"),
        ('["\\x"]', 1, "broken string"),
        ("[01]", 1, "a value is expected"),
        ("[1.]", 1, "a value is expected"),
        ("[0x10]", 1, "a value is expected"),
        ("[-Infinity]", 1, "finite"),
        ("[nan]", 1, "finite"),
        ("[True]", 1, "lower case"),
        ("[" + "9" * 60 + "]", 1, "too many digits"),
        ("{} {}", 1, "something follows"),
        ('{"a": {"b": 1,\n"b": 2}}', 2, "the key a.b stands twice, first in line 1"),
    ],
)
def test_what_is_wrong_and_where(text: str, line: int, reason: str) -> None:
    with pytest.raises(JsonSyntaxError) as caught:
        parse(text)
    assert caught.value.line == line
    assert reason in caught.value.reason


def test_addresses_in_strings_are_no_comments() -> None:
    tree = parse('{"url": "https://a.b/c" /* x */, "glob": "/* no */", "quote": "\\"// no"}').tree
    assert tree == {"url": "https://a.b/c", "glob": "/* no */", "quote": '"// no'}


def test_every_key_has_its_line() -> None:
    parsed = parse('{\n"a": {\n"b": 1},\n"c": [\n1,\n{"d": 2}]}')
    assert parsed["a", "b"] == 3
    assert parsed["c",] == 4
    assert parsed["c", 1, "d"] == 6
