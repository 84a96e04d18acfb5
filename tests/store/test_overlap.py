"""What a schedule does about runs that still live when its tick comes."""

import msgspec
import pytest

from coordinator.domain.ids import new_id
from coordinator.domain.job import Spec
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule, run_of, tick_id
from coordinator.store.records import NewJob
from coordinator.store.schedules import StoredSchedule

ID = new_id(0, 1, 7)
SECOND = 1000


@pytest.fixture
async def fire(shard, clock):
    """Fires the next tick of a schedule with this policy, a second after the last. Gives the ids of its runs."""

    async def fire_next(overlap, *, ticks=1):
        schedule = Schedule(Rule(every_ms=SECOND), Spec("report", msgspec.Raw(b"{}"), "shop"), overlap=overlap)
        await clock.advance(SECOND)
        schedules = shard.store.schedules
        if not (await schedules.due(0)).schedules:
            await schedules.put(StoredSchedule(ID, schedule, 0, clock.now, version=0))
        (due,) = (await schedules.due(0)).schedules
        instants = [due.tick + SECOND * number for number in range(ticks)]
        jobs = [NewJob(tick_id(ID, at), run_of(schedule, ID, at)) for at in instants]
        fired, _ = await schedules.fire(due, schedule, jobs, next_at=clock.now + SECOND, missed=0)
        assert fired
        return [job.id for job in jobs]

    return fire_next


async def state(shard, job_id):
    job = (await shard.dump()).get(f"job:{job_id}")
    return job and job["state"]


async def counted(shard):
    stored = await shard.store.schedules.read(ID)
    return stored.runs, stored.skipped


async def live(shard):
    return sorted((await shard.dump()).get(f"live:{ID}", {}))


@pytest.mark.parametrize("overlap", ["skip", "queue", "allow", "cancel"])
async def test_when_no_run_lives_the_tick_runs(shard, fire, overlap):
    (first,) = await fire(overlap)
    assert await live(shard) == [first]
    await shard.end(await shard.claim_one(), shard.succeed)
    assert await live(shard) == []

    (second,) = await fire(overlap)

    assert await state(shard, second) == "waiting"
    assert await counted(shard) == (2, 0)


@pytest.mark.parametrize("state_of_first", ["waiting", "running", "snoozed"])
async def test_skip_passes_over_a_tick_while_a_run_lives(shard, fire, state_of_first):
    (first,) = await fire("skip")
    if state_of_first != "waiting":
        attempt = await shard.claim_one()
        if state_of_first == "snoozed":
            await shard.end(attempt, shard.snooze)

    (second,) = await fire("skip")

    assert await state(shard, second) is None
    assert await counted(shard) == (1, 1)
    assert (await shard.store.schedules.read(ID)).last_at == shard.start + SECOND
    assert await live(shard) == [first]


@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_a_run_that_only_waits_for_its_retry_gives_way(shard, fire, overlap):
    (first,) = await fire(overlap)
    await shard.end(await shard.claim_one(), shard.retry)

    (second,) = await fire(overlap)

    gone = await shard.job(first)
    assert (gone["state"], gone["reason"]) == ("cancelled", "superseded")
    assert await state(shard, second) == "waiting"
    assert await live(shard) == [second]
    assert await counted(shard) == (2, 0)


async def test_a_retry_that_is_due_is_not_given_up(shard, clock, fire):
    (first,) = await fire("skip")
    await shard.end(await shard.claim_one(), shard.retry)
    await clock.advance(shard.retry.delay_ms)

    await fire("skip")

    assert await state(shard, first) == "waiting"
    assert await counted(shard) == (1, 1)


async def test_allow_minds_nothing(shard, fire):
    runs = [(await fire("allow"))[0] for _ in range(4)]

    assert await live(shard) == sorted(runs)
    assert await counted(shard) == (4, 0)


async def test_queue_holds_one_run_until_the_others_have_ended(shard, fire):
    (first,) = await fire("queue")
    attempt = await shard.claim_one()
    (second,) = await fire("queue")
    assert await state(shard, second) is None
    assert (await shard.store.schedules.read(ID)).held == second
    (third,) = await fire("queue")
    assert await counted(shard) == (2, 1)

    _, due_in_ms = await shard.settle([shard.ended(attempt, shard.succeed)])

    assert due_in_ms == 0
    assert (await state(shard, second), await state(shard, third)) == ("waiting", None)
    assert await live(shard) == [second]
    assert (await shard.store.schedules.read(ID)).held is None
    assert (await shard.claim_one()).job_id == second
    assert first < second


