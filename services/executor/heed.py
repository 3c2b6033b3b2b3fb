"""What a process remembers while it waits for venues, data or answers. Monotonic; forgotten by a restart."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from services.executor.events import AccountSeen


class Leftovers(msgspec.Struct, kw_only=True):
    """Where orders of ours are searched that no store remembers. `places`: (leg, margin desk) still to be
    listed, `due_us`: not before; `holds`: the pair is not ready meanwhile; `again_us`: when all of them are
    listed once more, None when that is done; `told`: ids that a person knows.
    """

    places: set[tuple[int, bool]] = set()
    due_us: int = 0
    holds: bool = False
    again_us: int | None = None
    told: set[str] = set()


class Recheck(msgspec.Struct, kw_only=True):
    """Of an order that was given up: for how many ages (`keeping.AGES_US`) asking for it has `begun`, and is
    `over`: answered, or without an answer for too long. `since_us`: since when the newest of them is asked
    for, `again_us`: not again before.
    """

    begun: int = 0
    over: int = 0
    since_us: int = 0
    again_us: int = 0


class Heed(msgspec.Struct, kw_only=True):
    """`looked`: venue -> when the last look at it that was answered began, `unlooked`: why the last one was
    held back (our own limiter, or the venue wants to be left alone). `demanded_us`: since when both legs are
    to be reduced, `heard_us`: when that was demanded last, `waits`: for whom that waits, in words.
    `fetched_us`: place -> when missing trades were asked for last, `missing`: order -> since when some are.
    `sent_us`: order or loan -> when it had left at the latest, until its end is durable. `rechecks`: given-up
    order -> how asking for it goes. `differed`: leg of a stuck pair -> what its venue shows too much and
    since when, `differs_told` of which a person knows. `moved_us`: when an account was last said to have
    moved. `unknown_us`: since when the fate of an order is not known. `stalled_us`: since when nothing can be
    done, `unstored_us`: since when nothing can be written. `attempts_us`: the last minute's entries into
    OPENING, `wished_us`: when one was wished for last, in vain. `reset_us`: when a reset was asked for that
    waits for looks, `looks`: venue -> what has been seen of it while stuck. `beside`: spot leg -> coins that
    are no pair's, as seen last. `slow`: what has lasted too long, in words, `untaken`: leg -> why the venue's
    own trades in it could not be read. `..._told`: a person knows of it.
    """

    looked: dict[str, int] = {}
    unlooked: dict[str, str] = {}
    demanded_us: int | None = None
    heard_us: int = 0
    demand_told: bool = False
    disobeys_told: bool = False
    waits: str = ""
    fetched_us: dict[tuple[str, str, bool], int] = {}
    missing: dict[str, int] = {}
    untold_told: set[str] = set()
    moved_us: int = 0
    sent_us: dict[str, int] = {}
    rechecks: dict[str, Recheck] = {}
    differed: dict[int, tuple[Decimal, int]] = {}
    differs_told: dict[int, Decimal] = {}
    unknown_us: int | None = None
    stalled_us: int | None = None
    stall_told: bool = False
    slow: str = ""
    untaken: dict[int, str] = {}
    unstored_us: int | None = None
    unstored_told: bool = False
    wished_us: int | None = None
    attempts_us: tuple[int, ...] = ()
    reset_us: int | None = None
    looks: dict[str, AccountSeen] = {}
    beside: dict[int, Decimal] = {}
