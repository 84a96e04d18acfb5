"""What the tests of recurrence share."""

from coordinator.domain.recurrence import next_tick


def ticks(rule, start, end):
    """All ticks from `start` to before `end`."""
    found = []
    tick = next_tick(rule, start - 1)
    while tick is not None and tick < end:
        found.append(tick)
        tick = next_tick(rule, tick)
    return found
