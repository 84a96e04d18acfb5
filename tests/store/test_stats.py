"""What happens is counted, once, in the minute in which it does; and what the counters tell."""

import asyncio

import msgspec
import pytest

from coordinator.domain.activity import Activity, Minute
from coordinator.domain.job import Spec
from coordinator.domain.queue import Circuit, Retention
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule
from coordinator.domain.spans import SPANS, quantile
from coordinator.domain.unique import Unique
from coordinator.errors import StoreUnavailable
from coordinator.store import stats as stats_module
from coordinator.store.schedules import StoredSchedule
from coordinator.store.scripts import load

MINUTE = 60_000


async def counted(shard):
    """All counters that are there, by minute since the start."""
    dump = await shard.dump(counted=True)
    return {
        int(key.removeprefix("stats:")) - shard.start // MINUTE: {name: int(number) for name, number in value.items()}
        for key, value in dump.items()
        if key.startswith("stats:")
    }


async def latest(shard):
    """Those of the last minute."""
    found = await counted(shard)
    return found[max(found)] if found else {}


async def test_a_job_is_counted_when_it_is_made_begun_and_ended(shard, clock):
    attempt_id = await shard.add_one()
    assert await latest(shard) == {"default created": 1}
    await clock.advance(70)
    attempt = await shard.claim_one()
    assert attempt.job_id == attempt_id
    await clock.advance(100)
    await shard.end(attempt, shard.succeed)

    assert await counted(shard) == {
        0: {"default created": 1, "default started 64": 1, "default succeeded resize 96": 1}
    }


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("retry", {"default failed resize 4": 1}),
        ("die", {"default failed resize 4": 1, "default dead": 1}),
        ("throttle", {"default throttled": 1}),
        ("cancel", {"default cancelled": 1}),
        ("snooze", {}),
        ("lost", {}),
    ],
)
async def test_each_end_is_counted_as_what_it_is(shard, clock, ending, told):
    attempt = await shard.run_one()
    await clock.advance(5)
    await shard.end(attempt, getattr(shard, ending))

    assert await latest(shard) == {"default created": 1, "default started 0": 1} | told


async def test_a_success_of_an_attempt_that_was_followed_by_another_has_no_known_length(shard, clock):
    first = await shard.run_one()
    await shard.end(first, shard.retry)
    await clock.advance(5000)
    await shard.claim_one()
    await shard.end(first, shard.succeed)

    assert (await latest(shard))["default succeeded resize ?"] == 1


async def test_a_batch_is_counted_as_many(shard):
    await shard.add(30)
    for attempt in (await shard.claim()).attempts:
        await shard.end(attempt, shard.succeed)

    assert await latest(shard) == {"default created": 30, "default started 0": 30, "default succeeded resize 0": 30}


async def test_each_queue_and_each_minute_is_counted_by_itself(shard, clock):
    await shard.add(2, "shop", key="a")
    await clock.advance(MINUTE)
    await shard.add(1, "b")

    assert await counted(shard) == {0: {"shop created": 2}, 1: {"b created": 1}}


async def test_what_waits_and_is_cancelled_is_counted_whoever_does_it(shard, clock):
    await shard.add(1, expires_ms=1000)
    unique = {"unique": Unique("h", on_conflict="replace")}
    await shard.add(2, **unique)
    await shard.delete(await shard.add_one())
    await clock.advance(1000)
    await shard.jobs.expire(0)

    assert await latest(shard) == {"default created": 4, "default cancelled": 3}


async def test_what_is_released_to_be_cancelled_is_counted(shard):
    attempt = await shard.run_one()
    await shard.change("cancel", attempt.job_id)
    await shard.jobs.release(0, [attempt])

    assert (await latest(shard))["default cancelled"] == 1


