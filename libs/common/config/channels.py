"""Rules of `notify.*`: channels that can be reached, an escalation that leads somewhere, hours that exist."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from libs.common.config import names
from libs.common.config.facts import Facts
from libs.common.config.problems import Problem
from libs.common.config.schema import Channel, Config, Mode
from libs.common.config.values import shown
from libs.common.guard import is_loopback

QUIET_REMEDY: Final = 'write from-to, as in "22:00-07:00", or "" for none'
LISTEN_REMEDY: Final = 'write host:port, as in "127.0.0.1:9095"'
_QUIET: Final = re.compile(r"\A([01]?[0-9]|2[0-3]):([0-5][0-9])-([01]?[0-9]|2[0-3]):([0-5][0-9])\Z")
_SCHEME: Final = re.compile(r"\A[a-z][a-z0-9+.-]*://.", re.IGNORECASE)
_BOT_PATH: Final = "/open-apis/bot/"
_LOCAL_SCHEMES: Final = frozenset({"http", "https", "json", "jsons", "form", "forms", "xml", "xmls"})
"""Of these the host of the URL is where a message goes; of others it may be an account or a token."""


def quiet_minutes(text: str) -> tuple[int, int] | None:
    """("22:00-07:00") -> minutes of the day (1320, 420); None for none, `ValueError` for nonsense."""
    if not text:
        return None
    match = _QUIET.match(text.replace(" ", ""))
    if match is None:
        raise ValueError(f"{shown(text)} are no hours")
    first, first_min, last, last_min = map(int, match.groups())
    if (first, first_min) == (last, last_min):
        raise ValueError(f"{shown(text)} has no length")
    return first * 60 + first_min, last * 60 + last_min


def listen_address(text: str) -> tuple[str, int]:
    """("127.0.0.1:9095") -> (host, port); `ValueError` for anything else."""
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and 0 <= int(port) <= 65_535):
        raise ValueError(f"{shown(text)} is no address")
    return host.strip("[]"), int(port)


def is_local(url: str) -> bool:
    """Whether a message to this URL certainly stays on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme.lower() in _LOCAL_SCHEMES and bool(host) and is_loopback((host, 0))


def usable_channels(config: Config) -> dict[str, Channel]:
    """What the notifier may talk to: in mode demo nothing beyond this machine."""
    channels = config.notify.channels
    if config.mode is not Mode.DEMO:
        return dict(channels)
    return {name: channel for name, channel in channels.items() if is_local(channel.url)}


def wants_notifier(config: Config, mode: Mode) -> bool:
    """Whether a notifier has anything to do. A rehearsal replays: it tells nobody."""
    return mode is not Mode.DEMO and bool(config.notify.channels)


def refusals(facts: Facts, config: Config) -> Iterator[Problem]:
    """All that is wrong in `notify.*`."""
    for name, channel in config.notify.channels.items():
        yield from _channel(facts, f"notify.channels.{name}", channel)
    yield from _escalation(facts, config)
    yield from _hours(facts, config)
    yield from _webhook(facts, config)


def _channel(facts: Facts, path: str, channel: Channel) -> Iterator[Problem]:
    url = channel.url
    if not url:
        if f"{path}.url" not in facts.broken:
            yield facts.problem(
                f"{path}.url", "is missing", "", "give url or url_file, or leave the channel out"
            )
        return
    web = url.startswith(("https://", "http://"))
    bot = web and _BOT_PATH in url
    if channel.type == "feishu" and not web:
        remedy = "copy the webhook address of the custom bot; it starts with https://"
        yield facts.problem(f"{path}.url", "is no web address", "", remedy)
    elif f"{path}.type" in facts.broken:
        return  # said already, and what fits its url is not known
    elif channel.type == "apprise" and bot:
        yield facts.problem(
            f"{path}.type", "its url is that of a Feishu or Lark bot", "", 'use type "feishu"'
        )
    elif channel.type == "apprise" and url.lower().startswith(("feishu://", "lark://")):
        remedy = (
            'use type "feishu" with the webhook address of the bot: what is refused there counts as failed'
        )
        yield facts.problem(f"{path}.url", "is not sent through apprise", "", remedy)
    elif channel.type == "apprise" and not _SCHEME.match(url):
        remedy = "it looks like mailtos://, tgram://, slack:// or jsons:// (docs/notifications.md)"
        yield facts.problem(f"{path}.url", "is no apprise URL", "", remedy)
    if channel.secret and channel.type != "feishu":
        remedy = "take it out: an apprise URL holds its own login"
        yield facts.problem(f"{path}.secret", "signs messages of type feishu only", "", remedy)
    if channel.quiet_hours is not None:
        yield from _quiet(facts, f"{path}.quiet_hours", channel.quiet_hours)


def _escalation(facts: Facts, config: Config) -> Iterator[Problem]:
    known = list(config.notify.channels)
    chain = config.notify.escalation
    for index, name in enumerate(chain):
        if name not in known:
            close = names.nearest(name, known)
            remedy = f"channels are {', '.join(known)}" if known else "name it in notify.channels first"
            yield facts.problem(f"notify.escalation[{index}]", f"{shown(name)} is no channel", close, remedy)
    if len(set(chain)) < len(chain):
        yield facts.problem("notify.escalation", "names a channel twice", "", "each one once, in order")
    if len(chain) == 1:
        yield facts.problem("notify.escalation", "leads nowhere", "", "name two channels or more, or none")


def _hours(facts: Facts, config: Config) -> Iterator[Problem]:
    yield from _quiet(facts, "notify.quiet_hours", config.notify.quiet_hours)
    zone = config.notify.timezone
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        close = names.nearest(zone, sorted(zoneinfo.available_timezones()))
        remedy = "use a name like Asia/Shanghai, Europe/Berlin or UTC"
        yield facts.problem("notify.timezone", f"{shown(zone)} is no time zone", close, remedy)


def _quiet(facts: Facts, path: str, text: str) -> Iterator[Problem]:
    try:
        quiet_minutes(text)
    except ValueError as error:
        yield facts.problem(path, str(error), "", QUIET_REMEDY)


def _webhook(facts: Facts, config: Config) -> Iterator[Problem]:
    listen = config.notify.webhook_listen
    if not listen:
        return
    try:
        listen_address(listen)
    except ValueError as error:
        yield facts.problem("notify.webhook_listen", str(error), "", LISTEN_REMEDY)
