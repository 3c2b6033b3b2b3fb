"""The account side of a paper venue: balances, positions, settings, loans, transfers, records. Pure."""

from __future__ import annotations

from decimal import Decimal

from libs.common.instant import Now
from libs.common.money import plain
from libs.common.subjects import SPOT
from libs.exchange.engine.commands import (
    Borrow,
    Command,
    Refused,
    Repay,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
    Transfer,
)
from libs.exchange.engine.types import FeeRates
from libs.exchange.paper import reports
from libs.exchange.paper.floor import Floor
from libs.exchange.paper.listings import key_of
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_values import (
    AccountSettings,
    BalanceReport,
    KeyPermissions,
    LedgerRecord,
    MarginMode,
    PositionMode,
    PositionReport,
    RecordKind,
    Wallet,
)


class Account:
    """Every call raises `VenueError` and nothing else."""

    def __init__(self, floor: Floor, *, transfers: int = 0) -> None:
        self._floor = floor
        self._transfers = transfers

    @property
    def venue(self) -> str:
        """The venue's slug."""
        return self._floor.venue

    @property
    def wallets(self) -> tuple[Wallet, ...]:
        """Of this account."""
        return self._floor.layout.wallets

    @property
    def instruments(self) -> dict[str, Instrument]:
        """Every instrument that the bus has told of, by slug."""
        return self._floor.instruments

    # --- what there is ------------------------------------------------------------------------------------

    def balances(self, now: Now) -> list[BalanceReport]:
        """See trading.Trading."""
        self._floor.advance(now)
        engine = self._floor.engine
        found = [
            reports.balance_report(engine, wallet, asset)
            for wallet in self.wallets
            for asset in engine.balances(wallet)
        ]
        return [one for one in found if one.total or one.borrowed or one.interest]

    def positions(self, now: Now) -> list[PositionReport]:
        """See trading.Trading."""
        self._floor.advance(now)
        found = self._floor.engine.positions(self._floor.layout.contracts)
        return [reports.position_report(figures) for figures in found]

    def records(self, kind: RecordKind, now: Now, *, since_ms: int) -> list[LedgerRecord]:
        """See trading.Trading."""
        self._floor.advance(now)
        entries = [one for wallet in self.wallets for one in self._floor.engine.entries(wallet)]
        told = [reports.record_of(entry) for entry in sorted(entries, key=lambda one: one.entry_id)]
        return [one for one in told if one.kind == kind and one.ts_ms >= since_ms]

    def permissions(self) -> KeyPermissions:
        """There is no key: paper trades and moves, nothing leaves."""
        return KeyPermissions(
            readable=True,
            may_trade=True,
            may_withdraw=False,
            may_transfer=True,
            ip_bound=True,
            account_type="paper",
        )

    def fee_rates(self, instrument: str) -> FeeRates:
        """What fills in an instrument pay."""
        return self._floor.rates(self._item(instrument))

    # --- settings -----------------------------------------------------------------------------------------

    def settings(self, instrument: str) -> AccountSettings:
        """See trading.Trading."""
        key, engine = self._contract(instrument), self._floor.engine
        account = self._floor.layout.contracts
        return AccountSettings(
            instrument=instrument,
            margin_mode=engine.margin_mode(account, key),
            leverage=engine.leverage(account, key),
            position_mode=engine.position_mode(account),
        )

    def configure(
        self,
        instrument: str,
        now: Now,
        *,
        margin_mode: MarginMode,
        leverage: int,
        position_mode: PositionMode,
    ) -> AccountSettings:
        """See trading.Trading. Only what differs is set."""
        key, account = self._contract(instrument), self._floor.layout.contracts
        old = self.settings(instrument)
        if old.position_mode is not position_mode:
            self._do("configure", SetPositionMode(account=account, mode=position_mode), now)
        if old.margin_mode is not margin_mode:
            self._do("configure", SetMarginMode(account=account, instrument=key, mode=margin_mode), now)
        if old.leverage != leverage:
            self._do("configure", SetLeverage(account=account, instrument=key, leverage=leverage), now)
        return self.settings(instrument)

    # --- coins that move ----------------------------------------------------------------------------------

    def borrow(self, asset: str, amount: Decimal, now: Now) -> None:
        """See trading.Trading."""
        self._floor.bring_coin(asset, now)
        self._lend("borrow", Borrow(account=self._lender("borrow"), asset=asset, amount=amount), now)

    def repay(self, asset: str, amount: Decimal, now: Now) -> None:
        """See trading.Trading. At most what is owed is taken."""
        self._lend("repay", Repay(account=self._lender("repay"), asset=asset, amount=amount), now)

    def transfer(self, asset: str, amount: Decimal, now: Now, *, source: Wallet, target: Wallet) -> str:
        """See trading.Trading."""
        if source not in self.wallets or target not in self.wallets or source == target:
            raise VenueError(self.venue, "not_supported", f"transfer: from {source} to {target}")
        ref = f"{self._transfers + 1}"
        move = Transfer(source=source, target=target, asset=asset, amount=amount, ref=ref)
        self._do(f"transfer of {plain(amount)} {asset}", move, now)
        self._transfers += 1
        return ref

    def _lender(self, name: str) -> Wallet:
        """Where coins are borrowed."""
        found = self._floor.layout.borrows
        if found is None:
            raise VenueError(self.venue, "not_supported", f"{name}: no borrowing of spot coins here")
        return found

    # --- helpers ------------------------------------------------------------------------------------------

    def _do(self, name: str, command: Command, now: Now, *, error_class: str = "exchange") -> None:
        try:
            self._floor.apply(command, now)
        except Refused as error:
            raise VenueError(self.venue, error_class, f"{name}: {error.detail}") from error

    def _lend(self, name: str, command: Command, now: Now) -> None:
        self._do(name, command, now, error_class="refused")

    def _item(self, instrument: str) -> Instrument:
        found = self.instruments.get(instrument)
        if found is None:
            raise VenueError(self.venue, "not_supported", f"no instrument {instrument} here")
        return found

    def _contract(self, instrument: str) -> str:
        """The engine's key of a contract that it lists."""
        item = self._item(instrument)
        if item.kind is SPOT:
            raise VenueError(self.venue, "not_supported", f"{instrument} is spot: it has no margin settings")
        key = key_of(instrument)
        if key not in self._floor.engine.listings:
            raise VenueError(self.venue, "not_supported", f"{instrument}: {item.refused}")
        return key
