"""What the tests of the store share: one shard, with short ways to seed it, act on it and see all of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest

from coordinator.domain.ids import new_id
from coordinator.domain.job import Attempt, Spec
from coordinator.domain.queue import QueueSettings, Rate
from coordinator.domain.settlement import Settlement
from coordinator.engine.doctor import Doctor
from coordinator.store.checkup import Finding
from coordinator.store.connection import Connection
from coordinator.store.open import Store, store_on
from coordinator.store.records import Ended, NewJob
from coordinator.store.replies import Claim, Settled
from coordinator.store.servers import open_servers

START = 1_800_000_000_000
"""The instant at which the tests' clock stands at first."""

LEASE_MS = 10_000
TIMEOUT_MS = 60_000
BYTES_LIMIT = 1 << 20
ERROR = b'{"message":"no","a":[],"n":12345678901234567890}'
"""What cjson would mangle if it ever touched it."""

RETENTION = "86400000 10000 2592000000 10000 86400000 1000"

SUCCEED = Settlement("succeed", "success", result=b'{"n":1}')
RETRY = Settlement("retry", "failure", delay_ms=5000, error=ERROR, http_status=500)
SNOOZE = Settlement("spare", "snoozed", delay_ms=7000)
LOST = Settlement("retry", "lost", error=ERROR)
THROTTLE = Settlement("spare", "throttled", delay_ms=7000, http_status=429)
DIE = Settlement("die", "failure", reason="attempts_exhausted", error=ERROR, http_status=500)
CANCEL = Settlement("cancel", "cancelled", reason="worker")

# Every key below a prefix, in one trip: its type, and what it holds.
_DUMP = """
local found = {}
for _, key in ipairs(redis.call("KEYS", ARGV[1])) do
  local kind = redis.call("TYPE", key)
  kind = type(kind) == "table" and kind.ok or kind
  local content
  if kind == "hash" then content = redis.call("HGETALL", key)
  elseif kind == "zset" then content = redis.call("ZRANGE", key, 0, -1, "WITHSCORES")
  elseif kind == "set" then content = redis.call("SMEMBERS", key)
  elseif kind == "stream" then
    content = {}
    for at, entry in ipairs(redis.call("XRANGE", key, "-", "+")) do content[at] = table.concat(entry[2], " ") end
  elseif kind == "list" then content = redis.call("LRANGE", key, 0, -1)
  else content = { redis.call("GET", key) } end
  found[#found + 1] = { key, kind, content }
end
return found
"""

Dump = dict[str, Any]


