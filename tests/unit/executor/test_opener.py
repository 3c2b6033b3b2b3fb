"""Accounts without keys: what is missing is named, also the file that could have held it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libs.common.assembly import CannotStart
from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Exchange, Mode
from services.executor.main import opener_of

CONFIG = Config(mode=Mode.LIVE, exchanges={"spot": Exchange(id="binance", type="spot")})


async def refused(env: dict[str, str]) -> str:
    with pytest.raises(CannotStart) as error:
        await opener_of(CONFIG, SystemClock(), None, env)("binance")
    assert error.value.code == 2
    return str(error.value)


async def test_a_venue_without_keys_cannot_be_traded_on(tmp_path: Path) -> None:
    config, keys = tmp_path / "config.json", tmp_path / "keys.json"
    named = await refused({"FUNDARB_CONFIG": f"{config}{os.pathsep}{keys}?"})
    assert named.startswith("binance: apiKey and secret are needed")
    assert named.endswith(f"; {keys} is not there")
    assert str(config) not in named
    assert "is not there" not in await refused({"FUNDARB_CONFIG": str(config)})
