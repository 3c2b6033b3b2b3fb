"""What everybody says to risk in its tests, healthy until a test changes it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.common import subjects
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config, Exchange, Limits, Mode, Monitor, PairLegs
from libs.common.instant import Now
from libs.common.message import Message
from libs.common.messages import Funding, InstrumentInfo, Quote, ServiceHealth, VenueHealth
from libs.common.messages_exec import (
    AccountBalance,
    AccountPosition,
    AccountStatus,
    PairLeg,
    PairStatus,
)
from libs.common.subjects import Kind, kind_of, pair_stem

BUILD: Final = "b1"
BTC: Final = "BTC-USDT_binance-spot_binance-perp"
ETH: Final = "ETH-USDT_binance-perp_bitget-perp"
PRICES: Final = {"BTC": 50_000.0, "ETH": 2_000.0}

replace = msgspec.structs.replace

CONFIG: Final = Config(
    mode=Mode.PAPER,
    symbols=("BTC/USDT",),
    exchanges={
        "spot": Exchange(id="binance", type="spot"),
        "perp": Exchange(id="binanceusdm", type="swap"),
        "other": Exchange(id="bitget", type="swap"),
    },
    pairs=(PairLegs(symbol="ETH/USDT", legs=("perp", "other")),),
    monitor=Monitor(interval_sec=30.0),
    limits=Limits(max_notional_usd=5_000.0, max_notional_per_venue_usd=4_500.0),
)


class World:
    """What everybody says each second. Tests change it; `quiet` subjects are not said."""

    def __init__(self, config: Config) -> None:
        self.specs = {spec.id: spec for spec in pair_specs(config)}
        self.keys = tuple({(leg.venue, leg.instrument): leg for s in self.specs.values() for leg in s.legs})
        self.mids = {key: PRICES[pair_stem(key[1]).split("-", 1)[0]] for key in self.keys}
        self.index = dict(PRICES)
        self.quiet: set[str] = set()
        self.skew_us: dict[str, int] = {}
        self.build = BUILD
        self.key_problems: tuple[str, ...] = ()
        self.marks = True
        self.pairs = {pair: self._idle(pair) for pair in self.specs}
        self.accounts = {
            venue: AccountStatus(
                venue=venue,
                balances=(
                    AccountBalance(
                        wallet="unified", asset="USDT", total=Decimal(10_000), free=Decimal(10_000), usd=1e4
                    ),
                ),
                positions=(),
                equity_usd=10_000.0,
                margin_ratio=0.0,
                clock_offset_ms=1.0,
                wall_us=0,
            )
            for venue in ("binance", "bitget")
        }
        self.health = {
            venue: VenueHealth(
                venue=venue, connected=True, ages_sec={"quote": 0.1}, clock_offset_ms=1.0, recv_us=0
            )
            for venue in ("binance", "bitget")
        }

    def _idle(self, pair: str) -> PairStatus:
        legs = [
            PairLeg(venue=leg.venue, instrument=leg.instrument, kind=leg.kind, quantity=Decimal(0))
            for leg in self.specs[pair].legs
        ]
        return PairStatus(
            pair=pair,
            state="idle",
            version=1,
            direction="forward",
            legs=(legs[0], legs[1]),
            notional_usd=Decimal(1_000),
            delta=Decimal(0),
            delta_ratio=0.0,
            naked_usd=0.0,
            reason="",
            owner="e1",
            wall_us=0,
        )

    def hold(self, pair: str, quantity: str) -> None:
        """The pair is held, and the accounts show it: long the first leg, short the second."""
        status, amount = self.pairs[pair], Decimal(quantity)
        legs = [replace(leg, quantity=sign * amount) for leg, sign in zip(status.legs, (1, -1), strict=True)]
        self.pair(pair, state="active", legs=(legs[0], legs[1]))
        for leg in legs:
            price = self.mids[leg.venue, leg.instrument]
            if leg.kind is Kind.SPOT:
                self.coins(leg.venue, pair_stem(leg.instrument).split("-", 1)[0], amount, price)
            else:
                shown = AccountPosition(
                    instrument=leg.instrument,
                    quantity=leg.quantity,
                    mark=price,
                    liquidation_price=price * 1.5,
                )
                self.account(leg.venue, positions=(*self.accounts[leg.venue].positions, shown))

    def coins(self, venue: str, asset: str, amount: Decimal, price: float) -> None:
        """Bought for dollars of the same wallet: the equity stays."""
        cash, *rest = self.accounts[venue].balances
        paid = amount * Decimal(str(price))
        left = replace(cash, total=cash.total - paid, free=cash.free - paid, usd=float(cash.total - paid))
        coin = AccountBalance(wallet="unified", asset=asset, total=amount, free=amount, usd=float(paid))
        self.account(venue, balances=(left, *rest, coin))

    def pair(self, pair: str, **changes: Any) -> None:
        """A pair says something else from now on; a changed version is a change of the pair."""
        version = self.pairs[pair].version + 1
        self.pairs[pair] = replace(self.pairs[pair], **{"version": version, **changes})

    def account(self, venue: str, **changes: Any) -> None:
        self.accounts[venue] = replace(self.accounts[venue], **changes)

    def venue(self, venue: str, **changes: Any) -> None:
        self.health[venue] = replace(self.health[venue], **changes)

    def said(self, now: Now) -> list[tuple[str, Message]]:
        """Everything, stamped now."""
        found: list[tuple[str, Message]] = []
        for key in self.keys:
            found.append((subjects.quote(*key), self.quote(key, now)))
            found.append((subjects.instrument(*key), self.info(key, now)))
            if kind_of(key[1]) is not Kind.SPOT:
                found.append((subjects.funding(*key), self.funding(key, now)))
        for venue, health in self.health.items():
            found.append((subjects.md_health(venue), replace(health, recv_us=now.wall_us)))
        services = ("executor", "signal", "feed")
        found += [(subjects.health(service), self.pulse(service, now)) for service in services]
        for pair, status in self.pairs.items():
            found.append((subjects.exec_pair(pair), replace(status, wall_us=now.wall_us)))
        for venue, account in self.accounts.items():
            found.append((subjects.exec_account(venue), replace(account, wall_us=now.wall_us)))
        return [(subject, message) for subject, message in found if subject not in self.quiet]

    def quote(self, key: tuple[str, str], now: Now) -> Quote:
        mid = self.mids[key]
        return Quote(
            venue=key[0],
            instrument=key[1],
            bid=mid * 0.9999,
            ask=mid * 1.0001,
            bid_size=1.0,
            ask_size=1.0,
            ts_ms=now.market_ms,
            recv_us=now.wall_us,
        )

    def funding(self, key: tuple[str, str], now: Now) -> Funding:
        return Funding(
            venue=key[0],
            instrument=key[1],
            kind="current",
            rate=0.0001,
            interval_hours=8.0,
            interval_source="rate",
            next_ms=now.market_ms + 3_600_000,
            mark=self.mids[key] if self.marks else None,
            index=self.index[pair_stem(key[1]).split("-", 1)[0]],
            ts_ms=now.market_ms,
            recv_us=now.wall_us,
            source="stream",
        )

    def info(self, key: tuple[str, str], now: Now) -> InstrumentInfo:
        return InstrumentInfo(
            venue=key[0],
            instrument=key[1],
            symbol=key[1],
            base=key[1].split("-", 1)[0],
            quote="USDT",
            settle="USDT",
            kind=kind_of(key[1]),
            quantity_step="0.001",
            recv_us=now.wall_us,
        )

    def pulse(self, service: str, now: Now) -> ServiceHealth:
        return ServiceHealth(
            service=service,
            ok=True,
            key_problems=self.key_problems if service == "executor" else (),
            build=self.build,
            pid=1,
            uptime_sec=1.0,
            lag_ms=0.0,
            inbox_depth=0,
            wall_us=now.wall_us + self.skew_us.get(service, 0),
        )


def contract(instrument: str, quantity: Any, mark: float, liquidation: float | None) -> AccountPosition:
    """A position as a venue shows it."""
    return AccountPosition(
        instrument=instrument, quantity=Decimal(quantity), mark=mark, liquidation_price=liquidation
    )
