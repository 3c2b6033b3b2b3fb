"""The books' hands: streams of the store, and what venues tell of accounts. Nothing is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from libs.common.effects import Request
from libs.common.store import Store
from libs.exchange.port import VenueError
from libs.exchange.trading import Trading
from libs.exchange.trading_values import FeeRates, LedgerRecord
from services.executor.books import KEY
from services.executor.books_work import FetchRecords, LoadBooks, Rates, ReadRates, Tail, TailStreams
from services.executor.ledger import STREAM
from services.executor.writing import JOURNAL


class Bookkeeper:
    """Carries out the books' requests on `tradings` (venue slug -> port) and the store.

    `fees`: by (venue, instrument) what set-ups have read. Asking is dear (20 of Binance's 2,400 a minute for
    one contract), so that one leg is read anew each time, in turn.
    """

    def __init__(
        self,
        tradings: Mapping[str, Trading],
        store: Store,
        fees: MutableMapping[tuple[str, str], FeeRates] | None = None,
    ) -> None:
        self._tradings = tradings
        self._store = store
        self._known = {} if fees is None else fees
        self._turns: Counter[str] = Counter()

    def handlers(self) -> dict[type[Request], Callable[[Any], Awaitable[Any]]]:
        """Who carries out which request; looks at accounts are the desk's."""
        return {
            LoadBooks: self.load,
            TailStreams: self.tail,
            FetchRecords: self.records,
            ReadRates: self.rates,
        }

    async def load(self, _request: LoadBooks) -> bytes | None:
        """The last snapshot."""
        found = await self._store.get(KEY)
        return None if found is None else found.value

    async def tail(self, request: TailStreams) -> Tail:
        """At most `count` entries of each stream."""
        ledger = await self._store.read(STREAM, after=request.ledger_at, count=request.count)
        journal = await self._store.read(JOURNAL, after=request.journal_at, count=request.count)
        return Tail(
            ledger=tuple((entry.id, entry.fields["json"]) for entry in ledger),
            journal=tuple((entry.id, entry.fields) for entry in journal),
        )

    async def records(self, request: FetchRecords) -> list[LedgerRecord] | None:
        """Raises VenueError, but for a kind that the venue does not have."""
        try:
            return await self._trading(request.venue).records(request.kind, since_ms=request.since_ms)
        except VenueError as error:
            if error.error_class == "not_supported":
                return None
            raise

    async def rates(self, request: ReadRates) -> Rates:
        """What is known, one leg of it read anew. Raises VenueError."""
        trading = self._trading(request.venue)
        name = request.instruments[self._turns[request.venue] % len(request.instruments)]
        self._known[request.venue, name] = await trading.fee_rates(name)
        self._turns[request.venue] += 1
        keys = [(request.venue, one) for one in request.instruments]
        fees = {key[1]: self._known[key] for key in keys if key in self._known}
        return Rates(fees=fees)

    def _trading(self, venue: str) -> Trading:
        """Raises VenueError while the account is not open."""
        found = self._tradings.get(venue)
        if found is None:
            raise VenueError(venue, "network", "the account is not open yet")
        return found
