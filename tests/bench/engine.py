"""The simulated exchange's engine on one core: random commands a second, and what one costs beside a floor.

The commands are those of the property tests (orders, cancels, books, trades, marks, transfers, funding, ...),
made beforehand. The floor is Decimal arithmetic: `FLOOR_SUMS` products and sums of ordinary prices and
quantities, so that a slow machine does not look like a slow engine. Times are this process's own (CPU), since
one core is the question and not what else runs beside it.
"""

from __future__ import annotations

import gc
from decimal import Decimal
from time import process_time

from libs.common.instant import Now
from libs.exchange.engine.commands import Command, Refused
from libs.exchange.engine.engine import Engine
from tests.bench.report import Figure, Result, median, ratio_of
from tests.property.engine_commands import Script

EVENTS_PER_SECOND = 20_000
FLOOR_SUMS = 100


def prepared(seed: int, count: int) -> tuple[Engine, list[tuple[Command, Now]]]:
    """An engine with markets and accounts, and so many commands to come."""
    script, engine = Script(seed), Engine()
    for command in script.opening():
        engine.apply(command, script.now())
    return engine, [(command, script.now()) for _, command in zip(range(count), script, strict=False)]


def seconds_for(engine: Engine, script: list[tuple[Command, Now]]) -> tuple[float, int, int]:
    """Seconds for all of it; how many commands were refused; how many events came out."""
    refused = said = 0
    begun = process_time()
    for command, now in script:
        try:
            said += len(engine.apply(command, now))
        except Refused:
            refused += 1
    return process_time() - begun, refused, said


def floor_seconds(count: int) -> float:
    """The floor, as often as there are commands."""
    total, price, quantity = Decimal(0), Decimal("40123.45"), Decimal("0.125")
    begun = process_time()
    for _ in range(count):
        for _ in range(FLOOR_SUMS):
            total += price * quantity
    return process_time() - begun


def run(*, commands: int = 20_000, rounds: int = 5) -> Result:
    """Medians over rounds, each with another seed and a new engine."""
    ours: list[float] = []
    floor: list[float] = []
    refusals: list[float] = []
    events: list[float] = []
    for seed in range(rounds):
        engine, script = prepared(seed, commands)
        gc.collect()
        seconds, refused, said = seconds_for(engine, script)
        ours.append(seconds / commands * 1e6)
        floor.append(floor_seconds(commands) / commands * 1e6)
        refusals.append(100 * refused / commands)
        events.append(said / seconds)
    return Result(
        bench="engine",
        note=f"{rounds} lives of {commands} random commands each, {FLOOR_SUMS} Decimal sums as the floor",
        figures=(
            Figure(name="ratio_to_decimal_sums", value=ratio_of(ours, floor), unit="x"),
            Figure(name="us_per_command", value=median(ours), unit="us", goal=1e6 / EVENTS_PER_SECOND),
            Figure(name="engine_events_per_second", value=round(1e6 / median(ours)), unit="/s"),
            Figure(name="messages_per_second", value=round(median(events)), unit="/s"),
            Figure(name="refused_percent", value=median(refusals), unit="%"),
        ),
    )
