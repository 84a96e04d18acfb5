"""When to try again, and when to stop."""

from typing import Annotated, Literal

import msgspec

ATTEMPTS_DEFAULT = 10
ATTEMPTS_LIMIT = 100


class Backoff(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How the wait grows with the number of failed attempts.

    With the defaults ten attempts spread over about two hours. `jitter` is a fraction: 0.1 moves each wait by
    up to 10 % either way, so that jobs which failed together do not come back together.
    """

    type: Literal["exponential", "linear", "fixed", "polynomial"] = "exponential"
    base_ms: Annotated[int, msgspec.Meta(ge=0)] = 15_000
    factor: Annotated[float, msgspec.Meta(ge=1, le=100)] = 2.0
    max_ms: Annotated[int, msgspec.Meta(ge=0)] = 3_600_000
    jitter: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1


def wait_ms(timetable: tuple[int, ...] | None, policy: Backoff, attempt: int, chance: float) -> int:
    """The wait after the `attempt`-th failure (1-based): the timetable's, which is not spread, else the backoff."""
    if timetable is None:
        return backoff_ms(policy, attempt, chance)
    return timetable[min(attempt, len(timetable)) - 1]


def backoff_ms(policy: Backoff, attempt: int, chance: float) -> int:
    """The wait after the `attempt`-th failure (1-based). `chance` is drawn from [-1, 1]."""
    match policy.type:
        case "exponential":
            # The exponent is capped first: 100 ** 99 is still a float, but nothing is gained by computing it.
            wait = policy.base_ms * policy.factor ** min(attempt - 1, 64)
        case "linear":
            wait = policy.base_ms * attempt
        case "fixed":
            wait = policy.base_ms
        case "polynomial":  # Sidekiq's curve: attempt⁴ seconds on top of the base.
            wait = policy.base_ms + attempt**4 * 1000
    capped = min(wait, policy.max_ms)
    return round(capped * (1 + policy.jitter * chance))
