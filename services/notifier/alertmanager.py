"""Alertmanager's webhook (version 4) as alerts of ours. Pure.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from libs.common.messages import AlertLevel, AlertRaised

ALERTMANAGER: Final = "alertmanager"
ALERTS_MAX: Final = 200
_LEVELS: Final = {
    "critical": AlertLevel.CRITICAL,
    "page": AlertLevel.CRITICAL,
    "info": AlertLevel.INFO,
    "none": AlertLevel.INFO,
}


class BadWebhook(ValueError):
    """Not what Alertmanager sends."""


class _Alert(msgspec.Struct, frozen=True):
    status: Literal["firing", "resolved"]
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    fingerprint: str = ""


class _Webhook(msgspec.Struct, frozen=True):
    alerts: tuple[_Alert, ...]


def alerts_of(body: bytes, *, wall_us: int) -> tuple[AlertRaised, ...]:
    """Its alerts, firing and resolved, in its order; `BadWebhook` for anything else."""
    try:
        webhook = msgspec.json.decode(body, type=_Webhook)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadWebhook(f"not Alertmanager's JSON (version 4): {error}") from None
    if len(webhook.alerts) > ALERTS_MAX:
        raise BadWebhook(f"{len(webhook.alerts)} alerts at once, at most {ALERTS_MAX}: set max_alerts")
    return tuple(_alert(one, wall_us) for one in webhook.alerts)


def _alert(one: _Alert, wall_us: int) -> AlertRaised:
    name = one.labels.get("alertname", "alert")
    about = one.annotations.get("summary") or one.annotations.get("description") or name
    text = about if one.status == "firing" else f"{about} (over)"
    context: dict[str, str] = {"status": one.status}
    if runbook := one.annotations.get("runbook_url"):
        context["runbook"] = runbook
    if (more := one.annotations.get("description")) and more != about:
        context["description"] = more
    context |= {label: value for label, value in one.labels.items() if label not in ("alertname", "severity")}
    return AlertRaised(
        level=_LEVELS.get(one.labels.get("severity", ""), AlertLevel.WARNING),
        key=f"{name}:{one.fingerprint}" if one.fingerprint else name,
        text=text,
        service=ALERTMANAGER,
        context=context,
        wall_us=wall_us,
    )
