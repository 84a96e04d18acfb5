"""A schedule: a rule, the template of its runs, and what to do about ticks that nobody was there for.

```
                     expected                                    now
   one      ────────────x───────x───────x───────x──────────●──────┃     the newest, once
   skip     ────────────x───────x───────x───────x──────────●──────┃     only if hardly late
   all      ────────────●───────●───────●───────●──────────●──────┃     each, oldest first
```

Runs that still live when a tick comes stand in its way or not, as `overlap` says: they make it `skip`, it waits for
them (`queue`, one at the most), asks them to stop (`cancel`), or does not mind (`allow`). The store decides that, in
the step that makes the jobs.

Firing late is the normal case: a poll comes up to a second after the tick. The same decision therefore serves a
tick of just now and the end of a week without a coordinator, and its cost is bounded for both.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from coordinator.domain.job import Spec
from coordinator.domain.recurrence import Rule, count_ticks, last_tick, next_tick

SKIP_GRACE_MS = 60_000
"""What `skip` still counts as on time: a failover takes seconds, and must not cost an hourly run."""

CATCH_UP_LIMIT = 100
"""Ticks that one firing runs; thousands at once would be a flood that nobody meant by `all`."""

MISSED_COUNT_LIMIT = 1000
"""Missed ticks of a cron are counted one by one, up to here; more than that is said to be this many."""

Misfire = Literal["one", "skip", "all"]
Overlap = Literal["skip", "allow", "queue", "cancel"]


class Schedule(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the store keeps, as JSON. `max_runs` is counted by the store, which knows how many there were.

    `name` is the caller's own for it; `owner` says which declaration it came with.
    """

    rule: Rule
    spec: Spec
    name: str | None = None
    owner: str | None = None
    overlap: Overlap = "skip"
    misfire: Misfire = "one"
    misfire_window_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_runs: Annotated[int, msgspec.Meta(ge=1)] | None = None


def anchored(schedule: Schedule, now: int, before: Schedule | None = None) -> Schedule:
    """The schedule with the instant that its interval is counted from: its beginning.

    An interval that stays what it was `before` goes on in step.
    """
    rule = anchored_rule(schedule.rule, now)
    if before is not None and (before.rule.every_ms, before.rule.start_at) == (rule.every_ms, rule.start_at):
        rule = replace(rule, anchor_at=before.rule.anchor_at)
    return replace(schedule, rule=rule)


def anchored_rule(rule: Rule, now: int) -> Rule:
    """The rule with its beginning, if it is an interval: ticks must not move with the instant they are computed at."""
    if rule.every_ms is None:
        return rule
    return replace(rule, anchor_at=now if rule.start_at is None else rule.start_at)


@dataclass(frozen=True, slots=True)
class Firing:
    """`ticks` to run now, oldest first, the tick after `now`, and how many ticks are passed over for good."""

    ticks: tuple[int, ...]
    next_at: int | None
    missed: int


def fire(schedule: Schedule, expected: int, now: int) -> Firing:
    """What is due at `now`, if `expected` is the first tick that has not been fired."""
    if expected > now:
        # The clock stepped back, or another replica got there first.
        return Firing((), expected, 0)
    ticks = _ticks_to_run(schedule, expected, now)
    # `expected` is due whatever the rule says today: a new release of tzdata may have moved the ticks around it.
    due = 1 + count_ticks(schedule.rule, expected, now, MISSED_COUNT_LIMIT)
    return Firing(ticks, next_tick(schedule.rule, now), due - len(ticks))


def tick_id(schedule_id: str, tick: int) -> str:
    """The job of this tick. Replicas that fire the same tick make the same id, so only one job comes of it."""
    return f"{schedule_id}:{tick // 1000}"


def run_of(schedule: Schedule, schedule_id: str, at: int) -> Spec:
    """What the run of this instant is to do."""
    return replace(schedule.spec, schedule_id=schedule_id, scheduled_for=at)


def _ticks_to_run(schedule: Schedule, expected: int, now: int) -> tuple[int, ...]:
    most = CATCH_UP_LIMIT if schedule.misfire == "all" else 1
    oldest = _oldest_to_run(schedule, now)
    # Newest first: a schedule of every second that was down for a year costs no more than one of last minute.
    ticks: list[int] = []
    tick = last_tick(schedule.rule, now)
    while tick is not None and tick > expected and tick >= oldest and len(ticks) < most:
        ticks.append(tick)
        tick = last_tick(schedule.rule, tick - 1)
    reached_expected = tick is None or tick <= expected
    if reached_expected and expected >= oldest and len(ticks) < most:
        ticks.append(expected)
    return tuple(reversed(ticks))


def _oldest_to_run(schedule: Schedule, now: int) -> int:
    lateness = [SKIP_GRACE_MS] if schedule.misfire == "skip" else []
    if schedule.misfire_window_ms is not None:
        lateness.append(schedule.misfire_window_ms)
    return now - min(lateness) if lateness else 0
