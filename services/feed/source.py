"""Which instruments of which venue are needed, and under which names they are said.

A sub-account sees the market of its parent venue: the data is fetched once and published under the
slug of every account that has a leg in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from libs.common.config.legs import pair_specs, venue_slug
from libs.common.config.schema import Config
from libs.common.effects import Publish
from libs.common.messages import Book, Funding, FundingHistory, InstrumentInfo, Quote, VenueHealth
from libs.common.subjects import Kind, kind_of

Told = Quote | Book | Funding | FundingHistory | InstrumentInfo


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One venue's market data: instrument slug -> the venue slugs under which it is published."""

    venue: str
    instruments: dict[str, tuple[str, ...]]

    @property
    def slugs(self) -> tuple[str, ...]:
        return tuple(self.instruments)

    @property
    def perps(self) -> tuple[str, ...]:
        return tuple(slug for slug in self.instruments if kind_of(slug) is Kind.PERP)

    @property
    def names(self) -> tuple[str, ...]:
        """All venue slugs of this source."""
        return tuple(dict.fromkeys(name for names in self.instruments.values() for name in names))

    def tell(self, subject: Callable[[str, str], str], message: Told) -> Iterable[Publish]:
        """Publish under every name that has this instrument."""
        for name in self.instruments.get(message.instrument, ()):
            said = message if name == message.venue else msgspec.structs.replace(message, venue=name)
            yield Publish(subject=subject(name, message.instrument), message=said)

    def tell_health(self, subject: Callable[[str], str], health: VenueHealth) -> Iterable[Publish]:
        """The venue's health under every name."""
        for name in self.names:
            said = health if name == health.venue else msgspec.structs.replace(health, venue=name)
            yield Publish(subject=subject(name), message=said)


def sources_of(config: Config) -> tuple[Source, ...]:
    """The venues of a config's pairs, in the order of their first mention."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for spec in pair_specs(config):
        for leg in spec.legs:
            parent = venue_slug(msgspec.structs.replace(config.exchanges[leg.exchange], account=""))
            instruments = found.setdefault(parent, {})
            names = instruments.get(leg.instrument, ())
            if leg.venue not in names:
                instruments[leg.instrument] = (*names, leg.venue)
    return tuple(Source(venue=venue, instruments=instruments) for venue, instruments in found.items())
