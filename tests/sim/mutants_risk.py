"""Risk, permits and commands broken on purpose, one safety rule at a time."""

from __future__ import annotations

from typing import Any

from libs.common import commands, permit
from services.executor import flatten
from services.risk import main as risk_main
from services.risk.latches import Latches
from tests.sim.mutants import Mutant
from tests.sim.plan import Misfortune


def _no_latches(_whole: Any) -> Any:
    return lambda _found, **_rest: Latches()


def _any_permit(whole: Any) -> Any:
    """Whatever comes last counts, however old the life that says it."""

    def apply(self: Any, permit: Any, now: Any) -> bool:
        self._permit = self._mistimed = None
        counts: bool = whole(self, permit, now)
        return counts

    return apply


def _any_age(_whole: Any) -> Any:
    return lambda _message, _now: None


def _no_memory(_whole: Any) -> Any:
    async def recent_ids(*_given: Any, **_rest: Any) -> tuple[str, ...]:
        return ()

    return recent_ids


def _never_why(_whole: Any) -> Any:
    return lambda _lane, _now: ""


RISK_MUTANTS = (
    Mutant(
        name="latches do not outlive risk",
        misfortunes=frozenset({Misfortune.RISK_HALTS, Misfortune.RISK_FLATTENS, Misfortune.RISK_RESTARTS}),
        places=((risk_main, "decoded", _no_latches),),
        caught_by=frozenset({"LATCH"}),
    ),
    Mutant(
        name="a permit of an older life counts",
        misfortunes=frozenset(
            {Misfortune.RISK_HUNG, Misfortune.RISK_RESTARTS, Misfortune.RISK_HALTS, Misfortune.BUS_LATE}
        ),
        places=((permit.PermitView, "apply", _any_permit),),
        caught_by=frozenset({"I6", "I7"}),
    ),
    Mutant(
        name="commands are obeyed however late they come",
        misfortunes=frozenset({Misfortune.COMMAND_LATE}),
        places=((commands, "_check_age", _any_age),),
        caught_by=frozenset({"CMD"}),
    ),
    Mutant(
        name="a restarted risk obeys a command again",
        misfortunes=frozenset({Misfortune.COMMAND_REPLAYED, Misfortune.RISK_RESTARTS, Misfortune.RISK_HALTS}),
        places=((risk_main, "recent_ids", _no_memory),),
        caught_by=frozenset({"CMD"}),
    ),
    Mutant(
        name="nothing is closed that risk flattens",
        misfortunes=frozenset({Misfortune.RISK_FLATTENS}),
        places=((flatten, "why", _never_why),),
        caught_by=frozenset({"I13"}),
    ),
)
