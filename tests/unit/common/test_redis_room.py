"""How much room a store has: memory, the disk beside an embedded one, and a journal that can be written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from libs.common import redis_fit
from libs.common.redis_fit import disk_words, folder_of, free_of

HERE = "127.0.0.1:6379"


def test_without_limits_and_with_everything_written_there_is_room() -> None:
    assert free_of({}, "db.example:6379") == 1.0
    assert free_of({"aof_enabled": 1, "aof_last_write_status": "ok"}, HERE) == 1.0


def test_memory_counts_what_would_be_evicted_and_no_buffers() -> None:
    info = {"maxmemory": 1_000, "used_memory": 960, "mem_not_counted_for_evict": 10}
    assert free_of(info, HERE) == pytest.approx(0.05)
    assert free_of({"maxmemory": 1_000, "used_memory": 1_200}, HERE) == 0.0


@pytest.mark.parametrize(
    "said",
    [{"aof_enabled": 1, "aof_last_write_status": "err"}, {"rdb_last_bgsave_status": "err"}],
)
def test_a_journal_that_could_not_be_written_leaves_no_room(said: dict[str, object]) -> None:
    assert free_of(said, "db.example:6379") == 0.0


def test_a_failure_of_a_journal_that_is_switched_off_is_history() -> None:
    assert free_of({"aof_enabled": 0, "aof_last_write_status": "err"}, HERE) == 1.0


def test_the_disk_beside_a_server_of_this_machine_counts(tmp_path: Path) -> None:
    config = tmp_path / "valkey.conf"
    config.write_text("")
    info = {"config_file": str(config), "maxmemory": 10, "used_memory": 0}
    disk = shutil.disk_usage(tmp_path)
    assert free_of(info, HERE) == pytest.approx(disk.free / disk.total, abs=0.01)
    assert free_of(info, "/run/valkey.sock") == pytest.approx(disk.free / disk.total, abs=0.01)
    assert free_of(info, "db.example:6379") == 1.0, "a path of another machine says nothing"
    assert free_of({"config_file": str(tmp_path / "gone")}, HERE) == 1.0


def test_a_full_disk_is_named_and_one_with_room_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "valkey.conf"
    config.write_text("")
    assert folder_of({"config_file": str(config)}, HERE) == tmp_path
    assert folder_of({"config_file": str(config)}, "db.example:6379") is None
    assert disk_words(None) == ""
    assert disk_words(tmp_path / "gone") == ""
    monkeypatch.setattr(redis_fit, "FULL_BELOW", 0.0)
    assert disk_words(tmp_path) == ""
    monkeypatch.setattr(redis_fit, "FULL_BELOW", 1.1)
    assert disk_words(tmp_path) == f"; its disk is full ({tmp_path}): make room"
