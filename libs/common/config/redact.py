"""A config as plain values that may be shown to anybody."""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common.config.schema import HIDDEN, SECRET_FIELDS, Config, shown_options


def redacted(config: Config) -> dict[str, Any]:
    """All settings by our names, with `***` in place of every secret that is set."""
    shown: dict[str, Any] = _hide(msgspec.to_builtins(config))
    for exchange in shown["exchanges"].values():
        exchange["options"] = shown_options(exchange["options"])
    return shown


def _hide(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in SECRET_FIELDS and inner and isinstance(inner, str) else _hide(inner)
            for name, inner in value.items()
        }
    return [_hide(inner) for inner in value] if isinstance(value, list | tuple) else value