async def test_a_tick_counts_as_a_job(shard):
    schedule = Schedule(Rule(every_ms=MINUTE), Spec("report", msgspec.Raw(b"{}"), "shop"))
    schedule_id = shard.new_id()
    await shard.store.schedules.put(StoredSchedule(schedule_id, schedule, 0, shard.start, version=0))
    (due,) = (await shard.store.schedules.due(0)).schedules
    await shard.store.schedules.fire(due, schedule, [shard.new_job("shop")], next_at=shard.start + MINUTE, missed=0)

    assert await latest(shard) == {"shop created": 1}


async def test_a_job_that_is_put_off_or_expires_in_a_claim_has_not_begun(shard, clock):
    await shard.configure(circuit=Circuit(1, 30_000))
    first = await shard.run_one()
    await shard.end(first, shard.retry)
    await shard.add(1)
    await shard.add(1, "b", expires_ms=10)
    await clock.advance(20)
    assert (await shard.claim()).attempts == []

    found = await latest(shard)
    assert found["default started 0"] == 1
    assert found["b cancelled"] == 1
    assert "b started 12" not in found


async def test_a_job_that_is_pushed_out_is_not_counted_again(shard):
    await shard.configure(retention={"succeeded": Retention(86_400_000, 1)})
    for _ in range(3):
        await shard.end(await shard.run_one(), shard.succeed)

    assert await latest(shard) == {"default created": 3, "default started 0": 3, "default succeeded resize 0": 3}


async def test_the_counters_of_a_minute_go_after_three_hours(shard):
    await shard.add(1)
    await shard.add(1, "shop")

    left = await shard.call("PTTL", f"{shard.root}:stats:{shard.start // MINUTE}")
    assert 3 * 3_600_000 < left <= 3 * 3_600_000 + 300_000


async def test_names_beyond_three_hundred_are_counted_together(shard):
    key = f"{shard.root}:stats:{shard.start // MINUTE}"
    await shard.call("HSET", key, *(word for at in range(300) for word in (f"q{at} created", 1)))
    await shard.call("PEXPIRE", key, 60_000)
    await shard.end(await shard.run_one(), shard.succeed)
    await shard.add(2, "shop")

    found = await latest(shard)
    named = {name: number for name, number in found.items() if not name.startswith("q")}
    assert named == {"* created": 3, "* started 0": 1, "* succeeded * 0": 1}


async def test_a_claim_whose_reply_was_lost_counts_once(shard):
    await shard.add(3)
    for _ in range(2):
        assert len((await shard.claim(2, request="again")).attempts) == 2

    assert (await latest(shard))["default started 0"] == 2


async def test_a_call_that_was_given_back_has_not_begun(shard, clock, monkeypatch):
    monkeypatch.setattr(stats_module, "SHARED_S", 0)
    await shard.add(3)
    await clock.advance(12)
    attempts = (await shard.claim(3)).attempts
    for _ in range(2):
        await shard.jobs.release(0, attempts[:2])
    assert await latest(shard) == {"default created": 3, "default started 12": 1}

    await clock.advance(5)
    again = (await shard.claim()).attempts
    assert await latest(shard) == {"default created": 3, "default started 12": 1, "default started 4": 2}

    await clock.advance(MINUTE)
    assert (await shard.store.stats.read(3, [0])).totals("started") == [0, 3, 0]
    await shard.jobs.release(0, [attempts[2], *again])
    assert (await shard.store.stats.read(3, [0])).totals("started") == [0, 0, 0]


async def test_a_start_that_was_counted_without_a_name_is_given_back_so(shard):
    key = f"{shard.root}:stats:{shard.start // MINUTE}"
    await shard.call("HSET", key, *(word for at in range(300) for word in (f"q{at} created", 1)))
    await shard.call("PEXPIRE", key, 60_000)
    attempt = await shard.run_one()
    assert (await latest(shard))["* started 0"] == 1

    await shard.jobs.release(0, [attempt])

    assert "* started 0" not in await latest(shard)


