"""Job and schedule ids: 26 letters that sort by time and tell their shard.

```
 01KAT3M8ZQ  0C  7H2V9N0R4D8XKM
 └ ms, 48 b ┘ │  └ random, 70 bits
              └ shard, 10 bits
```

The form is that of a ULID (Crockford's base 32, https://github.com/ulid/spec), so tools that read the time of one read
ours. The time is the replica's own: it orders ids for people and never enters a decision. A tick's job is
`<schedule id>:<unix seconds>` and lives in its schedule's shard; callers cannot make ids, so they cannot make that one.
"""

import re
from binascii import crc_hqx

SHARDS_LIMIT = 1024

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ID = re.compile(r"([0-7][0-9A-HJKMNP-TV-Z]{9})([0-9A-HJKMNP-TV-Z]{2})[0-9A-HJKMNP-TV-Z]{14}(?::-?\d{1,12})?")


def new_id(shard: int, at: int, entropy: int) -> str:
    """An id made at `at` (Unix ms) for `shard`, with 70 bits of `entropy`."""
    number = (at << 80) | (shard << 70) | (entropy & ((1 << 70) - 1))
    return "".join(_LETTERS[(number >> shift) & 31] for shift in range(125, -1, -5))


def shard_of_id(text: str) -> int | None:
    """The shard that an id names, None if it is no id of ours."""
    match = _ID.fullmatch(text)
    if not match:
        return None
    return _LETTERS.index(match[2][0]) * 32 + _LETTERS.index(match[2][1])


def shard_of_queue(queue: str, shards: int) -> int:
    """The shard a queue lives in, whole: the CRC that Redis Cluster uses, so that any client can compute it."""
    return crc_hqx(queue.encode(), 0) % shards
