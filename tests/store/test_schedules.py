"""Schedules: written, found when their tick has come, fired once whoever fires, and moved on in the same step."""

import asyncio
import dataclasses

import msgspec
import pytest

from coordinator.domain.ids import new_id
from coordinator.domain.job import Spec
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule, run_of, tick_id
from coordinator.errors import NotFound
from coordinator.store.records import NewJob
from coordinator.store.schedules import Due, StoredSchedule

HOURLY = Schedule(Rule(every_ms=3_600_000), Spec("report", msgspec.Raw(b'{"a":[]}'), "shop", timeout_ms=60_000))
ID = new_id(0, 1, 7)


async def put(shard, next_at, *, schedule_id=ID, schedule=HOURLY, **fields):
    try:
        fields = {"version": (await shard.store.schedules.read(schedule_id)).version} | fields
    except NotFound:
        fields = {"version": 0} | fields
    return await shard.store.schedules.put(StoredSchedule(schedule_id, schedule, 0, next_at, **fields))


async def due(shard):
    return (await shard.store.schedules.due(0)).schedules


async def the_due(shard):
    (found,) = await due(shard)
    return found


def tick_job(found, tick=None):
    tick = tick or found.tick
    return NewJob(tick_id(found.id, tick), run_of(found.schedule, found.id, tick))


async def fire(shard, found, *, next_at, jobs=None, missed=0):
    jobs = [tick_job(found)] if jobs is None else jobs
    return await shard.store.schedules.fire(found, found.schedule, jobs, next_at=next_at, missed=missed)


async def test_what_is_put_is_read(shard, clock):
    await put(shard, clock.now + 5000)

    assert await shard.store.schedules.read(ID) == StoredSchedule(ID, HOURLY, clock.now, clock.now + 5000)
    assert await shard.dump() == {
        "schedule_ids": {ID: 0},
        f"schedule:{ID}": {
            "record": msgspec.json.encode(HOURLY).decode(),
            "version": "1",
            "created_at": str(clock.now),
        },
        "schedules": {ID: clock.now + 5000},
    }


async def test_what_is_put_again_replaces_all_but_its_history(shard, clock):
    await put(shard, clock.now)
    await fire(shard, await the_due(shard), next_at=clock.now + 1, missed=2)
    changed = msgspec.structs.replace(HOURLY, misfire="all")
    started = clock.now
    await clock.advance(7000)

    await put(shard, clock.now + 9000, schedule=changed)

    assert await shard.store.schedules.read(ID) == StoredSchedule(
        ID, changed, started, clock.now + 9000, last_at=started, runs=1, missed=2, version=3
    )


async def test_one_that_has_ended_is_kept_for_a_week(shard, clock):
    await put(shard, None)

    assert (await shard.store.schedules.read(ID)).state == "ended"
    await clock.advance(7 * 86_400_000 - 1)
    assert await shard.store.schedules.due(0) == Due(clock.now, [], [])
    await clock.advance(1)
    assert await shard.store.schedules.due(0) == Due(clock.now, [], [ID])


async def test_one_that_goes_on_after_all_is_not_forgotten(shard, clock):
    await put(shard, None)
    await put(shard, clock.now + 9 * 86_400_000)

    assert (await shard.store.schedules.read(ID)).state == "active"
    await clock.advance(8 * 86_400_000)
    assert await shard.store.schedules.due(0) == Due(clock.now, [], [])


async def test_a_paused_one_is_never_due(shard, clock):
    await put(shard, clock.now + 5, is_paused=True)
    await clock.advance(10**12)

    stored = await shard.store.schedules.read(ID)
    assert (stored.state, stored.next_at) == ("paused", None)
    assert await due(shard) == []
    assert (await shard.jobs.poll(0))[2] is None


async def test_a_write_that_was_computed_from_an_older_one_is_refused(shard, clock):
    await put(shard, clock.now)
    found = await the_due(shard)
    await fire(shard, found, next_at=clock.now + 1000)
    before = await shard.dump()
    changed = msgspec.structs.replace(HOURLY, misfire="all")

    assert (await put(shard, clock.now, schedule=changed, version=1)).reply == "changed"

    assert await shard.dump() == before


