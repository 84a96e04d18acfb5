"""How long things took, as counts of spans: `lib/stats.lua` counts, here is read what can be told of them.

Two spans double the time: 0, 1, 2, 3, 4, 6, 8, 12, 16 ms and so on to 37 hours, each named by its lower end. What is
told of them is interpolated, and so within a quarter of what it was.
"""

from collections.abc import Mapping

SPANS = (0, 1, *(low for power in range(1, 28) for low in (1 << power, 3 << (power - 1))))
"""The lower ends, ms."""

_ENDS = dict(zip(SPANS, (*SPANS[1:], SPANS[-1] * 4 // 3), strict=True))


def quantile(counts: Mapping[int, int], share: float) -> int | None:
    """What `share` of all took at the most, ms; None of none. `counts` are by the lower ends of the spans."""
    rank = share * sum(counts.values())
    below = 0
    for low in sorted(counts):
        count = counts[low]
        if count and below + count >= rank:
            end = _ENDS.get(low, low)
            return round(low + (end - low) * max(0.0, rank - below) / count)
        below += count
    return None
