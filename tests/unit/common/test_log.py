"""Log lines: shape, bounds, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.common.log import FILE_ENV, LINE_CHARS_MAX, JsonFormatter, RateLimit, fields, setup
from libs.common.redact import HIDDEN, Redactor

CANARY = 'Can"ary/S3cret+value%'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def redactor() -> Redactor:
    made = Redactor()
    made.add(CANARY)
    return made


def raise_two_lines() -> None:
    raise OSError("no\nroute")


def log_the_canary_everywhere() -> None:
    log = logging.getLogger("a.library")
    log.warning("in the text: %s", CANARY)
    log.info("in a field", extra=fields(note=CANARY, nested={"deep": [CANARY, {"er": CANARY}]}, key_name=3))
    log.info("as a key", extra=fields(**{CANARY: 1}))
    log.info("by name", extra=fields(api_key="short", password="pw", Authorization="Bearer x"))
    try:
        int(f"in an exception: {CANARY}")
    except ValueError:
        log.exception("with a traceback")
    log.info("in a URL: redis://:%s@127.0.0.1:6379/0", "other-secret")
    log.info("GET /api?timestamp=1&signature=%s", "0123abcd")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "human"])
def test_the_canary_is_in_no_line(stream: io.StringIO, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "x.log"
    setup(service="svc", env={FILE_ENV: str(path)}, stream=stream, redactor=redactor())
    log_the_canary_everywhere()
    for text in (stream.getvalue(), path.read_text()):
        assert text.count("\n") == 7
        for secret in (CANARY, json.dumps(CANARY)[1:-1], "short", "other-secret", "0123abcd", "Bearer x"):
            assert secret not in text
        assert HIDDEN in text


def test_without_redaction_the_canary_would_be_found(tmp_path: Path) -> None:
    """The test above can fail."""
    stream = io.StringIO()
    setup(service="svc", env={}, stream=stream, redactor=Redactor())
    logging.getLogger("x").warning("in the text: %s", CANARY)
    assert json.dumps(CANARY)[1:-1] in stream.getvalue()


def test_json_lines_have_stamp_level_service_text_and_fields() -> None:
    stream = io.StringIO()
    setup(service="feed", env={}, stream=stream, redactor=Redactor())
    logging.getLogger("libs.x").warning("late by %d ms", 7, extra=fields(venue="binance"))
    line = json.loads(stream.getvalue())
    assert line["ts"].endswith("Z")
    del line["ts"]
    assert line == {
        "level": "warning",
        "service": "feed",
        "logger": "libs.x",
        "text": "late by 7 ms",
        "fields": {"venue": "binance"},
    }


def test_human_lines_are_one_line_without_traceback() -> None:
    stream = Terminal()
    setup(service="feed", env={}, stream=stream, redactor=Redactor())
    try:
        raise_two_lines()
    except OSError:
        logging.getLogger("x").exception("cannot connect", extra=fields(venue="okx"))
    (line,) = stream.getvalue().splitlines()
    assert "cannot connect venue=okx (OSError: no | route)" in line
    assert "Traceback" not in line


def test_files_are_private_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.log.FILE_BYTES_MAX", 5_000)
    path = tmp_path / "x.log"
    setup(service="svc", env={FILE_ENV: str(path)}, stream=io.StringIO(), redactor=Redactor())
    for number in range(500):
        logging.getLogger("x").info("line %d", number)
    assert path.stat().st_mode & 0o077 == 0
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["x.log", "x.log.1", "x.log.2", "x.log.3"]
    assert all(file.stat().st_size <= 5_000 for file in files)


def test_an_endless_text_is_cut() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "y" * 100_000, None, None)
    line = json.loads(JsonFormatter(Redactor(), service="s").format(record))
    assert len(line["text"]) < LINE_CHARS_MAX + 100
    assert line["text"].endswith("(100000 characters)")


def test_levels_come_from_the_environment_and_nonsense_is_info() -> None:
    for text, level in (("debug", logging.DEBUG), ("WARNING", logging.WARNING), ("loud", logging.INFO)):
        setup(service="s", env={"FUNDARB_LOG_LEVEL": text}, stream=io.StringIO(), redactor=Redactor())
        assert logging.getLogger().level == level


def test_rate_limit_says_how_many_were_left_out() -> None:
    limit = RateLimit(every_us=10, kinds_max=2)
    assert [limit.allow("a", now) for now in (0, 1, 2, 9)] == [0, None, None, None]
    assert limit.allow("b", 3) == 0
    assert limit.allow("a", 10) == 3
    assert limit.allow("a", 20) == 0
    for number in range(10):  # kinds that never end do not fill the memory
        assert limit.allow(f"k{number}", 30) == 0
    assert len(limit._last) <= 2
