"""A config as plain values that may be shown to anybody."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from libs.common.config.schema import HIDDEN, SECRET_FIELDS, Config

# Options go to ccxt as they are, and some venues take credentials there.
_SENSITIVE: Final = re.compile(
    r"key|secret|passw|token|private|seed|mnemonic|uid|login|wallet", re.IGNORECASE
)


def redacted(config: Config) -> dict[str, Any]:
    """All settings by our names, with `***` in place of every secret that is set."""
    shown: dict[str, Any] = _hide(msgspec.to_builtins(config))
    for exchange in shown["exchanges"].values():
        exchange["options"] = {
            name: HIDDEN if _SENSITIVE.search(name) and isinstance(value, str) else value
            for name, value in exchange["options"].items()
        }
    return shown


def _hide(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in SECRET_FIELDS and inner and isinstance(inner, str) else _hide(inner)
            for name, inner in value.items()
        }
    return [_hide(inner) for inner in value] if isinstance(value, list | tuple) else value
