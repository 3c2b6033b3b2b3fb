"""The venue as a process: announces itself, serves, ends on SIGTERM, and leaves no key behind."""

from __future__ import annotations

import stat
from pathlib import Path

from libs.exchange.redirect import VENUE_FILE, Redirect
from tests.helpers.venue import exchange_on, venue_process


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_venue_process_serves_whoever_reads_its_announcement(tmp_path: Path) -> None:
    with venue_process(tmp_path, speed="1", seed="4", data="generated") as said:
        assert set(said) == {"port", "ca_path", "control_port", "pid"}
        assert stat.S_IMODE((tmp_path / VENUE_FILE).stat().st_mode) == 0o600
        redirect = Redirect.from_runtime_dir(tmp_path)
        assert redirect.port == said["port"]
        for name in ("binanceusdm", "bitget"):
            async with exchange_on(redirect, name) as exchange:
                assert len(await exchange.fetch_funding_rates()) >= 14
        written = files(tmp_path)
        assert set(written) == {VENUE_FILE, "venue-ca.pem"}
        assert not any(b"PRIVATE KEY" in content for content in written.values())
