"""How much must have happened to a change before its caller is told that it is made.

```
            a crash of     a crash of        the loss of
            the server     its machine       its machine
local       kept           the last second   what was not replicated yet
fsync       kept           kept              what was not replicated yet
replicated  kept           kept *            kept *
```

`local` trusts the append-only file that is written once a second. `*` unless the replica that knows it is lost in the
same moment, or another replica, that does not, is the one that is promoted.
"""

from typing import Literal

Durability = Literal["local", "fsync", "replicated"]

LEVELS: tuple[Durability, ...] = ("local", "fsync", "replicated")
