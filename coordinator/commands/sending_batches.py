"""Sends the lines of an import, until each is a job or is refused for good."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from coordinator.commands.endings import REFUSED, Ending
from coordinator.commands.job_file import Line, Refused
from coordinator.sdk.client import CoordinatorError
from coordinator.sdk.for_commands import AsyncCommandClient

_PASSING = frozenset(
    {
        0,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Later the same may pass."""

_OF_A_LINE = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
"""A request as a whole is refused so for the sake of one of its lines."""

_PAUSE_LEAST_S, _PAUSE_MOST_S = 0.5, 15.0


class Made(NamedTuple):
    """What came of some lines. `again` are those of `made` that an earlier run had made."""

    made: int
    duplicates: int
    again: int
    refused: list[Refused]


class Sender:
    """Sends lines under keys that follow from `identity` and where the lines stand: the same again is the same."""

    def __init__(
        self, client: AsyncCommandClient, identity: str, patience_s: float, tell: Callable[[str], None]
    ) -> None:
        """`patience_s` is how long it may be that nothing goes on, before it gives up."""
        self._client = client
        self._identity = identity
        self._patience_s = patience_s
        self._tell = tell
        self._told_of = ""

    async def send(self, lines: list[Line], suffix: str = "") -> Made:
        """Have each be made, or know why not. Raises `CoordinatorError` when patience is over, `Ending`."""
        if not lines:
            return Made(0, 0, 0, [])
        ends_at, pause_s, waiting = time.monotonic() + self._patience_s, _PAUSE_LEAST_S, len(lines)
        was_there: bool | None = None
        while True:
            try:
                items, is_known = await self._ask(lines, suffix)
            except CoordinatorError as error:
                if error.status in _OF_A_LINE and error.code != "idempotency_mismatch":
                    return await self._in_halves(lines, error, suffix)
                why = error
            else:
                # Later it is there by our own doing.
                was_there = is_known if was_there is None else was_there
                passing = [item for item in items if item["status"] in _PASSING]
                if not passing:
                    return await self._outcome(lines, items, suffix, was_there=was_there)
                if len(passing) < waiting:
                    # It goes on, if slowly: a queue that is full lets in what leaves it room.
                    ends_at, pause_s, waiting = time.monotonic() + self._patience_s, _PAUSE_LEAST_S, len(passing)
                why = _error_of(passing[0])
            if why.code == "idempotency_mismatch":
                told = f"the id {self._identity} was used for other lines within a day; give another --id."
                raise Ending(REFUSED, told)
            if why.status not in _PASSING or time.monotonic() + pause_s > ends_at:
                raise why
            self._tell_of(why)
            await asyncio.sleep(pause_s)
            pause_s = min(_PAUSE_MOST_S, pause_s * 2)

    async def _ask(self, lines: list[Line], suffix: str) -> tuple[list[dict[str, Any]], bool]:
        key = f"import/{self._identity}/{lines[0].offset}+{len(lines)}{suffix}"
        batch, was_there = await self._client.enqueue_json((line.job for line in lines), idempotency_key=key)
        return batch["jobs"], was_there

    async def _in_halves(self, lines: list[Line], error: CoordinatorError, suffix: str) -> Made:
        """Until the line is found that has all be refused."""
        if len(lines) == 1:
            return Made(0, 0, 0, [Refused(lines[0].number, error.code, error.detail, lines[0].job)])
        middle = len(lines) // 2
        return _sum(await self.send(lines[:middle], suffix), await self.send(lines[middle:], suffix))

    async def _outcome(self, lines: list[Line], items: list[dict[str, Any]], suffix: str, *, was_there: bool) -> Made:
        made = duplicates = 0
        late: list[Line] = []
        refused: list[Refused] = []
        for line, item in zip(lines, items, strict=True):
            match item["status"]:
                case HTTPStatus.CREATED:
                    made += 1
                case HTTPStatus.OK:
                    duplicates += 1
                case HTTPStatus.CONFLICT if item["error"].get("state") == "complete":
                    late.append(line)
                case _:
                    error = item["error"]
                    refused.append(Refused(line.number, error["code"], error["detail"], line.job))
        found = Made(made, duplicates, made if was_there else 0, refused)
        # A batch whose jobs have all ended takes no more: what it had no room for before gets another one.
        return _sum(found, await self.send(late, f"{suffix}/late"))

    def _tell_of(self, why: CoordinatorError) -> None:
        if why.code != self._told_of:
            self._told_of = why.code
            self._tell(f"waiting: {why.detail}")


def _error_of(item: dict[str, Any]) -> CoordinatorError:
    error = item["error"]
    return CoordinatorError(item["status"], error["code"], error["detail"], error)


def _sum(one: Made, other: Made) -> Made:
    return Made(
        one.made + other.made,
        one.duplicates + other.duplicates,
        one.again + other.again,
        one.refused + other.refused,
    )
