"""Prometheus's own tools, when they are installed: `make tools` brings them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
ALERTMANAGER: Final = ROOT / "deploy" / "alertmanager"
NAMES: Final = {"alertmanager": ("prometheus-alertmanager", "alertmanager")}
"""Debian names its Alertmanager otherwise than its makers do."""


def found(tool: str) -> str | None:
    """Where a tool lies."""
    return next((path for name in NAMES.get(tool, (tool,)) if (path := shutil.which(name))), None)


def needs(*tools: str) -> pytest.MarkDecorator:
    """Skip with a reason where one of them is missing."""
    missing = [tool for tool in tools if found(tool) is None]
    reason = f"{', '.join(missing)} missing on this machine (`make tools` installs it): not tested here"
    return pytest.mark.skipif(bool(missing), reason=reason if missing else "installed")


def tell(tool: str, *arguments: str | Path, timeout_sec: float = 60) -> str:
    """What a tool prints when it is content; its words in the failure when it is not."""
    path = found(tool)
    assert path is not None, tool
    done = subprocess.run(
        [path, *map(str, arguments)], capture_output=True, text=True, timeout=timeout_sec, check=False
    )
    if done.returncode != 0:
        pytest.fail(
            f"{tool} {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done.stdout + done.stderr
