"""Config files of broker and store, for embedded servers and for containers alike. Pure.

bus-and-store.md has the measured fault that each setting of the broker cures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

VALKEY_MEMORY_MAX: Final = "512mb"


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """A server's certificate and key, and the authority that clients check it against (PEM files)."""

    certificate: Path
    key: Path
    authority: Path


def nats_config(*, listen: str, users: str, monitor: str = "", tls: Tls | None = None) -> str:
    """Broker settings. `users`: lines of `access_files.nats_users`; `monitor`: host:port of a health page."""
    more = [f'http: "{monitor}"'] if monitor else []
    if tls is not None:
        files = f'cert_file: "{tls.certificate}", key_file: "{tls.key}", ca_file: "{tls.authority}"'
        more.append(f"tls {{ {files} }}")
    return f"""\
listen: "{listen}"
server_name: "fundarb"
# One frozen subscriber must not stall everybody: it misses messages, alone.
no_fast_producer_stall: true
ping_interval: "2s"
ping_max: 2
write_deadline: "2s"
max_payload: 64KB
{"".join(f"{line}{chr(10)}" for line in more)}authorization {{
  users: [
{users}
  ]
}}
"""


def valkey_config(
    *, bind: str, port: int, acl: Path, folder: Path, durable: bool, tls: Tls | None = None
) -> str:
    """Store settings. Durable: every write is on disk before it is answered, for it may be an order.

    No RDB snapshots in either case: the append-only file is the one durable copy, and a fork for a
    snapshot would only delay writes. With TLS nothing is spoken in clear.
    """
    journal = "appendonly yes\nappendfsync always" if durable else "appendonly no"
    doors = f"port {port}"
    if tls is not None:
        doors = (
            f"port 0\ntls-port {port}\ntls-cert-file {tls.certificate}\ntls-key-file {tls.key}\n"
            f"tls-ca-cert-file {tls.authority}\ntls-auth-clients no"
        )
    return f"""\
bind {bind}
{doors}
protected-mode yes
aclfile "{acl}"
dir "{folder}"
daemonize no
databases 1
maxmemory {VALKEY_MEMORY_MAX}
maxmemory-policy noeviction
save ""
{journal}
"""
