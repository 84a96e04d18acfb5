"""How much must have happened to a change before its caller is told that it is made.

```
            a crash of     a crash of        the loss of
            the server     its machine       its machine
local       kept **        the last second   what was not replicated yet
fsync       kept           kept              what was not replicated yet
replicated  kept           kept *            kept *
```

`local` trusts the append-only file that is written through once a second. `**` unless the disk is so slow that it is
not done with the second before: the server puts off writing at all then, for two seconds at the most. `*` unless the
replica that knows it is lost in the same moment, or another replica, that does not, is the one that is promoted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Durability = Literal["local", "fsync", "replicated"]

_asked: ContextVar[Durability | None] = ContextVar("durability", default=None)


@contextmanager
def asking(durability: Durability | None) -> Iterator[None]:
    """All that a request changes within is to be that safe; None for as safe as the coordinator is set to.

    It belongs to the request as a whole, and not to one of its arguments: a schedule, a batch and its jobs are made by
    many hands.
    """
    token = _asked.set(durability)
    try:
        yield
    finally:
        _asked.reset(token)


def asked_durability() -> Durability | None:
    """What the request at hand asks for."""
    return _asked.get()