async def test_a_held_run_begins_however_the_one_before_ends(shard, clock, fire):
    (first,) = await fire("queue")
    (second,) = await fire("queue")

    await shard.change("cancel", first)

    assert await state(shard, second) == "waiting"
    assert (await shard.claim_one()).job_id == second


async def test_a_held_run_begins_when_a_claim_gives_the_one_before_up(shard, clock):
    schedule = Schedule(
        Rule(every_ms=SECOND), Spec("report", msgspec.Raw(b"{}"), "shop", expires_ms=500), overlap="queue"
    )
    await shard.store.schedules.put(StoredSchedule(ID, schedule, 0, clock.now, version=0))
    for _ in range(2):
        (due,) = (await shard.store.schedules.due(0)).schedules
        job = NewJob(tick_id(ID, due.tick), run_of(schedule, ID, due.tick))
        await shard.store.schedules.fire(due, schedule, [job], next_at=clock.now + SECOND, missed=0)
        await clock.advance(SECOND)

    assert (await shard.claim()).attempts == []

    claim = await shard.claim()
    assert [attempt.job_id for attempt in claim.attempts] == [job.id]


async def test_a_deleted_schedule_lets_go_of_the_run_that_it_holds(shard, fire):
    (first,) = await fire("queue")
    await fire("queue")

    await shard.store.schedules.delete(ID)
    await shard.end(await shard.claim_one(), shard.succeed)

    dump = await shard.dump()
    assert list(dump["succeeded:shop"]) == [first]
    assert not [key for key in dump if key.startswith(("held:", "live:", "waiting:"))]


async def test_cancel_ends_what_waits_and_asks_what_runs_to_stop(shard, fire):
    (first,) = await fire("cancel")
    attempt = await shard.claim_one()
    (second,) = await fire("cancel")
    assert (await shard.job(first))["cancel_requested"] == "superseded"

    (third,) = await fire("cancel")

    assert (await shard.job(second))["reason"] == "superseded"
    assert await state(shard, third) == "waiting"
    assert await shard.end(attempt, shard.retry) == ("ok", "cancelled")
    assert (await shard.job(first))["reason"] == "superseded"
    assert await live(shard) == [third]


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel"])
async def test_ticks_that_are_made_up_for_together_do_not_stand_in_one_anothers_way(shard, fire, overlap):
    runs = await fire(overlap, ticks=3)

    assert await live(shard) == sorted(runs)
    assert await counted(shard) == (3, 0)


async def test_of_several_ticks_that_meet_a_run_the_newest_is_held(shard, fire):
    await fire("queue")

    runs = await fire("queue", ticks=3)

    assert (await shard.store.schedules.read(ID)).held == runs[-1]
    assert await counted(shard) == (2, 2)


async def test_a_dead_run_that_is_tried_anew_lives_again(shard, fire):
    (first,) = await fire("skip")
    await shard.end(await shard.claim_one(), shard.die)
    assert await live(shard) == []

    await shard.change("retry", first)

    assert await live(shard) == [first]
    await fire("skip")
    assert await counted(shard) == (1, 1)


async def test_it_ends_with_the_last_of_its_runs_and_a_skipped_tick_is_none(shard, clock):
    schedule = Schedule(Rule(every_ms=SECOND), Spec("report", msgspec.Raw(b"{}"), "shop"), max_runs=2)
    schedules = shard.store.schedules
    await schedules.put(StoredSchedule(ID, schedule, 0, clock.now, version=0))

    async def fire_next():
        (due,) = (await schedules.due(0)).schedules
        job = NewJob(tick_id(ID, due.tick), run_of(schedule, ID, due.tick))
        await schedules.fire(due, schedule, [job], next_at=clock.now + SECOND, missed=0)
        await clock.advance(SECOND)
        return (await schedules.read(ID)).state

    assert await fire_next() == "active"
    assert await fire_next() == "active"  # It was skipped.
    await shard.end(await shard.claim_one(), shard.succeed)
    assert await fire_next() == "ended"
    assert await counted(shard) == (2, 1)


async def test_a_run_that_was_held_under_another_policy_does_not_begin_when_the_older_is_cancelled(shard, fire):
    await fire("queue")
    await fire("queue")

    (third,) = await fire("cancel")

    assert await live(shard) == [third]
    assert (await shard.store.schedules.read(ID)).held is None
