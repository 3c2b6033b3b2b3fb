"""One protocol's exchange behind its doors: users, keys, and one engine that lives in the market's time.

The engine is told of books, marks, settlements and everything else by `step` (pumped by the server) and by
`apply` (an order meets the book of its own step, and nothing that was due before it is missed).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from libs.common.instant import US_PER_MS, Now
from libs.common.subjects import Kind
from libs.exchange.engine.commands import (
    Booked,
    CancelAll,
    Command,
    Configured,
    Deposit,
    Event,
    Listed,
    OpenAccount,
    Ordered,
    Positioned,
    Refused,
    Submit,
)
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.types import AccountKind, AccountSpec, FeeRates, FeeSchedule, VenueRules
from services.venue import keeping, keys, listings, misfortunes
from services.venue.desk import Desk, Instant
from services.venue.instruments import Instrument, Protocol
from services.venue.keys import Key, User
from services.venue.listen_keys import ListenKeys
from services.venue.tape import Tape
from services.venue.timetable import Timetable

Hear = Callable[[list[Event], Instant], None]

RULES: Final[dict[Protocol, VenueRules]] = {
    "binance": VenueRules(post_only="refuse", unique_ids="open"),
    "bitget": VenueRules(post_only="cancel", unique_ids="ever"),
}

# Published base rates (VIP 0).
FEES: Final[dict[Protocol, FeeSchedule]] = {
    "binance": FeeSchedule(
        spot=FeeRates(maker=Decimal("0.001"), taker=Decimal("0.001")),
        perp=FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005")),
        future=FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005")),
    ),
    "bitget": FeeSchedule(
        spot=FeeRates(maker=Decimal("0.001"), taker=Decimal("0.001")),
        perp=FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0006")),
        future=FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0006")),
    ),
}

_KINDS: Final[dict[str, AccountKind]] = {
    "spot": AccountKind.SPOT,
    "usdm": AccountKind.FUTURES,
    "margin": AccountKind.MARGIN,
    "unified": AccountKind.UNIFIED,
    "funding": AccountKind.SPOT,
}


class House:
    """A venue's customers and their engine. Everything happens in one thread, at instants given from outside.

    `born` is the instant of the opening: nothing that was due before it is made up for.
    """

    def __init__(
        self, desk: Desk, *, born: Instant, seed: int = 0, kept: keeping.KeptHouse | None = None
    ) -> None:
        self.desk = desk
        self.protocol: Protocol = desk.protocol
        self.seed = seed
        self.engine = Engine(RULES[self.protocol]) if kept is None else keeping.engine_of(kept)
        self.changed = False
        self.users: dict[str, User] = {}
        self.keys: dict[str, Key] = {}
        self.listen_keys = ListenKeys(seed)
        self._owners: dict[str, str] = {}
        self._ears: dict[str, list[Hear]] = {}
        self._deadlines: dict[tuple[str, str], int] = {}
        if kept is not None:  # what was due meanwhile is made up for by the first step
            self._deadlines = {(account, key): due_ms for account, key, due_ms in kept.deadlines}
        self.timetable = Timetable(self, born.market_ms if kept is None else kept.done_ms)
        self.tape = Tape(self)
        self.tape.list_all(born)

    # --- customers ---------------------------------------------------------------------------

    def open_user(self, name: str, now: Instant, *, fees: FeeSchedule | None = None) -> User:
        """A user with an empty account for each wallet; the same user when he is known already."""
        if name in self.users:
            return self.users[name]
        user = keys.user_of(self.protocol, name)
        for wallet in user.wallets:
            spec = AccountSpec(
                account=f"{name}:{wallet}",
                user=name,
                kind=_KINDS[wallet],
                fees=fees or FEES[self.protocol],
            )
            self._owners[spec.account] = name
            if spec.account not in self.engine.accounts:
                self.apply(OpenAccount(spec=spec), now)
        self.users[name] = user
        return user

    def add_key(self, key: Key) -> None:
        """Let a key in; one with the same `api_key` is replaced. KeyError for an unknown user."""
        if key.user not in self.users:
            raise KeyError(key.user)
        self.keys[key.api_key] = key

    def key(self, api_key: str) -> Key | None:
        """Who an API key is, None when the venue does not know it."""
        return self.keys.get(api_key)

    def account(self, user: str, wallet: str) -> str:
        """The engine's id of a user's wallet; KeyError for a user or wallet that there is not."""
        if wallet not in self.users[user].wallets:
            raise KeyError(wallet)
        return f"{user}:{wallet}"

    def deposit(self, user: str, wallet: str, asset: str, amount: Decimal, now: Instant) -> list[Event]:
        """Money from outside."""
        return self.apply(Deposit(account=self.account(user, wallet), asset=asset, amount=amount), now)

    # --- what happens ------------------------------------------------------------------------

    @staticmethod
    def engine_now(now: Instant, *, market_ms: int | None = None) -> Now:
        """An instant as the engine takes it. The engine reads no monotonic clock: wall time stands in."""
        wall_us = now.wall_ms * US_PER_MS
        return Now(
            wall_us=wall_us, market_ms=now.market_ms if market_ms is None else market_ms, mono_us=wall_us
        )

    def apply(self, command: Command, now: Instant) -> list[Event]:
        """Carry out a command of a customer, after everything that was due before it; tell the listeners.

        Raises `commands.Refused`. An order meets the book of this step, and its market's mark.
        """
        self.catch_up(now)
        if not isinstance(command, Submit):
            return self.tell(command, now)
        self.tape.bring(command.instrument, now)
        short = self.tape.shortened(command, now)
        if short is None:
            return self.tell(command, now)
        try:
            return self.tell(short, now)
        finally:
            self.tape.bring(command.instrument, now, anew=True)

    def tell(self, command: Command, now: Instant, *, market_ms: int | None = None) -> list[Event]:
        """Give a command to the engine as it is, and its events to the listeners."""
        events = self.engine.apply(command, self.engine_now(now, market_ms=market_ms))
        self._spread(events, now)
        return events

    def step(self, now: Instant) -> None:
        """A new state of the market: what is due, marks, books and trades of others. Pumped by the server."""
        self.catch_up(now)
        if not self.desk.ended(now):
            self.tape.step(now)
            misfortunes.strike(self, now)

    def catch_up(self, now: Instant) -> None:
        """Settlements, interest, delistings and dead man's switches up to now, each once and in order."""
        self.timetable.run(now)
        for place in [place for place, due_ms in self._deadlines.items() if due_ms <= now.wall_ms]:
            del self._deadlines[place]
            account, instrument = place
            self.tell(CancelAll(account=account, instrument=instrument, reason="countdown"), now)

    def countdown(self, account: str, instrument: str, deadline_wall_ms: int | None) -> None:
        """Cancel all orders of an account (on one instrument unless "") at a wall time; None calls it off."""
        self.changed = True
        if deadline_wall_ms is None:
            self._deadlines.pop((account, instrument), None)
        else:
            self._deadlines[account, instrument] = deadline_wall_ms

    def deadlines(self) -> list[tuple[str, str, int]]:
        """Every dead man's switch: (account, instrument or "", wall time)."""
        return [(account, key, due_ms) for (account, key), due_ms in sorted(self._deadlines.items())]

    # --- markets -----------------------------------------------------------------------------

    def instrument(self, key: str) -> Instrument | None:
        """The instrument behind an engine key, also one that has gone; None when there never was one."""
        kind, _, symbol = key.partition(":")
        if kind not in ("spot", "perp"):
            return None
        return self.desk.market.known(self.protocol, "spot" if kind == "spot" else "perp", symbol)

    def listing_key(self, kind: Kind | str, symbol: str, now: Instant) -> str | None:
        """The engine's name of a venue's symbol, listed when it is new; None when it is not to be seen."""
        key = listings.key_of(str(kind), symbol)
        if key not in self.tape.listed:
            self.tape.list_all(now)
        return key if key in self.tape.listed else None

    def borrow_rate_hourly(self, asset: str) -> Decimal:
        """The fraction of a loan that one hour costs."""
        return listings.borrow_rate_hourly(asset)

    # --- listeners ---------------------------------------------------------------------------

    def listen(self, user: str, hear: Hear) -> Callable[[], None]:
        """Hear all events of a user's accounts, as they happen; returns what ends it."""
        ears = self._ears.setdefault(user, [])
        ears.append(hear)

        def end() -> None:
            if hear in ears:
                ears.remove(hear)

        return end

    def _spread(self, events: list[Event], now: Instant) -> None:
        by_user: dict[str, list[Event]] = {}
        for event in events:
            user = self._owners.get(account_of(event))
            if user is not None:
                by_user.setdefault(user, []).append(event)
        self.changed = self.changed or bool(by_user)
        for user, own in by_user.items():
            for hear in list(self._ears.get(user, ())):
                hear(own, now)


def account_of(event: Event) -> str:
    """Whose an event is; "" when it is nobody's."""
    match event:
        case Ordered(order=order):
            return order.account
        case Booked(entry=entry):
            return entry.account
        case Positioned(position=position):
            return position.account
        case Configured(account=account):
            return account
        case Listed():
            return ""
        case _:
            raise TypeError(f"an event of unknown kind: {event!r}")


__all__ = ["FEES", "RULES", "Hear", "House", "Refused", "account_of"]