async def test_a_write_whose_reply_was_lost_may_be_repeated(shard, clock):
    assert (await put(shard, clock.now, version=0)).reply == "ok"
    before = await shard.dump()

    assert (await put(shard, clock.now, version=0)).reply == "ok"

    assert await shard.dump() == before


async def test_it_is_due_from_its_tick_on(shard, clock):
    await put(shard, clock.now + 5000)
    await clock.advance(4999)
    assert await due(shard) == []
    assert (await shard.jobs.poll(0))[2] == 1
    await clock.advance(1)

    found = await the_due(shard)

    assert (found.id, found.tick, found.version, found.runs, found.schedule) == (ID, clock.now, "1", 0, HOURLY)
    assert (await shard.jobs.poll(0))[2] == 0


async def test_the_longest_due_come_first_and_no_more_than_a_batch(shard, clock):
    ids = [new_id(0, 1, number) for number in range(105)]
    for number, schedule_id in enumerate(ids):
        await put(shard, clock.now + number, schedule_id=schedule_id)
    await clock.advance(1000)

    assert [found.id for found in await due(shard)] == ids[:100]


async def test_to_fire_makes_the_job_and_moves_the_schedule_on(shard, clock):
    await put(shard, clock.now)
    await clock.advance(40)
    found = await the_due(shard)

    assert await fire(shard, found, next_at=clock.now + 3_600_000, missed=3) == (True, 0)

    job_id = f"{ID}:{shard.start // 1000}"
    dump = await shard.dump()
    assert dump.pop(f"schedule:{ID}") == {
        "record": msgspec.json.encode(HOURLY).decode(),
        "version": "2",
        "created_at": str(shard.start),
        "last_at": str(shard.start),
        "runs": "1",
        "missed": "3",
        "skipped": "0",
    }
    assert dump == {
        f"job:{job_id}": {
            "state": "waiting",
            "lane": "shop",
            "attempt": "0",
            "worker": "report",
            "run_at": str(clock.now),
            "created_at": str(clock.now),
            "timeout_ms": "60000",
            "schedule": ID,
            "spec": msgspec.json.encode(tick_job(found).spec).decode(),
        },
        f"live:{ID}": {job_id: clock.now},
        f"runs:{ID}": {job_id: clock.now},
        "schedule_ids": {ID: 0},
        "known_queues": ["shop"],
        "lanes:shop": {"shop": clock.now},
        "queues": {"shop": clock.now},
        "schedules": {ID: clock.now + 3_600_000},
        "waiting:shop": {job_id: clock.now},
    }


async def test_of_two_that_fire_one_tick_one_does(shard, clock):
    await put(shard, clock.now)
    first, second = await the_due(shard), await the_due(shard)
    next_at = clock.now + 3_600_000

    fired = await asyncio.gather(fire(shard, first, next_at=next_at), fire(shard, second, next_at=next_at))

    assert sorted(did for did, _ in fired) == [False, True]
    dump = await shard.dump()
    assert len(dump["waiting:shop"]) == 1
    assert dump[f"schedule:{ID}"]["runs"] == "1"


async def test_whoever_is_late_changes_nothing(shard, clock):
    await put(shard, clock.now)
    found = await the_due(shard)
    await fire(shard, found, next_at=clock.now + 3_600_000)
    before = await shard.dump()
    later = tick_job(found, clock.now + 1000)

    assert await fire(shard, found, next_at=clock.now + 1, jobs=[later], missed=9) == (False, None)

    assert await shard.dump() == before


@pytest.mark.parametrize("field", ["tick", "version"])
async def test_both_the_tick_and_the_version_are_compared(shard, clock, field):
    await put(shard, clock.now)
    found = await the_due(shard)
    before = await shard.dump()
    wrong = dataclasses.replace(found, **{field: found.tick - 1 if field == "tick" else "7"})

    assert await fire(shard, wrong, next_at=clock.now + 1) == (False, None)

    assert await shard.dump() == before


async def test_a_schedule_that_was_written_anew_voids_what_was_computed_from_the_old(shard, clock):
    await put(shard, clock.now)
    found = await the_due(shard)
    await put(shard, clock.now)
    before = await shard.dump()

    assert await fire(shard, found, next_at=clock.now + 1) == (False, None)
    assert await shard.dump() == before

    assert await fire(shard, await the_due(shard), next_at=clock.now + 1) == (True, 0)


