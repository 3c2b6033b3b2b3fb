"""What risk permits, as the executor's modules name it; the rules are `libs.common.permit`'s."""

from __future__ import annotations

from libs.common.permit import LEASE_US, PermitView, scopes_of

__all__ = ["LEASE_US", "PermitView", "scopes_of"]
