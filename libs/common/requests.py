"""Work that an actor asked for: started in order, so many at once, each outcome one `Answered`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from libs.common.assembly import RequestHandler
from libs.common.clock import mono_us
from libs.common.effects import Answered, Effect, Persist, Request
from libs.common.instant import US_PER_SEC
from libs.common.log import RateLimit, fields
from libs.common.redact import REDACTOR

log = logging.getLogger(__name__)

_EVERY_US: Final = 10 * US_PER_SEC
_EXPECTED: Final = (OSError, TimeoutError)
"""What networks do; anything else without an `error_class` of its own gets its traceback logged."""


class Requests:
    """Runs the handlers. `answer` takes each outcome, in the order in which they come."""

    def __init__(
        self,
        handlers: Mapping[type[Request], RequestHandler],
        *,
        answer: Callable[[Answered], None],
        at_once: Mapping[type[Request], Callable[[Any], Awaitable[Any] | None]] | None = None,
        ahead: Mapping[type[Request], Callable[[Any], None]] | None = None,
        running_max: int,
        waiting_max: int,
    ) -> None:
        self._handlers = dict(handlers)
        self._answer = answer
        self._at_once = dict(at_once or {})
        self._ahead = dict(ahead or {})
        self._running_max = running_max
        self._waiting_max = waiting_max
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[Request, RequestHandler]] = deque()
        self._limit = RateLimit(every_us=_EVERY_US)

    def __len__(self) -> int:
        return len(self._running) + len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def start(self, request: Request) -> None:
        """Start it, or queue it behind those that run; `LookupError` when nobody handles its kind."""
        handler = next(
            (self._handlers[kind] for kind in type(request).__mro__ if kind in self._handlers), None
        )
        if handler is None:
            raise LookupError(f"no handler is registered for the request {type(request).__name__}")
        if len(self._running) < self._running_max:
            self._run(request, self._begun(request) or handler)
        elif len(self._waiting) < self._waiting_max:
            self._waiting.append((request, handler))
        else:
            text = f"{len(self)} requests are under way already"
            self._answer(Answered(request=request, error=text, error_class="Overloaded"))

    def _begun(self, request: Request) -> RequestHandler | None:
        """What is left of a request that was begun in this very turn, None when that cannot be."""
        begin = self._at_once.get(type(request))
        if begin is None:
            return None
        try:
            left = begin(request)
        except Exception as error:  # noqa: BLE001 - it is the answer, and comes as any other
            return _raiser(error)
        return None if left is None else _awaiter(left)

    def get_ready(self, writing: asyncio.Task[None], behind: tuple[Effect, ...]) -> None:
        """Tell what is behind a barrier to those who can get ready for it, once the write is under way: the
        loop's time until it is done belongs to them.
        """

        def tell(request: Request, ahead: Callable[[Any], None]) -> None:
            if writing.done():  # what was behind it has begun already, or never will
                return
            try:
                ahead(request)
            except Exception:
                log.exception("%s: getting ready failed", type(request).__name__)

        for effect in behind:
            if isinstance(effect, Persist):
                break
            if isinstance(effect, Request) and (ahead := self._ahead.get(type(effect))) is not None:
                asyncio.get_running_loop().call_soon(tell, effect, ahead)

    async def close(self) -> None:
        """Cancel what runs, forget what waits."""
        self._waiting.clear()
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _run(self, request: Request, handler: RequestHandler) -> None:
        task = asyncio.get_running_loop().create_task(self._work(request, handler))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting and len(self._running) < self._running_max:
            self._run(*self._waiting.popleft())

    async def _work(self, request: Request, handler: RequestHandler) -> None:
        try:
            answered = Answered(request=request, result=await handler(request))
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
            answered = self._failed(request, error)
        self._answer(answered)

    def _failed(self, request: Request, error: Exception) -> Answered:
        kind = type(request).__name__
        # An exception may name its class in the domain's words (a venue's error: network, rate_limit, ...).
        error_class = str(getattr(error, "error_class", type(error).__name__))
        text = REDACTOR.text(" ".join(str(error).split())) or type(error).__name__
        silenced = self._limit.allow(f"{kind} {error_class}", mono_us())
        if silenced is not None:
            unexpected = not isinstance(error, _EXPECTED) and not hasattr(error, "error_class")
            named = fields(error_class=error_class, silenced=silenced)
            log.warning("%s failed: %s", kind, text, extra=named, exc_info=error if unexpected else None)
        return Answered(request=request, error=text, error_class=error_class)


def _awaiter(left: Awaitable[Any]) -> RequestHandler:
    async def wait(_request: Request) -> Any:
        return await left

    return wait


def _raiser(error: Exception) -> RequestHandler:
    async def fail(_request: Request) -> Any:
        raise error

    return fail
