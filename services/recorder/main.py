"""The recorder service: writes what was seen and decided to files. Never in the way of a decision."""

from __future__ import annotations

from pathlib import Path

from libs.common.instant import MS_PER_SEC, US_PER_SEC
from libs.common.run import Assembly, CannotStart, ServiceContext, serve
from libs.common.subjects import ALL_ALERTS, ALL_HEALTH, ALL_MD, ALL_SIGNAL, BOOKS
from services.recorder.actor import Recorder, Setting
from services.recorder.bars import bar_length_ms
from services.recorder.files import Files
from services.recorder.work import MergeSegments, WriteBatch

SUBSCRIPTIONS = (ALL_MD, ALL_SIGNAL, ALL_HEALTH, ALL_ALERTS, BOOKS)


async def assemble(context: ServiceContext) -> Assembly:
    """Wire the actor to its files; `CannotStart` when the folders cannot be written."""
    config = context.config
    files = Files(
        logs=Path(config.paths.logs), archive=Path(config.paths.archive), clock=context.clock, env=context.env
    )
    try:
        files.prepare()
    except OSError as error:
        remedy = "set paths.logs and paths.archive to folders that can be written"
        raise CannotStart(f"cannot write {error.filename}: {error.strerror}; {remedy}", code=2) from error
    setting = Setting(
        mode=str(config.mode),
        deployment=config.deployment,
        bar_ms=bar_length_ms(interval_sec=config.monitor.interval_sec, speed=context.clock.market.speed),
        equity_ms=int(config.monitor.snapshot_every_min * 60 * MS_PER_SEC),
        round_up_us=int(config.monitor.snapshot_every_min * 60 * US_PER_SEC),
    )
    return Assembly(
        actor=Recorder(setting),
        subscriptions=SUBSCRIPTIONS,
        handlers={WriteBatch: files.write, MergeSegments: files.merge},
        close=files.close,
        reloads=True,
    )


def main() -> int:
    """Entry of `python -m services.recorder.main` and `fundarb run recorder`."""
    return serve("recorder", assemble)


if __name__ == "__main__":
    raise SystemExit(main())