class Shard:
    """Shard 0 of a store. The queues `default`, `shop`, `busy` and `b` live in it."""

    start = START
    lease_ms = LEASE_MS
    timeout_ms = TIMEOUT_MS
    error = ERROR
    retention = RETENTION
    rate = Rate
    succeed, retry, lost, snooze, throttle, die, cancel = SUCCEED, RETRY, LOST, SNOOZE, THROTTLE, DIE, CANCEL

    def __init__(self, store: Store) -> None:
        self.store = store
        self.jobs = store.jobs
        self.root = store.connection.root(0)
        self.is_broken = False
        self._ids = 0
        self._requests = 0

    def new_id(self) -> str:
        """Ids rise in the order in which they are made."""
        self._ids += 1
        return new_id(0, START, self._ids)

    def spec(self, queue: str = "default", **fields: Any) -> Spec:
        return Spec("resize", msgspec.Raw(fields.pop("args", b"{}")), queue, **{"timeout_ms": TIMEOUT_MS, **fields})

    def new_job(self, queue: str = "default", *, run_at: int = 0, delay_ms: int = 0, **fields: Any) -> NewJob:
        return NewJob(self.new_id(), self.spec(queue, **fields), run_at, delay_ms)

    async def add(self, count: int = 1, queue: str = "default", **fields: Any) -> list[str]:
        """Enqueue jobs, and give their ids."""
        jobs = [self.new_job(queue, **fields) for _ in range(count)]
        await self.jobs.enqueue(0, jobs)
        return [job.id for job in jobs]

    async def add_one(self, queue: str = "default", **fields: Any) -> str:
        return (await self.add(1, queue, **fields))[0]

    async def add_to_lane(self, lane: str, count: int = 1, *, run_at: int = 0, delay_ms: int = 0) -> list[str]:
        """Enqueue jobs of one throttle key."""
        spec = msgspec.json.encode(self.spec(lane.partition("#")[0]))
        rows = [(self.new_id(), lane, run_at, delay_ms, TIMEOUT_MS, "", "", spec) for _ in range(count)]
        await self.run("enqueue_jobs", rows, retention=RETENTION, idempotency_ms=1000, all_or_none="", max_waiting="")
        return [row[0] for row in rows]

    async def enqueue(self, jobs: list[NewJob]) -> tuple[int, int | None]:
        """The instant, and in how many ms there is something to claim."""
        enqueued = await self.jobs.enqueue(0, jobs)
        return enqueued.now, enqueued.due_in_ms

    async def delete(self, job_id: str) -> tuple[str, str]:
        """The reply, and the state of a job that cannot be deleted."""
        return await self.change("delete", job_id)

    async def change(self, verb: Any, job_id: str) -> tuple[str, str]:
        (changed,), _ = await self.jobs.change(self.jobs.shard_of(job_id), verb, [job_id])
        return changed.reply, changed.state if changed.reply == "invalid_state" else ""

    async def renew(self, *args: Any, **fields: Any) -> set[str]:
        """The ids whose attempt is not the holder's any more."""
        return (await self.jobs.renew(*args, **fields))[0]

    async def claim(self, limit: int = 100, *, holder: str = "r1", request: str = "") -> Claim:
        """Claim with a nonce of its own: n1, n2, … unless told."""
        self._requests += 1
        request = request or f"n{self._requests}"
        return await self.jobs.claim(0, holder=holder, request=request, limit=limit, lease_ms=LEASE_MS)

    async def claim_one(self, *, holder: str = "r1", request: str = "") -> Attempt:
        (attempt,) = (await self.claim(1, holder=holder, request=request)).attempts
        return attempt

    async def run_one(self, queue: str = "default", **fields: Any) -> Attempt:
        """A new job, running at its first attempt."""
        await self.add(1, queue, **fields)
        return await self.claim_one()

    async def settle(self, ended: list[Ended]) -> tuple[list[Settled], int | None]:
        """An answer for each, and in how many ms there is something to claim."""
        done = await self.jobs.settle(0, ended)
        return done.settled, done.due_in_ms

    async def end(self, attempt: Attempt, settlement: Settlement, *, lapsed: bool = False) -> tuple[str, str]:
        """Settle an attempt. Gives the reply and the job's state."""
        return await self.end_as(attempt.job_id, settlement, attempt.tally.attempt, attempt.nonce, lapsed=lapsed)

    async def end_as(
        self, job_id: str, settlement: Settlement, number: int | None, nonce: str, *, lapsed: bool = False
    ) -> tuple[str, str]:
        (settled,) = (await self.jobs.settle(0, [Ended(job_id, settlement, number, nonce, lapsed)])).settled
        return settled.reply, settled.state

    def ended(self, attempt: Attempt, settlement: Settlement, *, lapsed: bool = False) -> Ended:
        return Ended(attempt.job_id, settlement, attempt.tally.attempt, attempt.nonce, lapsed)

    async def configure(self, queue: str = "default", **settings: Any) -> int | None:
        """Replace the settings; what is not named is off."""
        return await self.store.queues.configure(queue, QueueSettings(**({"paused": False} | settings)))

    async def run(self, script: str, rows: Any = (), **values: Any) -> Any:
        """Call a script by its own bindings."""
        return await self.store.connection.run(script, self.root, rows, **values)

    async def set_clock(self, now: int) -> None:
        await self.call("SET", f"{self.root}:clock", now)

    async def call(self, *command: Any) -> Any:
        """Run a plain command on the server that has the first key in it, or this shard."""
        keys = [word for word in command if str(word).startswith(self.store.connection.prefix)]
        return await self.store.connection.call(*command, key=keys[0] if keys else self.root)

    async def problems(self, *, repair: bool = False) -> list[Finding]:
        """What the doctor finds. The clock's own key is of tests alone."""
        found = [finding async for finding in Doctor(self.store, repair=repair).examine()]
        return [finding for finding in found if not finding.key.endswith(":clock")]

    async def dump(self, *, counted: bool = False) -> Dump:
        """All that the shard holds, by key: hashes and zsets (with scores) as dicts, lists and sets as lists.

        What has happened is there only if it is to be `counted`.
        """
        rows = await self.call("EVAL", _DUMP, 1, self.root, f"{self.store.connection.prefix}:*")
        found = {_short(key.decode(), self.root): _content(kind.decode(), content) for key, kind, content in rows}
        found = found if counted else {key: value for key, value in found.items() if "stats:" not in key}
        return {key: found[key] for key in sorted(found) if not key.endswith("clock")}

    async def job(self, job_id: str) -> dict[str, str]:
        """A job's hash, without its spec."""
        job: dict[str, str] = (await self.dump())[f"job:{job_id}"]
        return {field: value for field, value in job.items() if field != "spec"}

    async def log(self, job_id: str) -> list[dict[str, Any]]:
        """A job's attempt log, decoded."""
        return [msgspec.json.decode(entry) for entry in (await self.dump()).get(f"attempts:{job_id}", [])]


