"""What the runtime makes of an actor's alerts and audit lines: redacted, stamped, fit for stream and bus."""

from __future__ import annotations

from typing import Final

from libs.common.effects import Alert, Audit
from libs.common.messages import AlertRaised, encode
from libs.common.redact import REDACTOR

AUDIT: Final = "audit"
ALERTS: Final = "alerts"


def raised_of(alert: Alert, *, service: str, wall_us: int) -> AlertRaised:
    """The message of an alert."""
    return AlertRaised(
        level=alert.level,
        key=alert.key,
        text=REDACTOR.text(alert.text),
        service=service,
        context={str(key): str(value) for key, value in REDACTOR.value(alert.context).items()},
        wall_us=wall_us,
    )


def alert_entry(raised: AlertRaised) -> dict[str, bytes]:
    """Its entry in the `alerts` stream."""
    return {"json": encode(raised)}


def audit_entry(audit: Audit, *, service: str, wall_us: int) -> dict[str, bytes]:
    """Its entry in the `audit` stream."""
    fields = {
        "subject": audit.subject,
        "body": REDACTOR.text(audit.body),
        "decision": audit.decision,
        "reason": REDACTOR.text(audit.reason),
        "actor": REDACTOR.text(audit.actor),
        "service": service,
        "wall_us": str(wall_us),
    }
    return {name: value.encode(errors="replace") for name, value in fields.items()}
