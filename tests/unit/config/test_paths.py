"""Which files FUNDARB_CONFIG names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libs.common.config.load import load_config
from libs.common.config.paths import paths_of, unread
from libs.common.config.problems import ConfigError


def test_files_come_in_order_and_a_marked_one_only_where_it_exists(tmp_path: Path) -> None:
    config, keys = tmp_path / "config.json", tmp_path / "keys.json"
    config.write_text("{}")
    named = f"{config}{os.pathsep}{keys}?"
    assert paths_of(named) == (config,)
    assert unread(named) == (keys,)
    keys.write_text("{}")
    assert paths_of(named) == (config, keys)
    assert unread(named) == ()
    assert paths_of("") == ()


def test_a_missing_file_that_is_not_marked_is_complained_of(tmp_path: Path) -> None:
    missing = tmp_path / "config.json"
    assert unread(str(missing)) == ()
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(paths_of(str(missing)), {})
