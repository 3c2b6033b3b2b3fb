"""A random life of an account that three pairs trade on, booked as the executor books it.

The engine is the truth; lines are made by the executor's own code out of what the engine tells.
"""

from __future__ import annotations

import random
from decimal import Decimal

from msgspec.structs import replace

from libs.common.codec import decode, encode
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_HOUR, Now
from libs.common.messages_exec import LedgerLine
from libs.common.subjects import SPOT, kind_of, pair_id
from libs.exchange.engine import commands as c
from libs.exchange.engine import types as t
from libs.exchange.engine.engine import Engine
from libs.exchange.trading_values import BalanceReport, LedgerRecord, PositionReport
from services.executor import ledger, records
from services.executor.account import Look, look_of
from services.executor.books import Books, take_entries
from services.executor.events import AccountSeen
from services.executor.expect import Announcements
from services.executor.lane import Draft, Lane
from services.executor.model import Intent, IntentState, OrderClass
from services.executor.order import on_fill
from services.executor.permit import PermitView
from services.executor.sizing import Rules
from services.executor.world import Seen, World
from tests.property.pnl_terms import (
    FEES,
    ME,
    NAMES,
    OTHER,
    PAIRS,
    PERP,
    PRICES,
    PURPOSES,
    RECORDS,
    START_MS,
    VENUE,
    key_of,
    listing_of,
    market_of,
    report_of,
)