async def test_a_schedule_that_was_deleted_does_not_fire(shard, clock):
    await put(shard, clock.now)
    found = await the_due(shard)
    await shard.store.schedules.delete(ID)

    assert await fire(shard, found, next_at=clock.now + 1) == (False, None)

    assert await shard.dump() == {}


async def test_the_last_tick_leaves_no_next(shard, clock):
    await put(shard, clock.now)

    assert await fire(shard, await the_due(shard), next_at=None) == (True, 0)

    stored = await shard.store.schedules.read(ID)
    assert (stored.next_at, stored.runs) == (None, 1)
    assert await due(shard) == []


@pytest.mark.parametrize("state", ["waiting", "running", "succeeded"])
async def test_a_job_that_exists_is_not_made_again(shard, clock, state):
    """As after a failover that rolled the schedule back behind a job that it had made."""
    await put(shard, clock.now)
    found = await the_due(shard)
    await fire(shard, found, next_at=clock.now + 1000)
    if state != "waiting":
        attempt = await shard.claim_one()
        if state == "succeeded":
            await shard.end(attempt, shard.succeed)
    await put(shard, found.tick)
    before = await shard.dump()

    assert await fire(shard, await the_due(shard), next_at=clock.now + 1000) == (True, None)

    after = await shard.dump()
    for changed in (f"schedule:{ID}", "schedules"):
        del before[changed], after[changed]
    assert after == before


async def test_several_ticks_make_several_jobs(shard, clock):
    await put(shard, clock.now)
    found = await the_due(shard)
    ticks = [tick_job(found, clock.now + 1000 * number) for number in range(100)]

    assert await fire(shard, found, next_at=clock.now + 200_000, jobs=ticks, missed=5) == (True, 0)

    assert sorted((await shard.dump())["waiting:shop"]) == sorted(job.id for job in ticks)
    stored = await shard.store.schedules.read(ID)
    assert (stored.runs, stored.missed, stored.last_at) == (100, 5, clock.now + 99_000)


async def test_ticks_that_are_passed_over_make_no_job(shard, clock):
    await put(shard, clock.now)

    assert await fire(shard, await the_due(shard), next_at=clock.now + 1, jobs=[], missed=4) == (True, None)

    dump = await shard.dump()
    assert "known_queues" not in dump
    assert (dump[f"schedule:{ID}"]["runs"], dump[f"schedule:{ID}"]["missed"]) == ("0", "4")
    assert "last_at" not in dump[f"schedule:{ID}"]


async def test_a_tick_in_a_full_queue_wakes_nobody(shard, clock):
    await shard.configure("shop", concurrency=1)
    await shard.run_one("shop")
    await put(shard, clock.now)

    assert await fire(shard, await the_due(shard), next_at=clock.now + 1) == (True, None)


async def test_a_clock_that_steps_back_fires_nothing_twice(shard, clock):
    await put(shard, clock.now)
    await fire(shard, await the_due(shard), next_at=clock.now + 60_000)
    await clock.advance(-30_000)
    assert await due(shard) == []
    await clock.advance(30_000)
    assert await due(shard) == []
    await clock.advance(60_000)

    assert (await the_due(shard)).tick == clock.now


async def test_an_entry_without_a_schedule_is_dropped(shard, clock):
    await put(shard, clock.now)
    await shard.call("DEL", f"{shard.root}:schedule:{ID}")

    assert await due(shard) == []

    assert await shard.dump() == {}


async def test_to_delete_leaves_the_jobs(shard, clock):
    await put(shard, clock.now)
    found = await the_due(shard)
    await fire(shard, found, next_at=clock.now + 1)

    await shard.store.schedules.delete(ID)

    dump = await shard.dump()
    assert {"schedules", f"schedule:{ID}"}.isdisjoint(dump)
    assert list(dump["waiting:shop"]) == [tick_id(ID, found.tick)]
    for gone in (shard.store.schedules.delete, shard.store.schedules.read):
        with pytest.raises(NotFound) as refused:
            await gone(ID)
        assert refused.value.code == "schedule_not_found"


