"""A random life of the simulated exchange: markets, accounts, and commands that mostly make sense.

Everything comes from one `random.Random`, so that a seed is a script. Prices walk with rare shocks of up to
40 %, marks stray from books, sizes are large enough for liquidations and too large for some wallets.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from libs.common.instant import MS_PER_HOUR, Now
from libs.common.subjects import Kind
from libs.exchange.engine import commands as c
from libs.exchange.engine import types as t

Item = TypeVar("Item")

START_MS = 1_700_000_000_000
TIERS = (
    t.Tier(notional_max=Decimal(50_000), leverage_max=50, maintenance_ratio=Decimal("0.005")),
    t.Tier(
        notional_max=Decimal(5_000_000),
        leverage_max=20,
        maintenance_ratio=Decimal("0.01"),
        maintenance_amount=Decimal(250),
    ),
)
COINS = {"BTC": Decimal(40_000), "ETH": Decimal(2_000), "BNB": Decimal(300), "USDC": Decimal(1)}
FEES = t.FeeSchedule(
    spot=t.FeeRates(maker=Decimal("-0.0001"), taker=Decimal("0.001")),
    perp=t.FeeRates(maker=Decimal("-0.00005"), taker=Decimal("0.0005")),
    future=t.FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005")),
)
IN_QUOTE = t.FeeSchedule(spot=FEES.spot, perp=FEES.perp, future=FEES.future, spot_buy_fee="quote", coin="BNB")


def listing(kind: Kind, base: str, quote: str = "USDT", suffix: str = "", **other: object) -> t.Listing:
    """A market of the random exchange."""
    symbol = f"{base}{quote}{suffix}"
    contract = kind is not Kind.SPOT
    return t.Listing(
        key=f"{kind}:{symbol}",
        symbol=symbol,
        kind=kind,
        base=base,
        quote=quote,
        price_tick=Decimal("0.01"),
        quantity_step=Decimal("0.001"),
        quantity_min=Decimal("0.001"),
        notional_min=Decimal(1),
        tiers=TIERS if contract else (),
        liquidation_fee=Decimal("0.0125") if contract else Decimal(0),
        marginable=not contract,
        **other,  # type: ignore[arg-type]
    )


LISTINGS = {
    one.key: one
    for one in (
        *(listing(Kind.SPOT, coin) for coin in COINS),
        listing(Kind.PERP, "BTC"),
        listing(Kind.PERP, "ETH"),
        listing(Kind.PERP, "BTC", "USDC"),
        listing(Kind.FUTURE, "BTC", suffix="_241227", expiry_ms=START_MS + 10 * MS_PER_HOUR),
    )
}
ACCOUNTS = {
    "u1:spot": (t.AccountKind.SPOT, IN_QUOTE, t.PositionMode.ONE_WAY, t.MarginMode.CROSS),
    "u1:usdm": (t.AccountKind.FUTURES, IN_QUOTE, t.PositionMode.ONE_WAY, t.MarginMode.CROSS),
    "u1:margin": (t.AccountKind.MARGIN, FEES, t.PositionMode.ONE_WAY, t.MarginMode.CROSS),
    "u2:usdm": (t.AccountKind.FUTURES, FEES, t.PositionMode.HEDGE, t.MarginMode.ISOLATED),
    "u2:unified": (t.AccountKind.UNIFIED, FEES, t.PositionMode.ONE_WAY, t.MarginMode.CROSS),
    "u2:funding": (t.AccountKind.SPOT, FEES, t.PositionMode.ONE_WAY, t.MarginMode.CROSS),
}


class Script:
    """Commands with their instants, endless. It knows prices and what it sent, never the engine's state."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311 a script, no secret
        self._prices = dict(COINS)
        self._shocks = self._dice.choice([0.02, 0.5])  # calm markets, and such that ruin many
        self._due: list[c.Command] = []
        self._recent: list[tuple[str, str, str]] = []
        self._version = 0
        self._sent = 0
        self._hours = 0
        self._wall_us = START_MS * 1_000

    def now(self) -> Now:
        self._wall_us += 1_000
        return Now(wall_us=self._wall_us, market_ms=self._wall_us // 1_000, mono_us=self._wall_us)

    def opening(self) -> Iterator[c.Command]:
        """Markets with books and marks, accounts with money."""
        for one in LISTINGS.values():
            yield c.SetListing(listing=one)
            yield c.SetMark(instrument=one.key, mark=COINS[one.base])
            yield self.book(one.key)
        for name, (kind, fees, mode, margin_mode) in ACCOUNTS.items():
            spec = t.AccountSpec(
                account=name,
                user=name.partition(":")[0],
                kind=kind,
                fees=fees,
                position_mode=mode,
                margin_mode_default=margin_mode,
                leverage_default=self._pick([5, 20, 50]),
            )
            yield c.OpenAccount(spec=spec)
            for asset, amount in (("USDT", "9000"), ("USDC", "3000"), ("BTC", "0.1"), ("BNB", "2")):
                yield c.Deposit(account=name, asset=asset, amount=Decimal(amount))

    def __iter__(self) -> Iterator[c.Command]:
        makers: list[tuple[Callable[[], c.Command], int]] = [
            (self.order, 40),
            (self.market_moves, 18),
            (self.trade, 10),
            (self.mark, 14),
            (self.cancel, 6),
            (self.cancel_all, 1),
            (self.transfer, 3),
            (self.withdraw, 1),
            (self.deposit, 4),
            (self.borrow, 2),
            (self.repay, 2),
            (self.interest, 1),
            (self.funding, 2),
            (self.leverage, 1),
            (self.modes, 1),
            (self.deleverage, 1),
            (self.liquidate, 1),
        ]
        choices, weights = [maker for maker, _ in makers], [weight for _, weight in makers]
        while True:
            yield self._dice.choices(choices, weights)[0]()
            while self._due:
                yield self._due.pop()

    # --- the market ---------------------------------------------------------------------------------------

    def market_moves(self) -> c.Command:
        """A new price; books and marks of the coin's other markets follow at once, most of the time."""
        key = self._key()
        base = LISTINGS[key].base
        width = 0.4 if self._dice.random() < self._shocks else 0.01
        moved = self._prices[base] * Decimal(1 + self._dice.uniform(-width, width))
        low, high = COINS[base] / 20, COINS[base] * 20
        self._prices[base] = min(max(moved, low), high).quantize(Decimal("0.01"))
        for other, listed in LISTINGS.items():
            if listed.base == base and self._dice.random() < 0.8:
                self._due.append(self.mark_of(other))
        return self.book(key)

    def book(self, key: str) -> c.SetBook:
        self._version += 1
        mid, tick = self._prices[LISTINGS[key].base], Decimal("0.01")
        sizes = [Decimal(self._dice.randint(1, 3_000)) / 1_000 for _ in range(6)]
        return c.SetBook(
            instrument=key,
            bids=tuple((mid - tick * (1 + 3 * place), sizes[place]) for place in range(3)),
            asks=tuple((mid + tick * (1 + 3 * place), sizes[3 + place]) for place in range(3)),
            version=self._version,
        )

    def trade(self) -> c.Command:
        key = self._key()
        return c.PublicTrade(
            instrument=key, price=self._price(key), quantity=self._size(), taker=self._pick(list(t.Side))
        )

    def mark(self) -> c.Command:
        return self.mark_of(self._key())

    def mark_of(self, key: str) -> c.Command:
        stray = Decimal(1 + self._dice.uniform(-0.002, 0.002))
        mark = (self._prices[LISTINGS[key].base] * stray).quantize(Decimal("0.00000001"))
        return c.SetMark(instrument=key, mark=mark)

    def funding(self) -> c.Command:
        self._hours += self._dice.randint(0, 1)  # 0: a settlement that is told twice
        key = self._pick([key for key in LISTINGS if key.startswith("perp")])
        return c.SettleFunding(
            instrument=key,
            rate=Decimal(self._dice.randint(-300, 300)) / 100_000,
            mark=self._prices[LISTINGS[key].base],
            settled_ms=START_MS + self._hours * MS_PER_HOUR,
        )

    def interest(self) -> c.Command:
        self._hours += self._dice.randint(0, 1)
        rate = Decimal(self._dice.randint(0, 100)) / 1_000_000
        hour_ms = START_MS + self._hours * MS_PER_HOUR
        return c.AccrueInterest(asset=self._asset(), hourly_rate=rate, hour_ms=hour_ms)

    # --- people -------------------------------------------------------------------------------------------

    def order(self) -> c.Command:
        account, key = self._trader()
        contract = LISTINGS[key].kind is not Kind.SPOT
        limit = self._dice.random() < 0.6
        side, sides = self._pick(list(t.Side)), [t.PositionSide.LONG, t.PositionSide.SHORT]
        hedge = contract and (self._dice.random() < 0.95) is (account == "u2:usdm")
        by_cost = not contract and not limit and side is t.Side.BUY
        margin = not contract and account in ("u1:margin", "u2:unified")
        self._sent += 1
        client_id = f"c{self._sent}"
        self._recent = [*self._recent[-20:], (account, key, client_id)]
        return c.Submit(
            account=account,
            instrument=key,
            side=side,
            type=t.OrderType.LIMIT if limit else t.OrderType.MARKET,
            quantity=Decimal(0) if by_cost else self._size(),
            quote_quantity=Decimal(self._dice.randint(10, 5_000)) if by_cost else None,
            price=self._price(key) if limit else None,
            tif=self._pick(list(t.TimeInForce)) if limit else t.TimeInForce.IOC,
            client_id=client_id,
            reduce_only=contract and self._dice.random() < 0.1,
            position_side=self._pick(sides) if hedge else t.PositionSide.BOTH,
            margin=margin,
            borrow=self._pick(["none", "auto", "auto_repay"]) if margin else "none",
        )

    def cancel(self) -> c.Command:
        if not self._recent:
            return self.cancel_all()
        account, key, client_id = self._pick(self._recent)
        return c.Cancel(account=account, instrument=key, client_id=client_id)

    def cancel_all(self) -> c.Command:
        return c.CancelAll(account=self._account(), instrument=self._pick(["", self._key()]))

    def transfer(self) -> c.Command:
        source, target = self._account(), self._account()
        return c.Transfer(source=source, target=target, **self._money())

    def withdraw(self) -> c.Command:
        return c.Withdraw(account=self._account(), **self._money())

    def deposit(self) -> c.Command:
        return c.Deposit(account=self._account(), **self._money(most=9_000))

    def borrow(self) -> c.Command:
        return c.Borrow(account=self._pick(["u1:margin", "u2:unified"]), **self._money())

    def repay(self) -> c.Command:
        return c.Repay(account=self._pick(["u1:margin", "u2:unified"]), **self._money())

    def leverage(self) -> c.Command:
        account, key = self._trader(contracts=True)
        return c.SetLeverage(account=account, instrument=key, leverage=self._pick([1, 3, 10, 20, 50, 75]))

    def modes(self) -> c.Command:
        account, key = self._trader(contracts=True)
        if self._dice.random() < 0.3:
            return c.SetPositionMode(account=account, mode=self._pick(list(t.PositionMode)))
        mode = self._pick(list(t.MarginMode))
        return c.SetMarginMode(account=account, instrument=key, mode=mode)

    def deleverage(self) -> c.Command:
        account, key = self._trader(contracts=True)
        return c.Deleverage(
            account=account,
            instrument=key,
            position_side=self._pick(list(t.PositionSide)),
            quantity=self._size() / 10,
            price=self._price(key),
        )

    def liquidate(self) -> c.Command:
        account, key = self._trader(contracts=True)
        side = self._pick(list(t.PositionSide))
        return c.Liquidate(account=account, instrument=key, position_side=side)

    # --- choices ------------------------------------------------------------------------------------------

    def _pick(self, items: Sequence[Item]) -> Item:
        return self._dice.choice(items)

    def _account(self) -> str:
        return self._pick(list(ACCOUNTS))

    def _key(self) -> str:
        return self._pick(list(LISTINGS))

    def _trader(self, *, contracts: bool = False) -> tuple[str, str]:
        """An account and a market: mostly one that it may trade."""
        account, keys = self._account(), list(LISTINGS)
        if contracts:
            account = self._pick(["u1:usdm", "u2:usdm", "u2:unified"])
            keys = [key for key in keys if not key.startswith("spot")]
        if self._dice.random() < 0.97:
            spot = ACCOUNTS[account][0] in (t.AccountKind.SPOT, t.AccountKind.MARGIN)
            unified = ACCOUNTS[account][0] is t.AccountKind.UNIFIED
            keys = [key for key in keys if unified or key.startswith("spot") is spot]
        return account, self._pick(keys)

    def _asset(self) -> str:
        return self._pick(["USDT", "USDT", "BTC", "ETH", "BNB", "USDC"])

    def _price(self, key: str) -> Decimal:
        """Near the middle, on the tick."""
        factor = Decimal(1 + self._dice.uniform(-0.01, 0.01))
        return (self._prices[LISTINGS[key].base] * factor).quantize(Decimal("0.01"))

    def _size(self) -> Decimal:
        return Decimal(self._dice.choice([1, 20, 100, 400, 1_000, 3_000])) / 1_000

    def _money(self, most: int = 1_000_000) -> Any:
        """An asset and an amount of it, from a dollar's worth to more than anybody has."""
        asset = self._asset()
        dollars = Decimal(min(self._dice.choice([1, 40, 1_500, 9_000, 18_000, 1_000_000]), most))
        amount = dollars / COINS.get(asset, Decimal(1))
        return {"asset": asset, "amount": amount.quantize(Decimal("0.000001"))}
