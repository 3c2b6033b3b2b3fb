"""The code broken on purpose, one safety rule at a time: the oracle must notice every one.

Each mutant replaces one function for the length of a run. `caught_by` names the invariants of which at least
one must be violated, `misfortunes` what has to go wrong for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import msgspec

from libs.common.effects import Persist
from libs.common.subjects import SPOT
from libs.exchange.trading_values import NeverSent, Unknown
from services.executor import (
    advance,
    gate,
    lane,
    ledger,
    order,
    recovery,
    resolve,
    setup,
    steps,
    watch,
)
from services.executor.model import Intent, IntentState, OrderClass
from services.executor.sizing import floor_to
from services.executor.world import World
from tests.sim import node as sim_node
from tests.sim.plan import Misfortune

replace = msgspec.structs.replace


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """`places`: (module or class, attribute) -> what it becomes, given what it was. `seed_start`: the seed
    that is tried first, one that notices it; it only spares time, since all the others come after it.
    """

    name: str
    places: tuple[tuple[Any, str, Callable[[Any], Any]], ...]
    caught_by: frozenset[str]
    misfortunes: frozenset[Misfortune] = frozenset()
    seed_start: int = 0
    crowded: bool = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Broken inside, whole again outside."""
        kept = [(place, attribute, getattr(place, attribute)) for place, attribute, _ in self.places]
        try:
            for place, attribute, broken in self.places:
                setattr(place, attribute, broken(getattr(place, attribute)))
            yield
        finally:
            for place, attribute, whole in kept:
                setattr(place, attribute, whole)


def _timeout_is_failure(whole: Any) -> Any:
    def on_outcome(intent: Intent, outcome: Any, *, base: str) -> Any:
        if isinstance(outcome, Unknown):
            outcome = NeverSent(why=outcome.why)
        return whole(intent, outcome, base=base)

    return on_outcome


