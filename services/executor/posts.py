"""What a process remembers of the orders it posts; monotonic times, forgotten by a restart."""

from __future__ import annotations

import msgspec

from libs.common.instant import US_PER_SEC


class Posts(msgspec.Struct):
    """`since_us`: the first post of the slice under way; `posted_us`: the newest; `cancels`: by order."""

    since_us: int | None = None
    posted_us: int = -US_PER_SEC
    cancels: dict[str, int] = {}
