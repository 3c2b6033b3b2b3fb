"""JSON as people write it: comments, trailing commas, a byte-order mark; and nothing else beyond RFC 8259.

A parser of its own, because the config needs what `json` does not tell: the line of every key (problems
name it), duplicated keys with their place, and a refusal of NaN, Infinity and 1e999.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

DEPTH_MAX: Final = 32
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SPACE: Final = re.compile(r"[ \t\r\n]+")
_WORD: Final = re.compile(r"[^\s,\]\}:/]+")
_INT_DIGITS_MAX: Final = 40
_STRINGS: Final = json.JSONDecoder(strict=True)
_CONSTANTS: Final = {"true": True, "false": False, "null": None}

Path = tuple[str | int, ...]


class JsonSyntaxError(ValueError):
    """Not JSON; `line` and `column` count from 1, the text never repeats what the file holds."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column


class Parsed(dict[Path, int]):
    """Line of every key and element by its path; the value itself is `tree`."""

    def __init__(self, tree: Any, lines: dict[Path, int]) -> None:
        super().__init__(lines)
        self.tree = tree


def parse(text: str) -> Parsed:
    """The value of a JSON text with comments, and where each part of it stands.

    Raises `JsonSyntaxError` for anything else, duplicated keys and non-finite numbers included.
    """
    parser = _Parser(text.removeprefix("\ufeff"))
    tree = parser.document()
    return Parsed(tree, parser.lines)


class _Parser:
    """Recursive descent over `text`; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}

    def document(self) -> Any:
        self.skip()
        if self.at >= len(self.text):
            self.fail("the file is empty; an object { ... } is expected")
        value = self.value(())
        self.skip()
        if self.at < len(self.text):
            self.fail("something follows after the end of the document")
        return value

    def fail(self, reason: str, at: int | None = None) -> NoReturn:
        place = min(self.at if at is None else at, len(self.text))
        start = self.text.rfind("\n", 0, place) + 1
        raise JsonSyntaxError(reason, self.text.count("\n", 0, place) + 1, place - start + 1)

    def skip(self) -> None:
        """Past white space and comments."""
        while self.at < len(self.text):
            space = _SPACE.match(self.text, self.at)
            if space is not None:
                self.at = space.end()
            elif self.text.startswith("//", self.at):
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end + 1
            elif self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                if end < 0:
                    self.fail("this /* comment is never closed with */")
                self.at = end + 2
            else:
                return

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def value(self, path: Path) -> Any:
        if len(path) > DEPTH_MAX:
            self.fail(f"nested deeper than {DEPTH_MAX} levels")
        self.lines[path] = self.text.count("\n", 0, self.at) + 1
        match self.peek():
            case "{":
                return self.object(path)
            case "[":
                return self.array(path)
            case '"':
                return self.string()
            case "'":
                self.fail("JSON strings stand in double quotes")
            case "":
                self.fail("the file ends where a value is expected")
        return self.scalar()

    def object(self, path: Path) -> dict[str, Any]:
        opened = self.at
        self.at += 1
        result: dict[str, Any] = {}
        while True:
            self.skip()
            match self.peek():
                case "}":
                    self.at += 1
                    return result
                case "":
                    self.fail("this { is never closed with }", opened)
                case '"':
                    pass
                case _:
                    self.fail('a key in double quotes or "}" is expected')
            key_at = self.at
            key = self.string()
            if key in result:
                first = self.lines[(*path, key)]
                self.fail(
                    f"the key {'.'.join(map(str, (*path, key)))} stands twice, first in line {first}", key_at
                )
            self.skip()
            if self.peek() != ":":
                self.fail('":" is expected after a key')
            self.at += 1
            self.skip()
            result[key] = self.value((*path, key))
            self.comma("}")

    def array(self, path: Path) -> list[Any]:
        opened = self.at
        self.at += 1
        result: list[Any] = []
        while True:
            self.skip()
            match self.peek():
                case "]":
                    self.at += 1
                    return result
                case "":
                    self.fail("this [ is never closed with ]", opened)
            result.append(self.value((*path, len(result))))
            self.comma("]")

    def comma(self, close: str) -> None:
        """Past a comma (one may trail); without one the closing bracket must follow."""
        self.skip()
        if self.peek() == ",":
            self.at += 1
        elif self.peek() not in (close, ""):
            self.fail(f'"," or "{close}" is expected')

    def string(self) -> str:
        try:
            value, self.at = _STRINGS.raw_decode(self.text, self.at)
        except json.JSONDecodeError as error:
            self.fail(f"a broken string ({error.msg.lower().removesuffix(' at')})", error.pos)
        return str(value)

    def scalar(self) -> bool | int | float | None:
        match = _WORD.match(self.text, self.at)
        word = match.group() if match is not None else ""
        number = _NUMBER.fullmatch(word)
        value: bool | int | float | None
        if number is not None:
            value = self.number(number)
        elif word in _CONSTANTS:
            value = _CONSTANTS[word]
        else:
            self.fail(_not_a_value(word))
        self.at += len(word)
        return value

    def number(self, match: re.Match[str]) -> int | float:
        if match.group(1) is None and match.group(2) is None:
            if len(match.group()) > _INT_DIGITS_MAX:
                self.fail("a number with too many digits")
            return int(match.group())
        value = float(match.group())
        if not math.isfinite(value):
            self.fail("only finite numbers are numbers here")
        return value


def _not_a_value(word: str) -> str:
    if word.lstrip("+-").lower() in ("nan", "infinity", "inf"):
        return "only finite numbers are numbers here"
    if word in ("True", "False", "None"):
        return "JSON writes true, false and null in lower case"
    return "a value is expected: text in double quotes, a number, true, false, null, [ or {"
