"""What the notifier's decisions need of the config."""

from __future__ import annotations

from typing import Final

from libs.common.config.channels import is_local, quiet_minutes, usable_channels
from libs.common.config.schema import Config, Mode
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.notifier.model import Route, Setting

SECONDS_A_MINUTE: Final = 60


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
