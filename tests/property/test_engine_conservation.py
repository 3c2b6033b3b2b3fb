"""Money is conserved, whatever happens: random lives of the exchange, looked at after each command."""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine import commands as c
from libs.exchange.engine import types as t
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.ledger import money
from tests.property.engine_commands import ACCOUNTS, COINS, LISTINGS, Script

LENGTH = 160
LIVES = settings(derandomize=True, max_examples=25, deadline=None)
seeds = st.integers(0, 2**32)


class Life:
    """An engine with what was told to it and a second, naive ledger made of its events."""

    def __init__(self, seed: int) -> None:
        self.script, self.engine = Script(seed), Engine()
        self.told: list[tuple[c.Command, Now]] = []
        self.wallets: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.refusals: Counter[str] = Counter()
        self.events: list[c.Event] = []
        for command in self.script.opening():
            self.tell(command)

    def tell(self, command: c.Command) -> list[c.Event]:
        now = self.script.now()
        before = self.engine.snapshot()
        try:
            events = self.engine.apply(command, now)
        except c.Refused as refused:
            self.refusals[refused.reason] += 1
            assert self.engine.snapshot() == before, f"{command} was refused, but something changed"
            return []
        self.told.append((command, now))
        self.events += events
        for event in events:
            if isinstance(event, c.Booked) and event.entry.kind is not t.EntryKind.INTEREST:
                line = event.entry
                self.wallets[line.account, line.asset] += line.amount
                assert line.balance == self.wallets[line.account, line.asset]
        self.look()
        if isinstance(command, c.SettleFunding | c.AccrueInterest):
            assert self.engine.apply(command, now) == [], "what has an instant happens once"
        return events

    def look(self) -> None:
        """What must hold at any time."""
        assert not any(self.engine.totals().values())
        for account in self.engine.accounts:
            for asset, balance in self.engine.balances(account).items():
                assert balance.total == self.wallets[account, asset]
                assert 0 <= balance.locked <= balance.total
                assert balance.borrowed >= 0
                assert balance.interest >= 0

    def run(self, length: int = LENGTH) -> None:
        for _, command in zip(range(length), self.script, strict=False):
            self.tell(command)

    def end(self) -> None:
        """Orders canceled, positions closed through deep books, debts paid back, at one last price."""
        deep = Decimal(1_000_000)
        for account in ACCOUNTS:
            self.tell(c.CancelAll(account=account, instrument=""))
            for asset in ("USDT", *COINS):
                self.tell(c.Deposit(account=account, asset=asset, amount=deep))
        for key, listing in LISTINGS.items():
            price = COINS[listing.base]
            bids, asks = ((price - 1, deep),), ((price + 1, deep),)
            if price < 2:
                bids, asks = ((price / 2, deep),), ((price * 2, deep),)
            self.tell(c.SetBook(instrument=key, bids=bids, asks=asks, version=10**9))
        for account in ACCOUNTS:
            for figures in self.engine.positions(account):
                self.close(figures.position)
            assert self.engine.positions(account) == []
        for account in ("u1:margin", "u2:unified"):
            for asset, balance in self.engine.balances(account).items():
                if balance.borrowed or balance.interest:
                    self.tell(c.Repay(account=account, asset=asset, amount=deep))
            assert self.engine.margin_level(account) is None

    def close(self, position: t.Position) -> None:
        self.tell(
            c.Submit(
                account=position.account,
                instrument=position.instrument,
                side=t.Side.SELL if position.quantity > 0 else t.Side.BUY,
                type=t.OrderType.MARKET,
                quantity=abs(position.quantity),
                reduce_only=True,
                position_side=position.side,
            )
        )


@LIVES
@given(seed=seeds)
def test_totals_are_zero_and_wallets_are_the_sum_of_their_lines(seed: int) -> None:
    """And a refusal changes nothing, no wallet is negative, no more is locked than is there."""
    Life(seed).run()


@LIVES
@given(seed=seeds)
def test_the_same_commands_give_the_same_bytes(seed: int) -> None:
    life = Life(seed)
    life.run()
    again, middle = Engine(), len(life.told) // 2
    for place, (command, now) in enumerate(life.told):
        if place == middle:
            again = Engine.restore(again.snapshot())
        again.apply(command, now)
    assert again.snapshot() == life.engine.snapshot()