def test_no_script_counts_and_forgets_to_write_it():
    """All that can make, begin or end a job write at the end what they have counted."""
    counting = {name: script.text for name, script in load().items() if "local function save_counts" in script.text}

    forgetful = {name for name, text in counting.items() if "\nsave_counts()" not in text}
    assert forgetful == {"purge_jobs", "read_stats"}  # One erases what was counted when it ended, the other reads.


async def test_the_counters_are_read_as_series(shard, clock):
    await shard.add(4)
    await clock.advance(MINUTE)
    await shard.add(2, "shop")
    for attempt, ending in zip((await shard.claim(4)).attempts, ("succeed", "succeed", "die", "retry"), strict=True):
        await clock.advance(100)
        await shard.end(attempt, getattr(shard, ending))

    activity = await shard.store.stats.read(3, [0, 1])

    assert activity.first == shard.start // MINUTE - 1
    assert activity.totals("created") == [0, 4, 2]
    assert activity.totals("started") == [0, 0, 4]
    assert activity.totals("failed") == [0, 0, 2]
    assert activity.totals("dead") == [0, 0, 1]
    assert activity.of_queue("shop", "created") == [0, 0, 2]
    assert activity.of_queue("none", "created") == [0, 0, 0]
    assert activity.wait_ms(0.5)[:2] == [None, None]
    assert set(activity.workers) == {"resize"}
    assert (activity.workers["resize"].succeeded, activity.workers["resize"].failed) == (2, 2)
    assert 96 <= activity.workers["resize"].run_ms(0.5) <= 256


async def test_only_what_is_wanted_is_counted(shard):
    await shard.add(1)
    await shard.add(2, "shop")

    activity = await shard.store.stats.read(1, [0], lambda queue: queue == "shop")

    assert activity.totals("created") == [2]


async def test_many_minutes_with_many_names_are_read_in_steps(shard):
    for minute in range(3):
        key = f"{shard.root}:stats:{shard.start // MINUTE - minute}"
        await shard.call("HSET", key, *(word for at in range(1500) for word in (f"q{at} created", 1)))
        await shard.call("PEXPIRE", key, 60_000)

    activity = await shard.store.stats.read(3, [0])

    assert activity.totals("created") == [1500, 1500, 1500]


async def test_a_minute_that_is_over_is_read_once(shard, clock, monkeypatch):
    """What is asked again costs what has come since; who asks for more minutes than before has all of them read."""
    monkeypatch.setattr(stats_module, "SHARED_S", 0)
    stats = shard.store.stats
    await shard.add(1)
    await clock.advance(2 * MINUTE)
    await shard.add(2)
    assert (await stats.read(3, [0])).totals("created") == [1, 0, 2]
    await shard.call("DEL", f"{shard.root}:stats:{shard.start // MINUTE}")
    await shard.add(3)

    assert (await stats.read(3, [0])).totals("created") == [1, 0, 5]
    assert (await stats.read(2, [0])).totals("created") == [0, 5]
    await clock.advance(MINUTE)
    assert (await stats.read(3, [0])).totals("created") == [0, 5, 0]
    assert (await stats.read(9, [0])).totals("created") == [0] * 7 + [5, 0]


async def test_when_much_is_kept_the_oldest_minutes_are_forgotten(shard, clock, monkeypatch):
    """Who asks for them has all read again, who asks for those that are kept has not."""
    monkeypatch.setattr(stats_module, "SHARED_S", 0)
    monkeypatch.setattr(stats_module, "KEPT_MOST", 2)
    stats, minute = shard.store.stats, shard.start // MINUTE
    for number in range(4):
        await shard.add(number + 1)
        await clock.advance(MINUTE)
    await shard.store.stats.read(5, [0])
    for number in range(4):
        await shard.call("HSET", f"{shard.root}:stats:{minute + number}", "default created", 100)

    assert (await stats.read(3, [0])).totals("created") == [3, 100, 0]  # The last one may still change.
    assert (await stats.read(5, [0])).totals("created") == [100, 100, 100, 100, 0]


