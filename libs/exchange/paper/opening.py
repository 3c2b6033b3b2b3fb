"""What a paper account begins with."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config
from libs.exchange.paper.layout import layout_of
from libs.exchange.trading_values import Wallet

START: Final = Decimal(50_000)
"""Of each coin that legs at the venue are quoted in, in every wallet that trades."""


def start_balances(config: Config, venue: str) -> dict[Wallet, dict[str, Decimal]]:
    """By wallet and asset: what `paper.balances` says of this venue, and nothing else; `START` where it says
    nothing at all.
    """
    wallets, told = layout_of(venue).wallets, config.paper.balances.get(venue)
    if told is not None:
        return {
            wallet: {asset: Decimal(repr(amount)) for asset, amount in told.get(wallet, {}).items()}
            for wallet in wallets
        }
    legs = [leg for spec in pair_specs(config) for leg in spec.legs if leg.venue == venue]
    coins = dict.fromkeys(leg.instrument.split("-")[1] for leg in legs)
    return {wallet: dict.fromkeys(coins, START) for wallet in wallets if wallet != "funding"}