def _short(key: str, root: str) -> str:
    return key.removeprefix(f"{root}:")


def _content(kind: str, content: list[bytes]) -> Any:
    text = [value.decode() for value in content]
    match kind:
        case "hash":
            return dict(sorted(zip(text[::2], text[1::2], strict=True)))
        case "zset":
            return dict(zip(text[::2], map(float, text[1::2]), strict=True))
        case "set":
            return sorted(text)
        case "list" | "stream":
            return text
    return text[0]


@pytest.fixture
async def shard(store: Store, clock: object) -> AsyncIterator[Shard]:
    """An empty shard with a standing clock, once per server.

    It leaves nothing behind, and at the end of a test that has not broken it by hand, the doctor finds nothing.
    """
    opened = Shard(store)
    yield opened
    try:
        if not opened.is_broken:
            assert await opened.problems() == []
    finally:
        await _clear(store)


@pytest.fixture
async def real_shard(real_store: Store, clock: object) -> AsyncIterator[Shard]:
    """The same, once per real server."""
    yield Shard(real_store)
    await _clear(real_store)


@pytest.fixture
async def ticking_shard(store: Store) -> AsyncIterator[Shard]:
    """An empty shard with the server's own clock, once per server."""
    known = store.connection
    connection = Connection(known.servers, prefix=f"{known.prefix}-ticking", shards=2, in_process=known.in_process)
    opened = store_on(connection)
    yield Shard(opened)
    await _clear(opened)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Runs coroutines for tests that are none, as Hypothesis wants them."""
    with asyncio.Runner() as opened:
        yield opened


@pytest.fixture(scope="module")
def new_shard(server_url: Callable[[str], str], runner: asyncio.Runner) -> Iterator[Callable[[], Shard]]:
    """Gives an empty shard with a standing clock at each call, on one real server."""
    prefixes = (f"many{number}" for number in itertools.count())
    family = "valkey" if _has(server_url, "valkey") else "redis"
    servers = open_servers(server_url(family))

    def open_one() -> Shard:
        connection = Connection(servers, prefix=next(prefixes), shards=2, test_clock=True)
        return Shard(store_on(connection))

    yield open_one

    async def close() -> None:
        for client in await servers.primaries():
            await client.flushdb()
        await servers.close()

    runner.run(close())


def _has(server_url: Callable[[str], str], family: str) -> bool:
    try:
        server_url(family)
    except KeyError:
        return False
    return True


async def _clear(store: Store) -> None:
    for client in await store.connection.servers.primaries():
        async with client.pipeline(transaction=False) as pipeline:
            for key in await client.keys(f"{store.connection.prefix}*"):
                pipeline.delete(key)
            await pipeline.execute()