async def test_those_who_ask_at_once_share_one_read(shard, monkeypatch):
    """Also those who ask for less, and soon after; whoever goes away does not end it for the others."""
    connection, ran = shard.store.connection, []
    original = type(connection).run

    async def counted(self, script, *given, **values):
        ran.append(script)
        return await original(self, script, *given, **values)

    monkeypatch.setattr(type(connection), "run", counted)
    stats = shard.store.stats
    gone = asyncio.create_task(stats.read(60, [0]))
    asked = [asyncio.create_task(stats.read(minutes, [0])) for minutes in (60, 3)]
    await asyncio.sleep(0)
    gone.cancel()
    assert [len((await one).totals("created")) for one in asked] == [60, 3]
    await stats.read(60, [0])
    assert ran == ["read_stats"]


async def test_a_read_that_failed_is_not_shared_with_those_who_ask_later(shard, monkeypatch):
    stats, connection = shard.store.stats, type(shard.store.connection)
    with monkeypatch.context() as broken:

        async def away(*_given, **_values):
            raise StoreUnavailable("redis_unavailable", "It is away.")

        broken.setattr(connection, "run", away)
        told = await asyncio.gather(*(stats.read(60, [0]) for _ in range(2)), return_exceptions=True)
        assert [type(error) for error in told] == [StoreUnavailable] * 2

    await stats.read(60, [0])


async def test_queues_are_counted_together(shard, clock):
    await shard.configure("shop", paused=True)
    await shard.add(3, "shop", delay_ms=5)
    await shard.add(1)
    await shard.end(await shard.claim_one(), shard.die)
    await clock.advance(10)

    now, tallies = await shard.store.queues.tallies(["default", "shop", "none"])

    assert now == clock.now
    told = {tally.name: (tally.counts, tally.paused, tally.oldest_due_at) for tally in tallies}
    none = dict.fromkeys(("queued", "scheduled", "retrying", "running", "succeeded", "dead", "cancelled"), 0)
    assert told["default"] == (none | {"dead": 1}, False, None)
    assert told["shop"] == (none | {"queued": 3}, True, clock.now - 5)
    assert told["none"] == (none, False, None)
    for name in ("default", "shop"):
        assert (await shard.store.queues.read(name)).counts == told[name][0]


async def test_a_span_is_the_one_that_a_script_finds(shard):
    """Both sides have to name the same spans."""
    script = load(test_clock=True)["claim_jobs"].text.partition("-- Take due jobs")[2]
    spans = script[script.index("local SPAN_LAST") : script.index("local function count_start")]
    loop = "for _, ms in ipairs(ARGV) do found[#found + 1] = span_of(tonumber(ms)) end"
    text = f"{spans} local found = {{}} {loop} return found"
    asked = sorted({0, *SPANS, *(low - 1 for low in SPANS[1:]), *(low + 1 for low in SPANS), 10**12})

    found = await shard.call("EVAL", text, 1, shard.root, *asked)

    assert found == [max(low for low in SPANS if low <= ms) for ms in asked]


def test_what_a_share_took_is_interpolated():
    assert quantile({}, 0.5) is None
    assert quantile({0: 10}, 0.5) == 0
    assert quantile({96: 10}, 0.5) == 112
    assert quantile({96: 10}, 1) == 128
    assert quantile({1: 50, 1024: 50}, 0.5) == 2
    assert quantile({1: 50, 1024: 50}, 0.95) == 1485
    assert quantile({SPANS[-1]: 1}, 1) == 268_435_456


def test_counters_of_another_version_are_left_out():
    activity = Activity(100, 2)
    activity.add(100, Minute([("q created", "2"), ("q invented 7", "1"), ("x", "1"), ("q succeeded w ?", "3")]))
    activity.add(98, Minute([("q created", "9")]))
    activity.add(101, Minute([("q created", "9")]))

    assert activity.totals("created") == [0, 2]
    assert activity.totals("succeeded") == [0, 3]
    assert activity.run_ms(0.5) == [None, None]
    assert activity.of_queue("q", "created") == [0, 2]
