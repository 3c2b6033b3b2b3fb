"""The notifier service: tells people what they should know, through channels that confirm."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from libs.common.commands import CommandDesk
from libs.common.config.channels import is_local, listen_address, quiet_minutes, usable_channels
from libs.common.config.schema import Config, Mode
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.run import Assembly, Background, CannotStart, ServiceContext, serve
from libs.common.subjects import ALL_ALERTS, ALL_OPPORTUNITIES, BOOKS, EVALUATION
from services.notifier.actor import Notifier
from services.notifier.channels import BadChannel, Channels
from services.notifier.keeping import Keeping
from services.notifier.model import Route, Setting
from services.notifier.webhook import Webhook
from services.notifier.work import LoadState, PingHeartbeat, ReadAlerts, Send, TrimAlerts

USAGE = 2
SECONDS_A_MINUTE = 60


def setting_of(config: Config) -> Setting:
    """What the decisions need. In mode demo only channels on this machine are left."""
    notify = config.notify
    usable = usable_channels(config)
    routes = {
        name: Route(
            name=name,
            min_level=AlertLevel(channel.min_level or notify.min_level),
            quiet=quiet_minutes(notify.quiet_hours if channel.quiet_hours is None else channel.quiet_hours),
            daily_digest=channel.daily_digest,
        )
        for name, channel in usable.items()
    }
    told = notify.opportunities
    demo_outside = config.mode is Mode.DEMO and not is_local(notify.heartbeat_url)
    return Setting(
        deployment=config.deployment,
        routes=routes,
        chain=tuple(name for name in notify.escalation if name in routes),
        acknowledge_us=int(notify.acknowledge_min * SECONDS_A_MINUTE * US_PER_SEC),
        repeat_us=int(notify.repeat_min * SECONDS_A_MINUTE * US_PER_SEC),
        messages_per_min=notify.messages_per_min,
        opportunities=config.mode is Mode.OBSERVER if told is None else told,
        opportunity_net_daily_usd=notify.opportunity_net_daily_usd,
        opportunity_every_us=int(notify.opportunity_every_hours * 3_600 * US_PER_SEC),
        daily_digest=notify.daily_digest,
        digest_hour_utc=config.report.hour_utc,
        heartbeat=bool(notify.heartbeat_url) and not demo_outside,
    )


async def assemble(context: ServiceContext) -> Assembly:
    """Wire the actor to store and channels; `CannotStart` names the channel whose URL nobody understands."""
    notify = context.config.notify
    try:
        channels = Channels(usable_channels(context.config), heartbeat_url=notify.heartbeat_url)
    except BadChannel as error:
        raise CannotStart(str(error), code=USAGE) from error
    commands = CommandDesk("notifier", verbs=("ack", "status"), pairs={})
    keeping = Keeping(context.store)
    handlers: dict[Any, Any] = {
        LoadState: keeping.load,
        ReadAlerts: keeping.read,
        TrimAlerts: keeping.trim,
        Send: channels.send,
        PingHeartbeat: channels.ping,
    }
    background: tuple[Background, ...] = ()
    if notify.webhook_listen:
        host, port = listen_address(notify.webhook_listen)
        background = (Webhook(context.store, host=host, port=port, token=notify.webhook_token).run,)
    return Assembly(
        actor=Notifier(setting_of(context.config), zone=ZoneInfo(notify.timezone), commands=commands),
        subscriptions=(ALL_ALERTS, ALL_OPPORTUNITIES, EVALUATION, BOOKS, *commands.subscriptions),
        handlers=handlers,
        background=background,
        close=channels.close,
    )


def main() -> int:
    """Entry of `python -m services.notifier.main` and `fundarb run notifier`."""
    return serve("notifier", assemble)


if __name__ == "__main__":
    raise SystemExit(main())
