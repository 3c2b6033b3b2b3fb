"""aiohttp's server protocol with the instant at which a request's last bytes were read.

A handler runs later than that, and after the handlers of requests that were read in the same turn of the
loop: how far apart two orders reached the machine can only be told here.
"""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web


class Stamped(web.RequestHandler):
    """`arrived_ns` counts on CLOCK_MONOTONIC, the same in every process of the machine."""

    __slots__ = ("arrived_ns",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.arrived_ns = 0

    def data_received(self, data: bytes) -> None:
        """Stamp, then parse."""
        self.arrived_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        super().data_received(data)


def arrived_ns(request: web.Request) -> int:
    """When a request's bytes were read; 0 when its connection is not stamped."""
    return request.protocol.arrived_ns if isinstance(request.protocol, Stamped) else 0
