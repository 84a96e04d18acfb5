"""What a receipt tells of the limits of what the function called, in the two forms that APIs give it.

    {"used": 32, "max": 40}                                             a meter that fills (Shopify REST)
    {"remaining": 988, "max": 1000, "restoreRate": 50, "cost": 12}      points that are left (Shopify GraphQL)

`cost` is what the attempt really used; it may stand in either form, or alone.
"""

import math

from coordinator import errors
from coordinator.domain.outcome import Limits

_FIELDS = ("used", "remaining", "max", "restoreRate", "cost")
_FORMS = 'use {"used": 32, "max": 40} or {"remaining": 988, "max": 1000, "restoreRate": 50, "cost": 12}'


def parse_limits(value: object, path: str = "limits") -> Limits:
    """The limits that a receipt tells. Raises `Invalid`, naming the field and the forms."""
    if not isinstance(value, dict) or not value:
        raise errors.Invalid(path, f"tells no limits; {_FORMS}")
    for name, number in value.items():
        if name not in _FIELDS:
            raise errors.Invalid(f"{path}.{str(name)[:64]}", f"unknown field; {_FORMS}")
        if not _is_amount(number):
            raise errors.Invalid(f"{path}.{name}", f"is not a number of 0 or more; {_FORMS}")
        if number == 0 and name in {"max", "restoreRate"}:
            raise errors.Invalid(f"{path}.{name}", f"a limit of 0 would let nothing start for ever; {_FORMS}")
    used, remaining, maximum = value.get("used"), value.get("remaining"), value.get("max")
    if used is not None and (remaining is not None or maximum is None):
        raise errors.Invalid(f"{path}.used", f"needs max beside it, and no remaining; {_FORMS}")
    if used is not None and maximum is not None:
        remaining = max(0, maximum - used)
    return Limits(remaining=remaining, maximum=maximum, restore_rate=value.get("restoreRate"), cost=value.get("cost"))


def _is_amount(number: object) -> bool:
    return (
        isinstance(number, int | float)
        and not isinstance(number, bool)
        and 0 <= number < 1e12
        and math.isfinite(number)
    )
