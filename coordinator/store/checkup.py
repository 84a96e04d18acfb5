"""Whether the store is whole: every key below the prefix, fifty at a time, each against the others of its shard.

A check is one script and so one instant: what replicas do meanwhile comes before or after it. The job's hash is what
counts; indexes, wheels and logs are to be what it implies. What is found can be mended in the same step.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from redis.exceptions import ResponseError

from coordinator.domain.ids import shard_of_id
from coordinator.domain.job import UNREADABLE
from coordinator.errors import NotFound
from coordinator.store.connection import Connection, Reply
from coordinator.store.jobs import RETENTION
from coordinator.store.records import lane_of, read_spec
from coordinator.store.schedules import ScheduleStore, StoredSchedule
from coordinator.store.sealing import PLAIN

CHECK_LIMIT = 50
"""Keys in one script, and about so many members of indexes: it holds Redis for a millisecond."""

Status = Literal["mended", "mendable", "open", "asks"]
"""`open` is beyond repair here; `asks` is for the caller, who knows more than a script."""

JOBS = frozenset({"job"})
INDEXES = frozenset(
    {
        *("waiting", *(f"waiting{priority}" for priority in range(10) if priority != 5)),
        *("spread", "retrying", "running", "busy", "succeeded", "dead", "cancelled", "expiries", "outbox"),
        *("tag", "runs", "live", "members", "lanes", "schedules", "schedule_ids"),
    }
)
RECORDS = frozenset(
    {
        *("attempts", "lane", "queue", "unique", "held", "schedule", "batch", "left", "done"),
        *("idempotency", "failures", "circuits", "claim", "leader", "stats", "events"),
    }
)
# They are checked where what they are about is.
_PLAIN = frozenset({"queues", "deadlines", "purges", "known_queues", "schedule_names", "epoch"})
_COMMON = frozenset({"meta", "workers", "replicas", "tokens", "tokens_used", "audit"})

_KEY = re.compile(r":\{(\d+)\}:([a-z_0-9]+)(?::(.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a shard, taken apart: `co:{3}:job:01K…` is ("job", "01K…") in the shard 3."""

    shard: int
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem: a stable word for its kind, the key that it is about, and what is wrong in words."""

    kind: str
    key: str
    detail: str
    status: Status


class Checkup:
    """Checks keys. Every method may raise `StoreUnavailable`. With `repair`, what can be mended is."""

    def __init__(self, connection: Connection, *, repair: bool) -> None:
        """Without `repair` nothing is written."""
        self._connection = connection
        self._schedules = ScheduleStore(connection)
        self.repair = repair

    async def count(self) -> int:
        """How many keys there are to look through, those of others on the same server included."""
        return await self._connection.count_keys()

    async def pages(self) -> AsyncIterator[list[bytes]]:
        """All keys of ours, some at a time. A key that is there from the first page to the last is among them."""
        async for page in self._connection.scan(f"{self._connection.prefix}:*"):
            yield page

    def read_key(self, key: bytes) -> Key | None:
        """What a key is, None if no script of this version would look at it."""
        try:
            rest = key.decode().removeprefix(self._connection.prefix)
        except UnicodeDecodeError:
            return None
        found = _KEY.fullmatch(rest)
        if found is None:
            return Key(-1, rest[1:], "") if rest[1:] in _COMMON else None
        shard, kind, name = int(found[1]), found[2], found[3] or ""
        if shard >= self._connection.shards or kind not in JOBS | INDEXES | RECORDS | _PLAIN:
            return None
        return Key(shard, kind, name)

    async def check_jobs(self, shard: int, ids: Sequence[str]) -> list[Finding]:
        """Whether jobs are whole and stand where their hashes say."""
        findings = await self._check_jobs(shard, [(job_id, "", "") for job_id in ids])
        return [await self._told_by_spec(shard, found) if found.status == "asks" else found for found in findings]

    async def _check_jobs(self, shard: int, rows: Sequence[tuple[str, str, str | int]]) -> list[Finding]:
        return _findings(await self._run("check_jobs", shard, rows))

    async def _told_by_spec(self, shard: int, found: Finding) -> Finding:
        """The same, when what the hash lacks is told by the job's spec."""
        job_id = found.key.rpartition(":job:")[2]
        spec = read_spec(job_id.encode(), await self._connection.call("HGET", found.key, "spec") or b"", PLAIN)
        if spec is UNREADABLE:
            return Finding(found.kind, found.key, f"{found.detail}, and its spec cannot be read", "open")
        again = await self._check_jobs(shard, [(job_id, lane_of(spec), spec.timeout_ms)])
        return next((one for one in again if one.kind == found.kind), found)

    async def check_indexes(
        self, shard: int, rows: Sequence[tuple[str, str, str]]
    ) -> tuple[list[Finding], list[tuple[str, str, str]], int]:
        """About fifty members of indexes, each a kind, a name and a cursor, "0" at first.

        Returns where to go on, and how many members were looked at.
        """
        reply = await self._run("check_indexes", shard, rows)
        _, _, cursors, members = reply
        after = [(kind, name, at.decode()) for (kind, name, _), at in zip(rows, cursors, strict=True) if at]
        return _findings(reply), after, int(members)

    async def check_records(self, shard: int, rows: Sequence[tuple[str, str]]) -> list[Finding]:
        """Everything else, each a kind and a name."""
        return _findings(await self._run("check_records", shard, rows))

    async def ended(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Those of these jobs that have ended and are not to be told of any more, "" for one that does not exist."""
        found: dict[str, str] = {}
        for shard in {shard_of_id(job_id) for job_id in job_ids}:
            if shard is not None and shard < self._connection.shards:
                rows = [(job_id,) for job_id in job_ids if shard_of_id(job_id) == shard]
                _, ended = await self._connection.run("find_ended", self._connection.root(shard), rows)
                found |= {job_id.decode(): state.decode() for job_id, state in ended}
        return found

    async def still_pending(self, batch_id: str, job_ids: Sequence[str]) -> list[str]:
        """Those of these jobs that a batch still waits for."""
        rows = [(job_id,) for job_id in job_ids]
        root = self._connection.root(shard_of_id(batch_id) or 0)
        _, pending = await self._connection.run("find_pending", root, rows, batch=batch_id)
        return [job_id.decode() for job_id in pending]

    async def schedule_names(self) -> AsyncIterator[Mapping[str, str]]:
        """What names stand for which schedules, some at a time."""
        cursor = 0
        while True:
            cursor, names = await self._connection.call("HSCAN", self.names_key, cursor, "COUNT", CHECK_LIMIT)
            yield {name.decode(): known.decode() for name, known in names.items()}
            if int(cursor) == 0:
                return

    async def read_schedule(self, schedule_id: str) -> StoredSchedule | Literal["gone", "unreadable"]:
        """A schedule; another version may have written one that cannot be read."""
        try:
            return await self._schedules.read(schedule_id)
        except NotFound:
            return "gone"
        except (ResponseError, msgspec.DecodeError, KeyError, ValueError):
            return "unreadable"

    @property
    def names_key(self) -> str:
        """Where the names of schedules stand."""
        return f"{self._connection.root(0)}:schedule_names"

    def key(self, known_id: str, kind: str) -> str:
        """The key of what has this id."""
        return f"{self._connection.root(shard_of_id(known_id) or 0)}:{kind}:{known_id}"

    def mendable(self, kind: str, key: str, detail: str) -> Finding:
        """What the caller mends if it is to be mended."""
        return Finding(kind, key, detail, "mended" if self.repair else "mendable")

    async def _run(self, script: str, shard: int, rows: Sequence[tuple[str | int, ...]]) -> Reply:
        root = self._connection.root(shard)
        return await self._connection.run(script, root, rows, retention=RETENTION, repair="1" if self.repair else "")


def _findings(reply: Reply) -> list[Finding]:
    return [Finding(*(text.decode(errors="backslashreplace") for text in found)) for found in reply[1]]
