"""What signal remembers of held pairs, in the store: one writer, restarts, lost stores.

In observer mode it is all there is about what would be held. Where an executor runs, what is held comes from
it, and the notebook keeps what only signal knows: running losses, and since when a carry has been wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.effects import Alert, Answered, Effect, Health, Note, SetTimer
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.signal.decide import Held
from services.signal.selection import (
    BadSelection,
    Left,
    LoadSelection,
    SaveSelection,
    Selection,
    Stored,
    decode,
    encode,
)

RELOAD: Final = "reload"
RELOAD_US: Final = 5 * US_PER_SEC


class Problems:
    """Problems in words by key: each is said when it changes, and its end once."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def say(self, key: str, text: str) -> Iterable[Effect]:
        """`text` empty ends the problem."""
        if self.texts.get(key, "") != text:
            self.texts[key] = text
            yield Health(key=key, problem=text)


class Notebook:
    """`held` is None until it is known what lay in the store."""

    def __init__(self, problems: Problems) -> None:
        self.held: dict[str, Held] | None = None
        self.left: dict[str, Left] = {}
        self._problems = problems
        self._version = 0
        self._saved = b""
        self._saving: bytes | None = None
        self._rereading = False
        self._tried: bytes | None = None

    def save(self) -> Iterable[Effect]:
        """Write what is held when it differs from what lies there; one write at a time."""
        if self.held is None or self._saving is not None or self._rereading:
            return
        value = encode(self.held, self.left)
        if value != self._saved:
            self._saving = value
            yield SaveSelection(value=value, expect=self._version)

    def answered(self, event: Answered) -> Iterable[Effect]:
        """The store's answers."""
        match event.request:
            case LoadSelection() if isinstance(event.result, Stored):
                yield from self._loaded(event.result)
            case LoadSelection():
                yield from self._problems.say("selection", f"what was held is not known: {event.error}")
                yield SetTimer(name=RELOAD, after_us=RELOAD_US)
            case SaveSelection() if isinstance(event.result, int):
                self._version, self._saved, self._saving = event.result, event.request.value, None
                yield from self._problems.say("selection", "")
            case SaveSelection():
                self._tried, self._saving = self._saving, None
                yield from self._not_saved(event)
            case _:
                fields = {"request": type(event.request).__name__}
                yield Note(
                    text="an answer that signal did not ask for", level=AlertLevel.WARNING, fields=fields
                )

    def _loaded(self, stored: Stored) -> Iterable[Effect]:
        """Take over what lies there, unless it is what we know or were writing: then ours is newer.

        A version that fell is a store that was lost and begins anew: what we know is all there is.
        """
        ours = self.held is not None and (stored.version <= self._version or stored.value == self._tried)
        self._version, self._saved, self._rereading = stored.version, stored.value or b"", False
        yield from self._problems.say("selection", "")
        if ours:
            return
        try:
            found = decode(stored.value)
        except BadSelection as error:
            # It holds nothing that trades: starting a new page is right, and saying so is too.
            found = Selection()
            text = f"the stored selection cannot be read and is begun anew: {error}"
            yield Alert(level=AlertLevel.WARNING, key="signal:selection", text=text)
        self.held, self.left = dict(found.held), dict(found.left)
        if self.held:
            yield Note(text="going on with what was held", fields={"pairs": sorted(self.held)})

    def _not_saved(self, event: Answered) -> Iterable[Effect]:
        """Another version lies there, or nobody knows what does: what the store holds is the truth."""
        if event.error_class == "StoreConflict":
            text = "the stored selection is not ours: run one signal service only (or the store was lost)"
            yield Alert(level=AlertLevel.WARNING, key="signal:conflict", text=text)
        else:
            text = f"what would be held is not saved: {event.error}"
        yield from self._problems.say("selection", text)
        self._rereading = True  # nothing is written on top of what we have not read
        yield SetTimer(name=RELOAD, after_us=RELOAD_US)
