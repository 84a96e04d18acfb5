"""Values of labels, so many at the most: each of them is a time series that somebody has to keep."""

QUEUES_LIMIT = 200
OTHER = "other"
"""Stands for all the rest, beside a queue that may be called so."""


class Bounded:
    """The first so many values that are met stand for themselves, the rest for `OTHER`."""

    def __init__(self, most: int = QUEUES_LIMIT) -> None:
        """`most` values, beside `OTHER`."""
        self._most = most
        self._known: set[str] = set()

    def of(self, value: str) -> str:
        """The label of a value."""
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(value)
        return value
