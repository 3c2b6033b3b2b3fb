"""What a venue's part of the books needs of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from libs.common.effects import Effect
    from libs.common.instant import Now
    from libs.common.messages_exec import LedgerLine
    from services.executor.books import Books, MarketOf
    from services.executor.expect import Announcements
    from services.executor.reach import ReachOf
    from services.executor.rounds import Round
    from services.executor.stillness import Stillness
    from services.executor.world import World


class Owner(Protocol):
    """The accountant, to one venue. `tails`: how often it has asked for the streams; `read_us`: monotonic,
    all that was written before then has been read.
    """

    world: World
    books: Books
    announced: Announcements
    market_of: MarketOf
    reach_of: ReachOf
    stillness: Stillness
    tails: int
    read_us: int

    def book(self, once: str, lines: tuple[LedgerLine, ...]) -> Iterator[Effect]: ...

    def keep(self, now: Now) -> Iterator[Effect]: ...

    def on_round(self, done: Round, now: Now) -> Iterator[Effect]: ...
