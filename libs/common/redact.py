"""No secret leaves the process: in no log, message, metric or file."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import quote, unquote

HIDDEN: Final = "***"
_SECRET_CHARS_MIN: Final = 4
"""Shorter values would blank out ordinary text; a secret that short protects nothing."""

_SECRET_NAME: Final = re.compile(
    r"(?i)(api_?-?key|secret|passw(or)?d|passphrase|token|authorization|signature|credential|heartbeat_url|webhook)"
)
# Repetitions are bounded, so that an attacker's 64 KB of one letter cost milliseconds and not a minute.
_URL_LOGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)([^\s/@:]{0,200}):([^\s@/]{1,2000})@")
# key=value, "key": "value", key: value - whatever quoting; the value ends at a quote, blank, comma or &.
_NAMED_IN_TEXT: Final = re.compile(
    r"""(?ix)(
        (?:api_?-?key|secret|passw(?:or)?d|passphrase|token|authorization|signature|access-sign|x-mbx-apikey)
        [\w-]{0,40}["']?[ ]{0,4}[:=][ ]{0,4})
        (?:"[^"]{0,4000}"|'[^']{0,4000}'|(?:bearer|basic)[ ]+[^\s"',&;}]+|[^\s"',&;})]+)"""
)


class Redactor:
    """Knows this process's secrets and hides them, and whatever looks like one."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, *values: str) -> None:
        """Register secret values; each is hidden as it is, percent-encoded and JSON-escaped."""
        for value in values:
            if len(value) >= _SECRET_CHARS_MIN:
                self._secrets |= {value, quote(value, safe=""), quote(value), json.dumps(value)[1:-1]}
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def add_url(self, url: str) -> None:
        """Register the password of a URL (of each, when commas part several)."""
        for one in url.split(","):
            login, at, _ = one.rpartition("@")
            if at:
                password = login.rpartition("://")[2].partition(":")[2]
                self.add(password, unquote(password))

    def known(self, text: str) -> str:
        """`text` without registered secrets and passwords in URLs.

        For messages that name settings: in `exchanges.perp.secret: is missing` no value follows.
        """
        if self._pattern is not None:
            text = self._pattern.sub(HIDDEN, text)
        return _URL_LOGIN.sub(rf"\1\2:{HIDDEN}@", text)

    def text(self, text: str) -> str:
        """`text` without registered secrets, passwords in URLs, and values named as secrets."""
        return _NAMED_IN_TEXT.sub(rf"\1{HIDDEN}", self.known(text))

    def value(self, value: Any, name: str = "") -> Any:
        """The same for JSON-like data; `name` is the field it stands in."""
        if name and value not in (None, "") and _SECRET_NAME.search(name):
            return HIDDEN
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(key)): self.value(item, str(key)) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(item) for item in value]
            case None | bool() | int() | float():
                return value
            case _:
                return self.text(str(value))


REDACTOR: Final = Redactor()
"""The process's own: secrets are registered where they are read."""