class Life:
    """An engine, the executor's view of it, and its books."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 a script, no secret
        self.engine = Engine()
        self.prices = dict(PRICES)
        self.world = World(Config(), PermitView(build="test"), deployment="test")
        self.wall_us = START_MS * 1_000
        self.books = Books()
        self.lines: list[LedgerLine] = []
        self.announced = Announcements()
        self.outside = Decimal(0)
        self._entry, self._orders, self._version, self._hours = 0, 0, 0, 0
        for name in NAMES.values():
            self._list(name)
        spec = t.AccountSpec(
            account=ME,
            user="me",
            kind=t.AccountKind.UNIFIED,
            fees=FEES[self.dice.choice(sorted(FEES))],
            leverage_default=10,
        )
        self.tell(c.OpenAccount(spec=spec))
        for asset, amount in (("USDT", 100_000), ("BNB", 3), ("BTC", self.dice.choice((0, 2)))):
            if amount:
                self.tell(c.Deposit(account=ME, asset=asset, amount=Decimal(amount)))
        self.reprice()
        self._entry = max(entry.entry_id for entry in self.engine.entries(ME))
        self.lanes = {pair_id(*keys): self._lane(keys) for keys in PAIRS}
        self.opening = self.look()

    # --- the market -------------------------------------------------------------------------------

    def now(self) -> Now:
        self.wall_us += 1_000_000
        return Now(wall_us=self.wall_us, market_ms=self.wall_us // 1_000, mono_us=self.wall_us)

    def tell(self, command: c.Command) -> list[c.Event]:
        return self.engine.apply(command, self.now())

    def reprice(self) -> None:
        """New prices; BNB's stays, so that what its price does to the user's own coins is nothing."""
        for base in ("BTC", "ETH"):
            factor = 1 + Decimal(self.dice.randrange(-300, 301)) / 10_000
            self.prices[base] = (self.prices[base] * factor).quantize(Decimal("0.1"))
        for key, name in NAMES.items():
            price = self.prices[name.split("-")[0]]
            off = Decimal(self.dice.randrange(0, 4)) / 10 if kind_of(name) is not SPOT else Decimal(0)
            bid, ask = price - Decimal("0.3") + off, price + Decimal("0.5") + off
            self._version += 1
            size = Decimal(self.dice.randrange(1, 60)) / 100
            levels = [((p, size), (p + step, Decimal(50))) for p, step in ((bid, -20), (ask, 20))]
            self.tell(c.SetMark(instrument=key, mark=price + off))
            self.tell(c.SetBook(instrument=key, bids=levels[0], asks=levels[1], version=self._version))
            self.world.marks[VENUE, name] = price + off
            self.world.quotes[VENUE, name] = Seen(
                bid=bid, ask=ask, bid_size=size, ask_size=size, mono_us=self.wall_us
            )
            if kind_of(name) is SPOT:  # the books value coins at mids: the engine's mark is that mid
                self.world.quotes[VENUE, name] = Seen(
                    bid=price, ask=price, bid_size=size, ask_size=size, mono_us=self.wall_us
                )

    # --- what happens -----------------------------------------------------------------------------

    def step(self) -> None:
        """One random thing, and what the executor books of it."""
        what = self.dice.choices(
            ("reprice", "order", "funding", "adl", "interest", "outside"), (30, 50, 8, 4, 5, 3)
        )[0]
        try:
            getattr(self, f"_{what}" if what != "reprice" else "reprice")()
        except c.Refused:
            return
        self.read_records()

    def _order(self) -> None:
        lane = self.dice.choice(list(self.lanes.values()))
        leg = self.dice.randrange(2)
        name = lane.keys[leg][1]
        side = self.dice.choice(("buy", "sell"))
        held = lane.state.legs[leg].quantity
        quantity = Decimal(self.dice.randrange(1, 80)) / 100
        if held and self.dice.random() < 0.5:  # close it, or flip it
            side = "sell" if held > 0 else "buy"
            quantity = max(abs(held).quantize(Decimal("0.001")), Decimal("0.001")) * self.dice.choice(
                (1, 1, 2)
            )
        self._orders += 1
        now = self.now()
        intent = Intent(
            id=f"fa{self._orders:06d}",
            pair=lane.pair,
            leg=leg,
            purpose=self.dice.choice(PURPOSES),
            order_class=OrderClass.INCREASE,
            side=side,  # type: ignore[arg-type]
            quantity=quantity,
            price=None,
            tif="ioc",
            reduce_only=False,
            margin=False,
            fence=1,
            attempt=1,
            state=IntentState.SENT,
            created_us=now.wall_us,
            mid=self.world.mid(lane.keys[leg]),
        )
        events = self.tell(
            c.Submit(
                account=ME,
                instrument=key_of(name),
                side=t.Side(side),
                type=t.OrderType.MARKET,
                quantity=quantity,
                client_id=intent.id,
            )
        )
        for event in events:
            if isinstance(event, c.Ordered) and event.fill is not None and event.fill.client_id == intent.id:
                intent = self._filled(lane, intent, event.fill)

    def _filled(self, lane: Lane, before: Intent, fill: t.Fill) -> Intent:
        """Told twice, since venues do."""
        draft = Draft(lane, self.now())
        report = report_of(fill)
        after = on_fill(before, report, base=lane.keys[before.leg][1].split("-")[0])
        ledger.on_trades(lane, draft, before, after, (report, report))
        ledger.on_trades(lane, draft, after, after, (report,))
        self._take(lane, draft, before.leg, fill.quantity * (1 if fill.side == "buy" else -1))
        return after

    def _adl(self) -> None:
        """The venue takes from a position: the pairs that hold it on that side share it."""
        name = self.dice.choice((PERP, OTHER))
        found = [one for one in self.engine.positions(ME) if one.position.instrument == key_of(name)]
        sharers = [(lane, leg) for lane in self.lanes.values() for leg in (0, 1) if lane.keys[leg][1] == name]
        if not found:
            return
        position = found[0].position
        events = self.tell(
            c.Deleverage(
                account=ME,
                instrument=key_of(name),
                position_side=t.PositionSide.BOTH,
                quantity=abs(position.quantity),
                price=found[0].mark,
            )
        )
        fill = next(e.fill for e in events if isinstance(e, c.Ordered) and e.fill is not None)
        first = (fill.quantity / 3).quantize(Decimal("0.001")) if len(sharers) > 1 else fill.quantity
        before = Decimal(0)
        for (lane, leg), amount in zip(sharers, (first, fill.quantity - first), strict=False):
            draft = Draft(lane, self.now())
            ledger.on_taken(lane, draft, leg, report_of(fill), before=before, amount=amount)
            self._take(lane, draft, leg, amount * (1 if fill.side == "buy" else -1))
            before += amount

    def _funding(self) -> None:
        self._hours += 1
        name = self.dice.choice((PERP, OTHER))
        rate = Decimal(self.dice.randrange(-30, 31)) / 10_000
        mark = self.world.marks[VENUE, name]
        self.tell(
            c.SettleFunding(instrument=key_of(name), rate=rate, mark=mark, settled_ms=self.wall_us // 1_000)
        )

    def _interest(self) -> None:
        """The user borrows for himself: interest that no pair owes is nobody's, and explained as well."""
        self._hours += 1
        self.tell(c.Borrow(account=ME, asset="BTC", amount=Decimal("0.1")))
        self.tell(
            c.AccrueInterest(
                asset="BTC", hourly_rate=Decimal("0.0001"), hour_ms=START_MS + self._hours * MS_PER_HOUR
            )
        )

    def _outside(self) -> None:
        amount = Decimal(self.dice.randrange(1, 900))
        if self.dice.random() < 0.5:
            self.tell(c.Deposit(account=ME, asset="USDT", amount=amount))
            self.outside += amount
        else:
            self.tell(c.Withdraw(account=ME, asset="USDT", amount=amount))
            self.outside -= amount

    # --- what is read -----------------------------------------------------------------------------

    def look(self) -> Look:
        """The account as the books see it."""
        return look_of(self.seen(self.wall_us), self.world)

    def seen(self, asked_us: int) -> AccountSeen:
        """The account as the venue shows it."""
        positions = tuple(
            PositionReport(
                instrument=NAMES[one.position.instrument],
                side=t.PositionSide.BOTH,
                quantity=one.position.quantity,
                entry_price=one.position.entry_price,
                mark=one.mark,
                unrealised=one.unrealised,
                liquidation_price=one.liquidation_price,
            )
            for one in self.engine.positions(ME)
        )
        balances = tuple(
            BalanceReport(
                wallet="unified",
                asset=asset,
                total=held.total,
                free=held.free,
                borrowed=held.borrowed,
                interest=held.interest,
            )
            for asset, held in self.engine.balances(ME).items()
        )
        return AccountSeen(
            venue=VENUE, positions=positions, balances=balances, open_orders=(), asked_mono_us=asked_us
        )

    def records(self) -> list[LedgerRecord]:
        """The venue's own books, fees and profits of trades left out."""
        return [
            LedgerRecord(
                record_id=str(entry.entry_id),
                kind=RECORDS[entry.kind.value],
                asset=entry.asset,
                amount=entry.amount,
                ts_ms=entry.wall_us // 1_000,
                instrument=NAMES.get(entry.instrument),
            )
            for entry in self.engine.entries(ME)
            if entry.kind.value in RECORDS
        ]

    def read_records(self) -> None:
        """Book what is new in them."""
        for record in self.records():
            if int(record.record_id) <= self._entry:
                continue
            self._entry = int(record.record_id)
            found = records.lines_of(
                VENUE,
                record,
                books=self.books,
                world=self.world,
                announced=self.announced,
                market_of=market_of,
                split_wallets=False,
                now=self.now(),
            )
            self._book(found)

    def _take(self, lane: Lane, draft: Draft, leg: int, quantity: Decimal) -> None:
        legs = list(lane.state.legs)
        legs[leg] = replace(legs[leg], quantity=legs[leg].quantity + quantity)
        lane.state = replace(lane.state, legs=(legs[0], legs[1]))
        for payload in draft.ledger:
            self.books = take_entries(self.books, [(str(len(self.lines) + 1), payload)], [], market_of)
            self.lines.append(decode(payload, LedgerLine))
        assert draft.ledger_ids == [line.key for line in self.lines[len(self.lines) - len(draft.ledger) :]]

    def _book(self, lines: list[LedgerLine]) -> None:
        for line in lines:
            self.books = take_entries(self.books, [(str(len(self.lines) + 1), encode(line))], [], market_of)
            self.lines.append(line)

    def _lane(self, keys: tuple[tuple[str, str], tuple[str, str]]) -> Lane:
        return Lane(pair_id(*keys), keys, (kind_of(keys[0][1]), kind_of(keys[1][1])), self.world)

    def _list(self, name: str) -> None:
        listing = listing_of(name)
        self.tell(c.SetListing(listing=listing))
        self.world.rules[VENUE, name] = Rules(
            kind=listing.kind, base=listing.base, quote=listing.quote, settle=listing.quote
        )