@pytest.mark.parametrize("schedule_id", ["", "nonsense", new_id(2, 1, 1)])
async def test_an_id_that_is_none_of_ours_names_no_schedule(shard, schedule_id):
    with pytest.raises(NotFound):
        await shard.store.schedules.read(schedule_id)
    with pytest.raises(NotFound):
        await put(shard, 1, schedule_id=schedule_id)


async def test_pages_come_in_the_order_of_ids_whatever_fires(shard, clock):
    wanted = [new_id(shard_of, at, 1) for at in range(1, 5) for shard_of in (0, 1)]
    for number, schedule_id in enumerate(reversed(wanted)):
        await put(shard, clock.now + number, schedule_id=schedule_id)
    first, after = await shard.store.schedules.page("", 3)
    await put(shard, clock.now + 10**9, schedule_id=wanted[0])

    rest, end = await shard.store.schedules.page(after, 10)

    assert [stored.id for stored in [*first, *rest]] == wanted
    assert (len(first), end) == (3, None)
    assert await shard.store.schedules.page(wanted[-1], 10) == ([], None)


async def test_a_page_of_large_schedules_ends_before_its_limit_and_none_is_left_out(shard, clock):
    large = msgspec.structs.replace(HOURLY, spec=shard.spec("shop", args=b'"' + b"x" * 200_000 + b'"'))
    wanted = [new_id(home, at, 1) for at in range(1, 9) for home in (0, 1)]
    for schedule_id in wanted:
        await put(shard, clock.now, schedule_id=schedule_id, schedule=large)

    found, after, pages = [], "", 0
    while after is not None:
        page, after = await shard.store.schedules.page(after, 100)
        found += [stored.id for stored in page]
        pages += 1

    assert found == wanted
    assert pages == 2


async def test_one_that_cannot_be_read_does_not_hide_the_others(shard, clock):
    await put(shard, clock.now)
    other = new_id(0, 2, 1)
    await put(shard, clock.now, schedule_id=other)
    await shard.call("HSET", f"{shard.root}:schedule:{ID}", "record", '{"rule":{"moon":"full"}}')

    page, _ = await shard.store.schedules.page("", 10)

    assert [stored.id for stored in page] == [other]
    await shard.store.schedules.delete(ID)


async def test_a_tick_that_cannot_be_fired_stays_due(shard, clock):
    await put(shard, clock.now)
    found = await the_due(shard)
    await shard.store.schedules.put_off(found, clock.now + 600_000)
    assert await due(shard) == []
    await clock.advance(600_000)

    again = await the_due(shard)

    assert again == found
    assert await fire(shard, again, next_at=clock.now + 1000) == (True, 0)
    await clock.advance(1000)
    assert (await the_due(shard)).tick == clock.now


async def test_an_edit_leaves_a_tick_due_that_was_put_off(shard, clock):
    await put(shard, clock.now)
    found = await the_due(shard)
    await shard.store.schedules.put_off(found, clock.now + 600_000)
    stored = await shard.store.schedules.read(ID)
    assert stored.next_at == found.tick

    await put(shard, stored.next_at, schedule=msgspec.structs.replace(HOURLY, misfire="all"))

    assert (await the_due(shard)).tick == found.tick


async def test_one_that_goes_on_after_all_is_not_deleted_as_ended(shard, clock):
    await put(shard, None)
    await clock.advance(7 * 86_400_000)
    await put(shard, clock.now + 1000)

    with pytest.raises(NotFound):
        await shard.store.schedules.delete(ID, only_ended=True)

    assert (await shard.store.schedules.read(ID)).state == "active"


async def test_a_name_stands_for_a_schedule_until_it_is_deleted(shard, clock):
    schedules = shard.store.schedules
    assert await schedules.find("nightly") == ""
    assert await schedules.rename("nightly", "", ID)
    assert not await schedules.rename("nightly", "", new_id(0, 2, 2))
    await put(shard, clock.now, schedule=msgspec.structs.replace(HOURLY, name="nightly"))
    assert await schedules.find("nightly") == ID

    await schedules.delete(ID)

    assert await schedules.find("nightly") == ""
    assert await shard.dump() == {}
