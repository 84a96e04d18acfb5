"""A full Redis: what would need memory is refused whole, what frees memory goes on."""

import msgspec
import pytest

from coordinator.domain.ids import new_id
from coordinator.domain.job import Spec
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule
from coordinator.domain.selection import Selection
from coordinator.errors import StoreUnavailable
from coordinator.store.schedules import StoredSchedule
from coordinator.store.scripts import load

FIRST_WRITES = {
    *("add_members", "create_batch", "enqueue_jobs", "edit_job", "replay_job"),
    *("put_schedule", "fire_schedule", "put_record"),
}
"""What makes something new. All other scripts free memory or move what is there."""

DAY = 86_400_000


@pytest.fixture
async def fill(real_shard):
    """Fills the server; at the end there is room again."""

    async def fill_up():
        await real_shard.call("CONFIG", "SET", "maxmemory", 1)

    yield fill_up
    await empty(real_shard)


async def empty(shard):
    await shard.call("CONFIG", "SET", "maxmemory", 0)


async def refused(action):
    with pytest.raises(StoreUnavailable) as error:
        await action
    return error.value.code, error.value.status, error.value.retry_after_s


async def test_a_job_is_refused_and_nothing_is_left_of_it(real_shard, fill):
    await real_shard.add(2)
    before = await real_shard.dump()
    await fill()

    jobs = [real_shard.new_job(), real_shard.new_job("shop", delay_ms=9)]
    assert await refused(real_shard.enqueue(jobs)) == ("memory_limit", 503, 10)

    assert await real_shard.dump() == before


async def test_a_tick_is_refused_and_stays_due(real_shard, fill):
    schedules = real_shard.store.schedules
    rule = Schedule(Rule(every_ms=60_000), Spec("report", msgspec.Raw(b"{}"), "shop"))
    schedule_id = new_id(0, 1, 7)
    await schedules.put(StoredSchedule(schedule_id, rule, 0, real_shard.start, version=0))
    (due,) = (await schedules.due(0)).schedules
    before = await real_shard.dump()
    await fill()

    job = real_shard.new_job("shop")
    full = ("memory_limit", 503, 10)
    assert await refused(schedules.fire(due, rule, [job], next_at=real_shard.start + 60_000, missed=0)) == full
    assert await refused(schedules.put(StoredSchedule(new_id(0, 1, 8), rule, 0, 1, version=0))) == full

    assert await real_shard.dump() == before
    assert (await schedules.due(0)).schedules == [due]


async def test_the_whole_life_of_a_job_goes_on(real_shard, clock, fill):
    await real_shard.configure(rate=real_shard.rate(100, 1000, 100))
    await real_shard.add(7)
    await real_shard.store.connection.call("SET", f"{{{real_shard.store.connection.prefix}:replicas}}:clock", clock.now)
    schedule_id = new_id(0, 1, 7)
    rule = Schedule(Rule(every_ms=60_000), Spec("w", msgspec.Raw(b"1")), name="often")
    assert await real_shard.store.schedules.rename("often", "", schedule_id)
    await real_shard.store.schedules.put(StoredSchedule(schedule_id, rule, 0, None, version=0))
    await fill()

    async def later(ms):
        await empty(real_shard)  # The tests' clock is a key.
        await clock.advance(ms)
        await fill()

    attempts = (await real_shard.claim(6)).attempts
    assert await real_shard.renew(0, attempts, holder="r1", lease_ms=20_000) == set()
    await real_shard.jobs.release(0, attempts[:1])
    await real_shard.jobs.detach(0, attempts[1:2])
    for attempt, ending, state in zip(
        attempts[1:],
        (real_shard.succeed, real_shard.die, real_shard.cancel, real_shard.retry, real_shard.snooze),
        ("succeeded", "dead", "cancelled", "waiting", "waiting"),
        strict=True,
    ):
        assert await real_shard.end(attempt, ending) == ("ok", state)
    assert await real_shard.delete(attempts[4].job_id) == ("cancelled", "")
    await real_shard.configure(concurrency=1)
    assert len((await real_shard.claim()).attempts) == 1
    await later(60_000)
    (found,) = await real_shard.jobs.expired(0)
    assert await real_shard.end(found.attempt, real_shard.lost, lapsed=True) == ("ok", "waiting")
    await real_shard.store.leadership.register("r1", 1000)
    assert await real_shard.store.leadership.hold(0, "r1", 1000)
    await real_shard.store.leadership.resign(0, "r1")
    await real_shard.store.schedules.delete(schedule_id)
    await later(30 * DAY)
    assert await real_shard.jobs.purge(0) == 4


async def test_a_replica_can_start(real_shard, fill):
    await real_shard.store.leadership.agree_on_shards()
    await fill()

    await real_shard.store.leadership.agree_on_shards()


async def test_reads_go_on(real_shard, fill):
    job_id = await real_shard.add_one()
    await fill()

    assert (await real_shard.jobs.read(job_id)).state == "queued"
    assert len((await real_shard.jobs.page(0, Selection("default", "queued"), after=None, limit=10)).jobs) == 1
    assert (await real_shard.store.queues.read("default")).counts["queued"] == 1
    assert (await real_shard.jobs.poll(0))[0] == 0
    assert await real_shard.store.schedules.page("", 10) == ([], None)
    assert await real_shard.store.schedules.find("often") == ""


async def test_what_was_refused_is_accepted_when_there_is_room_again(real_shard, fill):
    job = real_shard.new_job()
    await fill()
    await refused(real_shard.enqueue([job]))
    await empty(real_shard)

    assert await real_shard.enqueue([job]) == (real_shard.start, 0)


def test_only_what_makes_something_new_may_be_refused():
    refusable = {name for name, script in load().items() if not script.text.startswith("#!lua flags=allow-oom\n")}

    assert {name for name in refusable if not name.startswith(("read_", "list_", "poll_", "find_"))} == FIRST_WRITES
