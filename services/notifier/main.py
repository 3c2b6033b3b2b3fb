"""The notifier service: tells people what they should know, through channels that confirm."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from libs.common.commands import CommandDesk
from libs.common.config.channels import listen_address, usable_channels
from libs.common.run import Assembly, Background, CannotStart, ServiceContext, serve
from libs.common.subjects import ALL_ALERTS, ALL_OPPORTUNITIES, BOOKS, EVALUATION
from services.notifier.actor import Notifier
from services.notifier.channels import BadChannel, Channels
from services.notifier.keeping import Keeping
from services.notifier.settings import setting_of
from services.notifier.webhook import Webhook
from services.notifier.work import LoadState, PingHeartbeat, ReadAlerts, Send, TrimAlerts

USAGE = 2


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
        actor=Notifier(
            setting_of(context.config),
            zone=ZoneInfo(notify.timezone),
            commands=commands,
            setting_of=setting_of,
        ),
        subscriptions=(ALL_ALERTS, ALL_OPPORTUNITIES, EVALUATION, BOOKS, *commands.subscriptions),
        handlers=handlers,
        background=background,
        close=channels.close,
        reloads=True,
    )


def main() -> int:
    """Entry of `python -m services.notifier.main` and `fundarb run notifier`."""
    return serve("notifier", assemble)


if __name__ == "__main__":
    raise SystemExit(main())
