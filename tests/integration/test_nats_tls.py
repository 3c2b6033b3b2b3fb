"""The bus over TLS, as deploy/compose/tls.yaml sets it up: the server's files, and who trusts whom."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from libs.common.bus import BusUnavailable
from libs.common.nats_bus import NatsBus
from libs.common.server_files import nats_config
from libs.console.credentials import tls_in
from tests.helpers.servers import RealServer, real_nats

OPENSSL: Final = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is missing: no certificates to test with")


def openssl(folder: Path, *words: str) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *words], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of our own, and a certificate of it for 127.0.0.1; what a stranger has beside it."""
    made = tmp_path_factory.mktemp("tls")
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "stranger"):
        openssl(
            made,
            *new,
            "-x509",
            "-days",
            "1",
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
        )
    openssl(made, *new, "-subj", "/CN=nats", "-keyout", "server.key", "-out", "server.csr")
    (made / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:nats\n", encoding="ascii")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-extfile", "names")
    openssl(made, "x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[RealServer]:
    block = next(
        line
        for line in nats_config(listen="", users="", tls=tls_in(folder)).splitlines()
        if line.startswith("tls {")
    )
    with real_nats(lambda text: f"{text}\n{block}\n") as found:
        yield found


async def wants_tls(server: RealServer) -> None:
    """Until it says that nothing more is said in clear. `ready` would ask in clear, and be refused."""
    parts = urlsplit(server.url)

    async def said() -> bytes:
        try:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except OSError:
            return b""
        line = await reader.readline()
        writer.close()
        return line

    async with asyncio.timeout(20):
        while not (line := await said()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    assert b'"tls_required":true' in line


async def test_who_trusts_the_authority_is_served_over_tls(
    server: RealServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    await wants_tls(server)
    bus = NatsBus(server.url.replace("nats://", "tls://"), name="test", connect_timeout_sec=20)
    await asyncio.wait_for(bus.connect(), 30)
    await bus.close()


async def test_a_server_whose_authority_is_not_trusted_is_left_alone(
    server: RealServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "stranger.pem"))
    await wants_tls(server)
    bus = NatsBus(server.url.replace("nats://", "tls://"), name="test", connect_timeout_sec=2)
    with pytest.raises(BusUnavailable, match=r"(?i)certificate"):
        await asyncio.wait_for(bus.connect(), 30)
