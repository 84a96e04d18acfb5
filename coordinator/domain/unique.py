"""A caller's own handle for a job, of which its queue has one at a time.

"unique": "order-7"                                                          a text
"unique": {"by": ["worker", "args.orderId"], "states": "incomplete",         what the text is made of, and what follows
"period": "1h", "onConflict": "keep"}
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

States = Literal["waiting", "incomplete", "all"]
OnConflict = Literal["keep", "replace", "reject"]


class Unique(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`handle` is unique among the jobs of the queue that are in `states`, and not older than `period_ms`.

    `waiting` are jobs that wait, `incomplete` those that run as well, `all` also what is final and still kept; with a
    period also what is kept no longer.
    """

    handle: str
    states: States = "incomplete"
    period_ms: int | None = None
    on_conflict: OnConflict = "keep"


def digest(text: str) -> str:
    """What stands for a text of any length in the name of a key."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def handle_of(job: Mapping[str, Any], by: Sequence[str]) -> str | None:
    """The handle made of some of a job's fields, such as `args.orderId`. None if one of them is not there."""
    values = []
    for path in by:
        value: Any = job
        for name in path.split("."):
            if not isinstance(value, Mapping) or name not in value:
                return None
            value = value[name]
        values.append([path, value])
    return msgspec.json.encode(values, order="sorted").decode()