@LIVES
@given(seed=seeds)
def test_over_a_whole_life_every_part_is_exact(seed: int) -> None:
    """Realised, fees and debts, recomputed from the fills and compared with the ledger to the last digit."""
    life = Life(seed)
    life.run()
    life.end()
    with localcontext(prec=60):
        for account in ACCOUNTS:
            lines: dict[tuple[t.EntryKind, str], Decimal] = defaultdict(Decimal)
            for line in life.engine.entries(account):
                lines[line.kind, line.asset] += line.amount
            expected: dict[tuple[t.EntryKind, str], Decimal] = defaultdict(Decimal)
            for fill in life.engine.fills(account):
                listing = LISTINGS[fill.instrument]
                cash = fill.quote if fill.side is t.Side.SELL else -fill.quote
                expected[t.EntryKind.FEE, fill.fee_asset] -= fill.fee
                if listing.kind is Kind.SPOT:
                    coins = fill.quantity if fill.side is t.Side.BUY else -fill.quantity
                    expected[t.EntryKind.TRADE, listing.base] += coins
                    expected[t.EntryKind.TRADE, listing.quote] += cash
                else:  # flat in the end: what came in less what went out is what was realised
                    expected[t.EntryKind.PNL, listing.quote] += cash
            for asset in ("USDT", *COINS):
                for kind in (t.EntryKind.FEE, t.EntryKind.TRADE, t.EntryKind.PNL):
                    assert lines[kind, asset] == expected[kind, asset], (account, kind, asset)
                borrowed = lines[t.EntryKind.BORROW, asset]
                interest = -lines[t.EntryKind.INTEREST, asset]
                assert lines[t.EntryKind.REPAY, asset] == -(borrowed + interest)


@LIVES
@given(seed=seeds)
def test_funding_pays_what_positions_are_once(seed: int) -> None:
    life = Life(seed)
    for _, command in zip(range(LENGTH), life.script, strict=False):
        if not isinstance(command, c.SettleFunding):
            life.tell(command)
            continue
        with localcontext(prec=60):
            due: dict[str, list[Decimal]] = {}
            for account in ACCOUNTS:
                for figures in life.engine.positions(account):
                    position = figures.position
                    payment = money(-position.quantity * command.mark * command.rate)
                    if position.instrument == command.instrument and payment:
                        due.setdefault(account, []).append(payment)
        seen = any(
            isinstance(old, c.SettleFunding)
            and old.instrument == command.instrument
            and old.settled_ms >= command.settled_ms
            for old, _ in life.told
        )
        paid: dict[str, list[Decimal]] = {}
        for event in life.tell(command):
            if isinstance(event, c.Booked) and event.entry.kind is t.EntryKind.FUNDING:
                paid.setdefault(event.entry.account, []).append(event.entry.amount)
        assert paid == ({} if seen else due)


def test_the_random_lives_reach_every_corner() -> None:
    """Otherwise the properties above would hold for want of trying."""
    kinds: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for seed in range(12):
        life = Life(seed)
        life.run(300)
        delivered = next(key for key in LISTINGS if key.startswith("future"))
        life.tell(c.Deliver(instrument=delivered, price=COINS["BTC"]))
        refusals += life.refusals
        for event in life.events:
            if isinstance(event, c.Booked):
                kinds[event.entry.kind] += 1
            elif isinstance(event, c.Ordered) and event.fill is not None:
                causes[event.fill.cause] += 1
    assert {kind for kind in t.EntryKind if not kinds[kind]} <= {t.EntryKind.DELIVERY}, kinds
    assert all(causes[cause] for cause in ("order", "liquidation", "adl", "delivery")), causes
    assert len(refusals) >= 15, refusals


@pytest.mark.parametrize("seed", range(3))
def test_delivery_and_delisting_leave_nothing_open(seed: int) -> None:
    life = Life(seed)
    life.run(250)
    for key, listing in LISTINGS.items():
        if listing.kind is Kind.FUTURE:
            life.tell(c.Deliver(instrument=key, price=COINS["BTC"]))
        else:
            life.tell(c.SetListing(listing=replace(listing, status=t.MarketStatus.DELISTED)))
    for account in ACCOUNTS:
        assert life.engine.positions(account) == []
        assert life.engine.open_orders(account) == []
        assert all(balance.locked == 0 for balance in life.engine.balances(account).values())
