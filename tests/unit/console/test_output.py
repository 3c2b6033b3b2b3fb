"""Output: JSON without infinities, tables that fit or are not folded, colour for terminals only."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from decimal import Decimal

import pytest

from libs.console import output


def test_json_is_one_line_without_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"a": math.inf, "b": math.nan, "c": Decimal("1E-8"), "d": "ж"})
    text = capsys.readouterr().out
    assert text.count("\n") == 1
    assert json.loads(text) == {"a": None, "b": None, "c": "1E-8", "d": "ж"}


def shown(text: str) -> str:
    table = output.table(["what", "state", "n"], right=["n"])
    table.add_row("name", output.state_text("refused"), "1")
    table.add_row(text, output.state_text("ok"), "22")
    output.console().print(table)
    return sys.stdout.getvalue() if isinstance(sys.stdout, io.StringIO) else ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_no_colour_and_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    text = shown("x" * 150)
    assert "\x1b" not in text
    assert "x" * 150 in text


@pytest.mark.parametrize(("no_color", "colour"), [("", True), ("1", False)])
def test_a_terminal_gets_its_width_and_colour_unless_it_says_no(
    monkeypatch: pytest.MonkeyPatch,
    no_color: str,
    colour: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stdout", Terminal())
    text = shown("x" * 150)
    assert ("\x1b[31m" in text) is colour
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()) <= 80


def test_markup_in_data_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    table = output.table(["a"])
    table.add_row("[red]x[/red] :smile:")
    output.console().print(table)
    assert ":smile:" in capsys.readouterr().out


def test_a_closed_stream_is_no_terminal() -> None:
    stream = io.StringIO()
    stream.close()
    assert output.is_terminal(stream) is False