def _same_id(whole: Any) -> Any:
    def order_id(*, n: int, **rest: Any) -> Any:
        return whole(n=n // 2, **rest)

    return order_id


def _no_store_id(whole: Any) -> Any:
    def order_id(*, store_id: str, **rest: Any) -> Any:
        del store_id
        return whole(store_id="", **rest)

    return order_id


def _send_first(whole: Any) -> Any:
    def finish(self: Any, draft: Any) -> Any:
        effects = list(whole(self, draft))
        return [
            *(e for e in effects if not isinstance(e, Persist)),
            *(e for e in effects if isinstance(e, Persist)),
        ]

    return finish


def _crash_is_failure(whole: Any) -> Any:
    def failed(written: bytes) -> bytes:
        intent = msgspec.json.decode(written, type=Intent)
        if intent.state.is_final:
            return written
        return msgspec.json.encode(replace(intent, state=IntentState.REJECTED, reason="crashed"))

    def on_loaded(one: Any, draft: Any, loaded: Any, number: int) -> None:
        intents = {key: failed(value) for key, value in loaded.intents.items()}
        whole(one, draft, replace(loaded, intents=intents), number)

    return on_loaded


def _at_once(_whole: Any) -> Any:
    return lambda _venue: 0


def _ignores_unknown(_whole: Any) -> Any:
    return lambda owner, _draft: owner.ready and owner.lease is not None


def _fills_again(whole: Any) -> Any:
    def on_fill(intent: Intent, fill: Any, *, base: str) -> Any:
        if fill.trade_id in intent.fills:
            more = intent.filled + fill.quantity
            return replace(intent, filled=more, filled_quote=intent.filled_quote + fill.price * fill.quantity)
        return whole(intent, fill, base=base)

    return on_fill


def _no_breaker(whole: Any) -> Any:
    def increase(intents: Any, legs: Any, permits: Any, bounds: Any, **rest: Any) -> Any:
        refusal = whole(intents, legs, permits, bounds, **rest)
        return None if refusal is not None and refusal.code in ("breaker", "no_permit") else refusal

    return increase


def _blocks_reduce(whole: Any) -> Any:
    def verdict(intents: Any, **rest: Any) -> Any:
        raised = tuple(replace(one, order_class=OrderClass.INCREASE) for one in intents)
        return whole(raised, **rest)

    return verdict


def _no_lease(whole: Any) -> Any:
    def verdict(intents: Any, *, lease: Any, now: Any, **rest: Any) -> Any:
        held = replace(lease, fence=intents[0].fence, until_mono_us=now.mono_us + 1)
        return whole(intents, lease=held, now=now, **rest)

    return verdict


def _fees_are_ours(whole: Any) -> Any:
    def signed_change(before: Intent, after: Intent) -> tuple[Decimal, Decimal]:
        base, quote = whole(before, after)
        return base + (order.fee_taken(after) - order.fee_taken(before)), quote

    return signed_change


def _remembers_the_wallet(whole: Any) -> Any:
    """What the account shows of each coin, as a close that trusts it would keep it."""

    def on_account(one: Any, draft: Any, seen: Any, own: Any, *, disturbed: Any) -> None:
        wallet = one.world.__dict__.setdefault("wallet", {})
        wallet.update({(seen.venue, balance.asset): balance.free for balance in seen.balances})
        whole(one, draft, seen, own, disturbed=disturbed)

    return on_account


def _sells_the_wallet(whole: Any) -> Any:
    """Whatever is there of a coin is taken to be the pair's."""

    def reducible(one: Any, draft: Any, leg: int) -> Decimal:
        amount: Decimal = whole(one, draft, leg)
        rules, held = one.rules(leg), draft.state.legs[leg]
        if amount <= 0 or rules is None or rules.kind is not SPOT or held.quantity <= 0:
            return amount
        wallet = one.world.__dict__.get("wallet", {}).get((held.venue, rules.base), amount)
        return floor_to(wallet, rules.step)

    return reducible


def _acts_at_once(whole: Any) -> Any:
    """Accounts are taken to be set up as they should be."""
    del whole
    return lambda _self, _keys: ""


def _forgets_a_fee(whole: Any) -> Any:
    """No fee is booked of what a venue did by itself, or of any other trade."""

    def fee_line(*given: Any, **rest: Any) -> Any:
        line = whole(*given, **rest)
        return None if line is not None and line.asset == "USDT" else line

    return fee_line


MUTANTS = (
    Mutant(
        name="a time-out counts as a failure",
        misfortunes=frozenset({Misfortune.REPLY_LOST, Misfortune.LATE_LANDING}),
        places=((order, "on_outcome", _timeout_is_failure),),
        caught_by=frozenset({"I3", "I12", "I9", "I5"}),
    ),
    Mutant(
        name="an id is sent again",
        places=((lane, "order_id", _same_id),),
        caught_by=frozenset({"I1", "I2", "I9"}),
    ),
    Mutant(
        name="ids know nothing of the store",
        seed_start=6,
        misfortunes=frozenset({Misfortune.STORE_LOST}),
        places=((lane, "order_id", _no_store_id),),
        caught_by=frozenset({"I2"}),
    ),
    Mutant(
        name="orders leave before they are durable",
        places=((lane.Lane, "finish", _send_first),),
        caught_by=frozenset({"I1"}),
    ),
    Mutant(
        name="after a crash open orders count as failed",
        misfortunes=frozenset({Misfortune.CRASH, Misfortune.CRASH_OPENING, Misfortune.CRASH_CLOSING}),
        places=((recovery, "on_loaded", _crash_is_failure),),
        caught_by=frozenset({"I3", "I9", "I12", "I5", "I8"}),
    ),
    Mutant(
        name="the first not-found is believed at once",
        misfortunes=frozenset({Misfortune.REPLY_LOST, Misfortune.FALSE_NOT_FOUND, Misfortune.LATE_LANDING}),
        places=((resolve, "window_us", _at_once), (resolve, "NOT_FOUNDS_APART_US", lambda _: 0)),
        caught_by=frozenset({"I12", "I3"}),
    ),
    Mutant(
        name="a pair acts while an order is unknown",
        misfortunes=frozenset({Misfortune.REPLY_LOST, Misfortune.LATE_LANDING, Misfortune.CRASH_OPENING}),
        places=((advance, "may_act", _ignores_unknown),),
        # I13: the gate holds back what would reduce more than can be open, which nothing sound ever asks for
        caught_by=frozenset({"I5", "I3", "I4", "I13"}),
    ),
    Mutant(
        name="fills are counted as often as they are told",
        misfortunes=frozenset({Misfortune.STREAM_DOUBLED}),
        places=((order, "on_fill", _fills_again),),
        caught_by=frozenset({"I9", "I3", "I5"}),
    ),
    Mutant(
        name="breakers and stale permits do not stop opens",
        misfortunes=frozenset({Misfortune.RISK_HALTS, Misfortune.RISK_DEAD}),
        places=((gate, "_increase", _no_breaker), (World, "forbidden", lambda _: lambda *_: "")),
        caught_by=frozenset({"I6", "I7"}),
    ),
    Mutant(
        name="a breaker stops closes",
        misfortunes=frozenset({Misfortune.RISK_HALTS, Misfortune.RISK_FLATTENS}),
        places=((sim_node, "verdict", _blocks_reduce),),
        caught_by=frozenset({"I13", "I4"}),
    ),
    Mutant(
        name="the lease is not asked before the wire",
        seed_start=14,
        misfortunes=frozenset({Misfortune.SUSPENDED, Misfortune.SECOND_EXECUTOR}),
        places=((sim_node, "verdict", _no_lease),),
        caught_by=frozenset({"I11", "I1"}),
    ),
    Mutant(
        name="what fees took counts as ours",
        places=((order, "signed_change", _fees_are_ours),),
        caught_by=frozenset({"I3", "I5"}),
    ),
    Mutant(
        name="a close sells the wallet's balance",
        misfortunes=frozenset({Misfortune.USER_COINS}),
        places=(
            (watch, "on_account", _remembers_the_wallet),
            (steps, "reducible", _sells_the_wallet),
        ),
        caught_by=frozenset({"I3", "I13"}),  # the gate holds it back: it does not reduce what it says
    ),
    Mutant(
        name="opens before the accounts are set up",
        misfortunes=frozenset({Misfortune.SETUP_REFUSED, Misfortune.SETUP_STALE, Misfortune.CRASH}),
        places=((setup.SetUps, "why_not", _acts_at_once),),
        caught_by=frozenset({"SET"}),
    ),
    Mutant(
        name="fees are not booked",
        places=((ledger, "fee_line", _forgets_a_fee),),
        caught_by=frozenset({"I8"}),
    ),
)
