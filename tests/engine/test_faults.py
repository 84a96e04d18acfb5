"""What a replica does when one thing near it fails: the rest goes on."""

import asyncio
import contextlib

import httpx
import msgspec
import pytest

from coordinator.calling.caller import Caller
from coordinator.domain.job import Spec
from coordinator.domain.queue import QueueSettings, Retention
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule
from coordinator.domain.worker import Bearer, Worker
from coordinator.engine.group_commit import GroupCommit
from coordinator.engine.replica import Replica
from coordinator.errors import StoreUnavailable
from coordinator.settings import Settings
from coordinator.store.open import IN_PROCESS_URL, open_store

AWAY = StoreUnavailable("redis_unavailable", "away")


class Rig:
    """One replica in this process, and a function that succeeds and counts its calls."""

    def __init__(self):
        self.store = open_store(IN_PROCESS_URL, shards=1)
        self.calls = []
        settings = Settings(worker_url="http://function/", poll_interval_ms=20, shards=1, shutdown_grace_ms=50)
        self.replica = Replica(self.store, Caller(httpx.MockTransport(self._answer)), settings)

    async def _answer(self, request):
        self.calls.append(msgspec.json.decode(request.content)["jobId"])
        return httpx.Response(200, json={"status": "success"})

    async def enqueue(self, **fields):
        job = await self.replica.intake.enqueue(Spec("any", msgspec.Raw(b"{}"), **fields))
        return job.id

    async def schedule(self):
        soon = await self.store.schedules.now() + 20
        schedule = Schedule(Rule(every_ms=1000, start_at=soon), Spec("any", msgspec.Raw(b"{}")), max_runs=1)
        return (await self.replica.schedules.create(schedule))[0].id

    async def set_field(self, kind, name, field, value):
        await self.store.connection.call("HSET", f"co:{{0}}:{kind}:{name}", field, value)

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not await condition():
                await asyncio.sleep(0.01)

    async def count(self, state):
        return (await self.store.queues.read("default")).counts[state]


@pytest.fixture
async def rig():
    made = Rig()
    yield made
    await made.replica.stop()
    await made.store.close()


async def test_a_claim_whose_answers_were_all_lost_is_answered_the_next_time(rig):
    evaluate, left = rig.store.connection._evaluate, 4

    async def lose(sha, text, root, argv, confirm):
        nonlocal left
        reply = await evaluate(sha, text, root, argv, confirm)
        if sha == rig.store.connection._scripts["claim_jobs"].sha and reply[1] and left:
            left -= 1
            raise ConnectionResetError("the reply was lost")
        return reply

    rig.store.connection._evaluate = lose
    await rig.replica.start()
    job_id = await rig.enqueue(max_attempts=1)
    await rig.until(lambda: _equals(rig.count("succeeded"), 1))
    assert rig.calls == [job_id]
    assert (await rig.store.jobs.read(job_id)).tally.attempt == 1
    assert left == 0


async def _equals(found, wanted):
    return await found == wanted


async def test_a_schedule_that_cannot_be_read_does_not_stop_the_others(rig):
    broken, sound = await rig.schedule(), await rig.schedule()
    await rig.set_field("schedule", broken, "record", '{"rule": {"cron": "*"}, "misfire": "of another version"}')
    await rig.replica.start()
    await rig.until(lambda: _equals(rig.count("succeeded"), 1))
    assert (await rig.store.schedules.read(sound)).runs == 1


async def test_a_schedule_that_has_ended_and_cannot_be_read_is_forgotten_like_any_other(rig):
    ended, sound = await rig.schedule(), await rig.schedule()
    await rig.set_field("schedule", ended, "record", '{"rule": {"cron": "*"}, "misfire": "of another version"}')
    await rig.set_field("schedule", ended, "ended_at", 1)
    await rig.store.connection.call("ZADD", "co:{0}:schedules", 1, ended)
    await rig.replica.start()
    await rig.until(lambda: _equals(rig.count("succeeded"), 1))
    assert (await rig.store.schedules.read(sound)).runs == 1
    assert await rig.store.connection.call("EXISTS", f"co:{{0}}:schedule:{ended}") == 0


async def test_a_job_that_cannot_be_read_does_not_take_its_neighbours_along(rig):
    broken, sound = await rig.enqueue(), await rig.enqueue()
    await rig.set_field(
        "job", broken, "spec", '{"worker": "any", "args": {}, "backoff": {"type": "of another version"}}'
    )
    await rig.replica.start()
    await rig.until(lambda: _equals(rig.count("succeeded"), 1))
    await rig.until(lambda: _equals(rig.count("retrying"), 1))
    assert rig.calls == [sound]
    (entry,) = (await rig.store.jobs.read(broken)).attempts
    assert msgspec.json.decode(entry.error)["type"] == "UnreadableJob"


async def test_a_store_that_is_full_is_purged_although_a_schedule_is_due(rig):
    await rig.store.queues.configure("default", QueueSettings(retention={"cancelled": Retention(0, 10)}))
    job_id = await rig.enqueue()
    await rig.store.jobs.change(rig.store.jobs.shard_of(job_id), "delete", [job_id])
    await rig.schedule()

    async def refuse(*_args, **_named):
        raise StoreUnavailable("memory_limit", "full")

    rig.store.schedules.fire = refuse
    await rig.replica.start()
    await rig.until(lambda: _equals(rig.count("cancelled"), 0))


async def test_what_was_not_sent_when_it_stops_is_as_if_never_claimed(rig):
    begun, never = asyncio.Event(), asyncio.Event()

    async def hang(_name):
        begun.set()
        await never.wait()

    rig.replica.directory.find = hang
    await rig.replica.start()
    job_id = await rig.enqueue()
    async with asyncio.timeout(5):
        await begun.wait()
    await rig.replica.stop()
    job = await rig.store.jobs.read(job_id)
    assert (job.state, job.tally.attempt) == ("queued", 0)


async def test_what_waits_for_a_token_when_it_stops_is_as_if_never_claimed(rig):
    asked, never = asyncio.Event(), asyncio.Event()

    async def hang(*_):
        asked.set()
        await never.wait()

    rig.replica._caller._authorizer.authorize = hang
    await rig.store.workers.put("any", Worker("http://function/", auth=Bearer("s3cret")))
    await rig.replica.start()
    job_id = await rig.enqueue()
    async with asyncio.timeout(5):
        await asked.wait()
    await rig.replica.stop()
    job = await rig.store.jobs.read(job_id)
    assert (job.state, job.tally.attempt) == ("queued", 0)


async def test_a_pause_survives_settings_that_leave_it_open(rig):
    await rig.store.queues.configure("default", QueueSettings(paused=True))
    await rig.store.queues.configure("default", QueueSettings(concurrency=5))
    settings = (await rig.store.queues.read("default")).settings
    assert (settings.paused, settings.concurrency) == (True, 5)


async def test_all_that_wait_are_told_when_the_store_is_away():
    begun, told = asyncio.Event(), asyncio.Event()

    async def away(_shard, _items):
        begun.set()
        await told.wait()
        raise AWAY

    commit = GroupCommit(away, 2)
    first = asyncio.create_task(commit.submit(0, "a"))
    await begun.wait()
    others = [asyncio.create_task(commit.submit(0, item)) for item in "bcdefg"]
    await asyncio.sleep(0)
    told.set()
    async with asyncio.timeout(5):
        for task in (first, *others):
            with contextlib.suppress(StoreUnavailable):
                await task
                pytest.fail("it was told that all is well")
