"""What stands between a config and real orders: one place decides it, for `up`, the executor and `check`.

Live trading takes two independent acts, `mode: live` in a config file and `--live` (or FUNDARB_LIVE=1), and
everything that risk.md wants to be a decision of the user. That the mode stands in a file and not in a
variable, and that no secret stands in a file that others may read, the loader sees: it knows the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from libs.common.config import venues
from libs.common.config.schema import Config, Exchange, Mode

LIVE_ENV: Final = "FUNDARB_LIVE"
CAP_USD: Final = 1_000.0
"""So much may be traded until the user says `limits.acknowledged` (risk.md, limits)."""

FAILPOINT_ENV: Final = "FUNDARB_FAILPOINT"
"""Kills an executor at a named step, or has it lose a line of its books; only tests set it."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is sent: the setting or act that is missing, the reason, and what to do."""

    path: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; {self.remedy}"


def meant(env: Mapping[str, str], *, flag: bool = False) -> bool:
    """Whether the second act was done: `--live`, or FUNDARB_LIVE=1 and no other value."""
    return flag or env.get(LIVE_ENV) == "1"


def gate(config: Config, env: Mapping[str, str], *, flag: bool = False) -> tuple[Finding, ...]:
    """Everything that keeps this config from real orders; () when nothing does or nothing asks for them."""
    if config.mode is not Mode.LIVE:
        return tuple(_half_meant(config, flag=flag))
    return (*acts(env, flag=flag), *decisions(config), *keys(config))


def _half_meant(config: Config, *, flag: bool) -> Iterator[Finding]:
    if flag:
        yield Finding(
            path="--live",
            reason=f"is the second act, and the first is missing: mode is {config.mode.value}",
            remedy='write "mode": "live" in a config file, or leave --live out',
        )


def acts(env: Mapping[str, str], *, flag: bool = False) -> Iterator[Finding]:
    """The second act, and no tool of tests in the way of real money."""
    if not meant(env, flag=flag):
        yield Finding(
            path="mode",
            reason="live is the first of two acts, and the second is missing",
            remedy=f"give --live, or set {LIVE_ENV}=1",
        )
    if env.get(FAILPOINT_ENV):
        reason = "kills the executor or falsifies its books, for tests"
        yield Finding(path=FAILPOINT_ENV, reason=reason, remedy="unset it")


def decisions(config: Config) -> Iterator[Finding]:
    """What must be the user's own decision before money moves: no default of ours takes its place."""
    limit = config.limits.max_notional_usd
    for path, value, remedy in (
        ("limits.max_notional_usd", limit, "the most that all pairs together may hold, in USD a leg"),
        ("thresholds.flip_policy", config.thresholds.flip_policy, "cost_aware (advised) or tolerance"),
        ("thresholds.forecast", config.thresholds.forecast, "expected (advised) or flat"),
    ):
        if value is None:
            yield Finding(path=path, reason="must be written explicitly in live mode", remedy=remedy)


def capped(config: Config) -> Finding | None:
    """Why a live config may hold less than its limit says; no reason to refuse it."""
    limit = config.limits.max_notional_usd
    if config.mode is not Mode.LIVE or config.limits.acknowledged or limit is None or limit <= CAP_USD:
        return None
    return Finding(
        path="limits.acknowledged",
        reason=f"is not said, so that {CAP_USD:,.0f} USD are traded at most, and not {limit:,.0f}",
        remedy="set it to true when you have seen it trade",
    )


def keys(config: Config) -> Iterator[Finding]:
    """Exchanges without complete keys. Only the executor needs them: other services live without."""
    for name, exchange in config.exchanges.items():
        missing = missing_keys(exchange)
        if missing:
            first = missing[0]
            yield Finding(
                path=f"exchanges.{name}",
                reason=f"live without {' and '.join(missing)}",
                remedy=f"set {first}_file, or FUNDARB__EXCHANGES__{name.upper()}__{first.upper()}_FILE",
            )


def missing_keys(exchange: Exchange) -> list[str]:
    """Which parts of its key an exchange lacks; placeholders count as unset (the loader drops them)."""
    wanted = ["api_key", "secret", *(["password"] if exchange.id in venues.NEEDS_PASSWORD else [])]
    return [part for part in wanted if not getattr(exchange, part)]
