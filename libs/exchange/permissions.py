"""Whether an API key may be used: what it must be able to do, what it must not, where that is changed. Pure.

risk.md, "Keys and access": a key that may withdraw, or of which that cannot be known, is never used; in live
it must be bound to addresses too, unless the user has opted out of that (and of that alone).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from libs.common.config.schema import Config, Mode
from libs.common.instant import MS_PER_DAY
from libs.exchange.trading_values import KeyPermissions

UNREADABLE: Final = frozenset({"not_supported", "auth", "bad_payload"})
"""Error classes with which a venue does not tell what a key may do; others are worth another try."""

EXPIRY_WARN_DAYS: Final = 14.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue's site has the settings of a key, and what it calls them."""

    page: str
    withdraw: str
    trade: str
    ips: str


# As the venues' own help pages name them; the mobile apps differ.
PLACES: Final[dict[str, Place]] = {
    "binance": Place(
        page="Binance > Profile > Account > API Management > Edit restrictions",
        withdraw="Enable Withdrawals",
        trade="Enable Spot & Margin Trading and Enable Futures",
        ips="Restrict access to trusted IPs only",
    ),
    "bitget": Place(
        page="Bitget > Profile > API Keys > Edit",
        withdraw="Withdraw",
        trade="Unified account: Trade, with read-write permission",
        ips="Bind IP address",
    ),
    "bybit": Place(
        page="Bybit > Account & Security > API > Edit",
        withdraw="Assets: Withdrawal",
        trade="Unified Trading: Orders and Positions, SPOT: Trade, with Read-Write",
        ips="Only IPs with permissions granted are allowed to access the OpenAPI",
    ),
    "okx": Place(page="OKX > Profile > API > Edit", withdraw="Withdraw", trade="Trade", ips="IP address"),
}


class KeyFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing about a key. `refused` keeps it from being used."""

    state: Literal["ok", "warning", "refused"]
    code: str
    text: str
    remedy: str = ""


class KeyRules(msgspec.Struct, frozen=True, kw_only=True):
    """How strict this deployment is."""

    live: bool = False
    allow_no_ip: bool = False

    @classmethod
    def of(cls, config: Config) -> KeyRules:
        """As the mode and `security.allow_no_ip_whitelist` say."""
        return cls(live=config.mode is Mode.LIVE, allow_no_ip=config.security.allow_no_ip_whitelist)

    def findings(self, venue: str, may: KeyPermissions, *, now_ms: int) -> tuple[KeyFinding, ...]:
        """Everything about a key, the worst first; at least one. `now_ms`: wall time, for its expiry."""
        place = PLACES.get(venue.partition("-")[0])
        found = [
            one
            for one in (
                _withdraws(may, place),
                _trades(may, place),
                self._bound(may, place),
                _expires(may, place, now_ms),
            )
            if one is not None
        ]
        return tuple(found) or (
            KeyFinding(state="ok", code="key", text="the API key may trade and may not withdraw"),
        )

    def refusal(self, venue: str, may: KeyPermissions, *, now_ms: int, why: str = "") -> str:
        """Why a key is not to be used, with the remedy; empty when it may be. `why`: what a failed reading
        said.
        """
        return said(venue, (one for one in self.findings(venue, may, now_ms=now_ms)), why=why)

    def _bound(self, may: KeyPermissions, place: Place | None) -> KeyFinding | None:
        """Without an allow-list a stolen key works from anywhere."""
        if may.ip_bound or not self.live or not may.readable:
            return None
        text = "the API key is not bound to IP addresses"
        if self.allow_no_ip:
            return KeyFinding(
                state="warning",
                code="no_ip",
                text=f"{text}; security.allow_no_ip_whitelist accepts that",
                remedy=_at(place, "ips", "allow this machine's address alone under"),
            )
        how = _at(place, "ips", "allow this machine's address alone under")
        return KeyFinding(
            state="refused",
            code="no_ip",
            text=text,
            remedy=f"{how}, or set security.allow_no_ip_whitelist to true",
        )


def said(venue: str, findings: Iterable[KeyFinding], *, why: str = "") -> str:
    """The refusals among findings as one line for a person; empty when there are none."""
    refused = [f"{one.text}: {one.remedy}" for one in findings if one.state == "refused"]
    detail = f" ({why})" if why else ""
    return f"{venue}: {'; '.join(refused)}{detail}" if refused else ""


def _withdraws(may: KeyPermissions, place: Place | None) -> KeyFinding | None:
    if not may.readable or may.may_withdraw is None:
        known = ", ".join(sorted(PLACES))
        return KeyFinding(
            state="refused",
            code="unreadable",
            text="what the API key may do cannot be read, so that it may be able to withdraw",
            remedy="let the key read its own permissions"
            if place
            else f"trade on a venue that tells: {known}",
        )
    if may.may_withdraw:
        return KeyFinding(
            state="refused",
            code="withdraw",
            text="the API key may withdraw",
            remedy=_at(place, "withdraw", "switch off") + ", or make a key without it",
        )
    return None


def _trades(may: KeyPermissions, place: Place | None) -> KeyFinding | None:
    if not may.readable or may.may_trade is not False:
        return None
    return KeyFinding(
        state="refused",
        code="no_trade",
        text="the API key may not trade",
        remedy=_at(place, "trade", "switch on"),
    )


def _expires(may: KeyPermissions, place: Place | None, now_ms: int) -> KeyFinding | None:
    if may.expires_ms is None:
        return None
    days = (may.expires_ms - now_ms) / MS_PER_DAY
    remedy = f"renew it ({place.page if place else 'on its site'}), or bind it to an IP address"
    if days <= 0:
        return KeyFinding(state="refused", code="expired", text="the API key has expired", remedy=remedy)
    if days > EXPIRY_WARN_DAYS:
        return None
    return KeyFinding(
        state="warning", code="expires", text=f"the API key expires in {days:.0f} days", remedy=remedy
    )


def _at(place: Place | None, what: str, act: str) -> str:
    """`act` on the setting that is meant, by the venue's own words for it where they are known."""
    if place is not None:
        return f'{act} "{getattr(place, what)}" ({place.page})'
    general = {"withdraw": "withdrawals", "trade": "trading", "ips": "its IP allow-list"}
    return f"{act} {general[what]} in the settings of the key on the venue's site"
