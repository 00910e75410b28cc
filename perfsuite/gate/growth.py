"""Whether a process keeps memory while it is timed."""

from __future__ import annotations

from collections.abc import Sequence

#: A process that grows by this share and this much from its first turns to its last ones may leak.
_SHARE, _BYTES = 0.01, 8 << 20


def growth(side: str, rss_bytes: Sequence[int]) -> str | None:
    """A sentence where every one of the last turns found the process larger than any of the first ones did."""
    third = len(rss_bytes) // 3
    if not third:
        return None
    before, after = max(rss_bytes[:third]), min(rss_bytes[-third:])
    if after - before > max(_BYTES, _SHARE * before):
        grown = (rss_bytes[-1] - rss_bytes[0]) / 2**20
        return f"{side}'s process grew by {grown:.0f} MiB while it was timed: it may leak memory"
    return None
