"""The doctor finds what is wrong with a shard, and nothing else; what it mends runs to its end."""

import os
import random
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from coordinator.domain.batch import Batch
from coordinator.domain.ids import new_id
from coordinator.domain.queue import Circuit, KeyLimits, QueueSettings, Rate
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule
from coordinator.domain.unique import Unique
from coordinator.store.schedules import StoredSchedule
from tests.store.breaks import BREAKS

HOUR = 3_600_000
SCHEDULE, BATCH, TICKLESS = new_id(0, 1, 7), new_id(0, 1, 8), new_id(0, 1, 9)
UNKNOWN = new_id(0, 2, 1)


@dataclass
class Ward:
    """A shard with a job of each sort; `names` are short for ids and keys."""

    shard: Any
    names: dict[str, str]

    async def do(self, commands: str) -> None:
        before = await self.shard.dump(counted=True)
        for command in commands.split(";"):
            await self.shard.call(*(word.format(root=self.shard.root, **self.names) for word in command.split()))
        assert await self.shard.dump(counted=True) != before or "EXPIRE" in commands

    async def problems(self, *, repair: bool = False) -> list[tuple[str, str]]:
        return [(found.kind, found.key) for found in await self.shard.problems(repair=repair)]

    async def jobs(self) -> dict[str, str]:
        """The state of every job by its id."""
        dump = await self.shard.dump()
        return {key[4:]: fields.get("state") for key, fields in dump.items() if key.startswith("job:")}

    async def run_all(self, clock) -> None:
        """Every job comes to its end: those that run succeed, and so does what waits when its time has come."""
        await clock.advance(2 * HOUR)
        for expired in await self.shard.jobs.expired(0):
            await self.shard.end(expired.attempt, self.shard.succeed)
        while attempts := (await self.shard.claim()).attempts:
            for attempt in attempts:
                await self.shard.end(attempt, self.shard.succeed)


@pytest.fixture
async def ward(shard, clock):
    """Broken by the test. The queue `shop` has limits, `default` has none."""
    shard.is_broken = True
    names: dict[str, str] = {"schedule": SCHEDULE, "batch": BATCH, "unknown": UNKNOWN, "tickless": TICKLESS}
    await shard.configure("shop", concurrency=9, rate=Rate(5, 1000, 9), per_key=KeyLimits(3, Rate(5, 1000, 9)))
    for name, settlement in (
        ("done", shard.succeed),
        ("dead", shard.die),
        ("gone", shard.cancel),
        ("failed", shard.retry),
    ):
        names[name] = await shard.add_one()
        await shard.end(await shard.claim_one(), settlement)
    names["held"] = (await shard.run_one("shop", key="b")).job_id
    detached = await shard.run_one("shop", key="c")
    await shard.jobs.detach(0, [detached])
    names["detached"] = detached.job_id
    names["plain"] = await shard.add_one()
    names["later"] = await shard.add_one(delay_ms=HOUR)
    names["keyed"] = await shard.add_one("shop", key="a")
    names["urgent"] = await shard.add_one(priority=0)
    names["expiring"] = await shard.add_one(expires_ms=10 * HOUR)
    names["tagged"] = await shard.add_one(tags=("night", "x"))
    names["run"] = await shard.add_one(schedule_id=SCHEDULE)
    names["unique"] = await shard.add_one(unique=Unique("order-1"))
    names["handle"] = (await shard.job(names["unique"]))["unique"]
    await shard.store.batches.create(BATCH, Batch(), None)
    names["member"] = await shard.add_one(batch_id=BATCH)
    await shard.store.batches.seal(BATCH, [names["member"]], 0)
    schedule = Schedule(Rule(every_ms=HOUR, anchor_at=shard.start), shard.spec())
    for schedule_id in (SCHEDULE, TICKLESS):
        await shard.store.schedules.put(StoredSchedule(schedule_id, schedule, 0, shard.start + HOUR, version=0))
    opened = Ward(shard, names)
    assert await opened.problems() == []
    return opened


@pytest.mark.parametrize("name", BREAKS)
async def test_what_is_broken_is_found_and_mended_and_everything_runs(ward, clock, name):
    commands, wanted = BREAKS[name]
    await ward.do(commands)
    before, jobs = await ward.shard.dump(), await ward.jobs()

    found = await ward.problems()

    assert await ward.shard.dump() == before
    assert sorted(found) == sorted((kind, f"{ward.shard.root}:{key.format(**ward.names)}") for kind, key in wanted)
    assert set(await ward.problems(repair=True)) <= set(found)  # What mends one may mend another.
    assert await ward.problems() == []
    lost = {ward.names[name] for name in ("tagged", "held")} if "no spec" in name else set()
    assert set(jobs) - lost <= set(await ward.jobs())
    await ward.run_all(clock)
    assert set((await ward.jobs()).values()) == {"succeeded", "dead", "cancelled"}
    assert await ward.problems() == []


async def test_what_is_whole_is_left_alone(ward):
    before = await ward.shard.dump()

    assert await ward.problems(repair=True) == []

    assert await ward.shard.dump() == before


@pytest.mark.parametrize(
    "key", ["{root}:surprise:x", "{root}", "{prefix}:surprise", "{prefix}:{{9}}:job:x", "{root}:jöb:"]
)
async def test_what_no_script_would_look_at_is_told_and_left(ward, key):
    key = key.format(root=ward.shard.root, prefix=ward.shard.store.connection.prefix)
    await ward.shard.call("SET", key, "x")

    (found,) = await ward.shard.problems(repair=True)

    assert (found.kind, found.key, found.status) == ("unknown_key", key, "open")
    assert await ward.shard.call("GET", key) == b"x"


@pytest.mark.parametrize(
    ("key", "unreadable"),
    [
        ("job:{plain}", ["job:{plain}", "waiting:default"]),
        ("attempts:{failed}", ["attempts:{failed}"]),
        ("waiting:shop#a", ["job:{keyed}", "lanes:shop", "waiting:shop#a"]),
        ("lane:shop#b", ["lane:shop#b"]),
        ("schedule:{tickless}", ["schedule:{tickless}"]),
    ],
)
async def test_what_is_of_another_type_is_told_and_hides_nothing_else(ward, key, unreadable):
    root, names = ward.shard.root, ward.names
    await ward.shard.call("DEL", f"{root}:{key.format(**names)}")
    await ward.shard.call("SET", f"{root}:{key.format(**names)}", "x")
    await ward.do("ZREM {root}:purges dead:default;DEL {root}:tag:x")

    found = await ward.problems(repair=True)

    assert sorted(where for kind, where in found if kind == "unreadable") == [
        f"{root}:{k.format(**names)}" for k in unreadable
    ]
    assert ("wheel_late", f"{root}:purges") in found
    assert ("job_not_in_index", f"{root}:job:{names['tagged']}") in found


async def test_a_key_that_is_no_text_is_told(ward):
    await ward.shard.call("SET", ward.shard.root.encode() + b":tag:\xff", "x")

    (found,) = await ward.shard.problems()

    assert (found.kind, found.key) == ("unknown_key", f"{ward.shard.root}:tag:\\xff")


async def test_a_job_whose_spec_cannot_be_read_is_made_to_wait_where_its_lane_is(ward):
    await ward.do("HSET {root}:job:{plain} spec x;HDEL {root}:job:{plain} state")

    assert await ward.problems(repair=True) == [("job_incomplete", f"{ward.shard.root}:job:{ward.names['plain']}")]

    assert await ward.problems() == []
    assert (await ward.jobs())[ward.names["plain"]] == "waiting"


async def test_a_job_that_lost_its_state_still_waits_for_its_time(ward, clock):
    await ward.do("HDEL {root}:job:{later} state")
    await ward.problems(repair=True)
    later = ward.names["later"]

    assert int((await ward.shard.job(later))["run_at"]) == ward.shard.start + HOUR
    await clock.set(ward.shard.start + HOUR - 1)
    assert later not in [attempt.job_id for attempt in (await ward.shard.claim(99)).attempts]
    await clock.set(ward.shard.start + HOUR)
    assert later in [attempt.job_id for attempt in (await ward.shard.claim(99)).attempts]


async def test_a_job_that_ran_and_lost_its_state_is_due_at_once(ward):
    await ward.do("HDEL {root}:job:{held} state")
    await ward.problems(repair=True)

    assert ward.names["held"] in [attempt.job_id for attempt in (await ward.shard.claim(99)).attempts]


async def test_a_job_of_which_nobody_knows_where_it_belongs_is_told_and_kept(ward):
    await ward.do("HSET {root}:job:{plain} spec x;HDEL {root}:job:{plain} lane")

    (found,) = await ward.shard.problems(repair=True)

    assert (found.kind, found.status) == ("job_incomplete", "open")
    assert "cannot be read" in found.detail
    assert ward.names["plain"] in await ward.jobs()


async def test_a_batch_that_has_lost_count_is_told(ward):
    await ward.do("HSET {root}:batch:{batch} dead 5")

    (found,) = await ward.shard.problems(repair=True)

    assert (found.kind, found.status) == ("wrong_count", "open")


async def test_a_lease_that_was_lost_leaves_its_holder_the_time_to_renew_it(ward, clock):
    await ward.do("DEL {root}:running:shop {root}:deadlines")
    await ward.problems(repair=True)
    dump = await ward.shard.dump()
    assert dump["running:shop"][ward.names["held"]] == clock.now + 10_000
    assert dump["running:shop"][ward.names["detached"]] == clock.now + ward.shard.timeout_ms
    assert dump["deadlines"]["shop"] == clock.now + 10_000


async def test_a_schedule_that_lost_its_tick_goes_on_with_the_one_after_its_last(ward):
    await ward.do("HSET {root}:schedule:{tickless} last_at 1799996400000;ZREM {root}:schedules {tickless}")

    await ward.problems(repair=True)

    assert (await ward.shard.store.schedules.read(TICKLESS)).next_at == ward.shard.start


async def test_a_run_that_waited_for_one_that_is_lost_begins(ward):
    held = f"{TICKLESS}:9"
    await ward.do(
        f"ZADD {{root}}:live:{{tickless}} 1 {{unknown}};HSET {{root}}:held:{{tickless}} id {held} lane default"
    )
    spec = msgspec.json.encode(ward.shard.spec(schedule_id=TICKLESS))
    key = f"{ward.shard.root}:held:{TICKLESS}"
    told = {"id": held, "lane": "default", "timeout_ms": 1000, "traits": f"schedule {TICKLESS}", "spec": spec}
    await ward.shard.call("HSET", key, *(word for pair in told.items() for word in pair))

    assert await ward.problems(repair=True) == [("entry_without_job", f"{ward.shard.root}:live:{TICKLESS}")]

    assert (await ward.jobs())[held] == "waiting"
    assert await ward.problems() == []


async def name(shard, schedule_id, name):
    """A schedule that has its name, as PUT /schedule/<name> makes it."""
    schedules = shard.store.schedules
    schedule = Schedule(Rule(every_ms=HOUR, anchor_at=shard.start), shard.spec(), name=name)
    await schedules.put(StoredSchedule(schedule_id, schedule, 0, None, version=0, is_paused=True))
    await schedules.rename(name, "", schedule_id)
    await schedules.put(StoredSchedule(schedule_id, schedule, 0, shard.start + HOUR, version=1))


async def test_a_schedule_gets_its_name_back(ward):
    await name(ward.shard, UNKNOWN, "nightly")
    assert await ward.problems() == []
    await ward.do("HDEL {root}:schedule_names nightly")

    found = await ward.problems(repair=True)

    assert found == [("schedule_without_name", f"{ward.shard.root}:schedule:{UNKNOWN}")]
    assert await ward.shard.store.schedules.find("nightly") == UNKNOWN
    assert await ward.problems() == []


async def test_two_schedules_of_one_name_are_told(ward):
    await name(ward.shard, UNKNOWN, "nightly")
    await ward.do("HSET {root}:schedule_names nightly {tickless}")

    (found,) = await ward.shard.problems(repair=True)

    assert (found.kind, found.status) == ("name_taken", "open")


async def test_a_schedule_that_has_not_got_its_name_yet_is_none_without_a_name(ward):
    schedule = Schedule(Rule(every_ms=HOUR, anchor_at=1), ward.shard.spec(), name="nightly")
    await ward.shard.store.schedules.put(StoredSchedule(UNKNOWN, schedule, 0, None, version=0, is_paused=True))

    assert await ward.problems() == []


async def test_a_wheel_is_not_late_for_what_is_put_off_or_may_not_run(shard, clock):
    """Circuits, pauses, blocks, debts and full queues, each looked at as time passes."""
    rate = Rate(1, 1000, 2)
    await shard.configure("shop", rate=rate, per_key=KeyLimits(1, rate), circuit=Circuit(1, 20_000))
    for key in ("a", "b", None):
        await shard.add(3, "shop", key=key, cost=2)
        await shard.add(2, "shop", key=key, priority=0, delay_ms=7000)
    endings = [shard.retry, shard.throttle, shard.succeed, shard.snooze]
    for step in range(40):
        for attempt in (await shard.claim(3)).attempts:
            await shard.end(attempt, endings[step % 4])
            assert await shard.problems() == []
        if step % 9 == 3:
            paused = step % 2 == 1
            await shard.store.queues.change_key("shop", "a", "pause" if paused else "resume")
            await shard.store.queues.configure("shop", QueueSettings(rate=rate, paused=paused, concurrency=1))
        await clock.advance([1, 700, 1300, 5000][step % 4])
        assert await shard.problems() == []


async def test_an_index_of_thousands_is_walked_in_small_steps(real_shard):
    for _ in range(30):
        await real_shard.enqueue([real_shard.new_job(tags=("night",)) for _ in range(100)])
    steps = []
    run = real_shard.store.connection.run

    async def watched(script, root, rows=(), /, **values):
        reply = await run(script, root, rows, **values)
        steps.append((len(rows), reply[3] if script == "check_indexes" else 0))
        return reply

    real_shard.store.connection.run = watched
    assert await real_shard.problems() == []
    assert sum(members for _, members in steps) >= 6000
    assert max(rows for rows, _ in steps) == 50
    assert max(members for _, members in steps) < 200


async def test_a_job_that_is_to_be_erased_when_others_know_of_its_end_is_whole(shard):
    attempt = await shard.run_one(batch_id=BATCH, tags=("x",))
    await shard.end(attempt, shard.succeed)
    await shard.delete(attempt.job_id)
    assert (await shard.job(attempt.job_id))["is_erased"] == "1"
    assert await shard.problems() == []

    shard.is_broken = True
    await shard.call("DEL", f"{shard.root}:outbox")
    assert [found.kind for found in await shard.problems(repair=True)] == ["job_not_in_index"]
    assert await shard.problems() == []
    (outgoing,) = await shard.store.batches.outgoing(0)
    assert outgoing.entry == attempt.job_id


@pytest.mark.parametrize("seed", range(int(os.environ.get("DOCTOR_SEEDS", "5"))))
async def test_whatever_is_lost_together_is_mended_at_once(ward, clock, seed):
    """Keys, members and fields. What nobody could know without it stays: specs, and of which jobs others are told."""
    chance = random.Random(seed)
    call, root = ward.shard.call, ward.shard.root
    for key, content in (await ward.shard.dump()).items():
        kind, _, _ = key.partition(":")
        if kind == "job":
            for field in set(content) - {"spec", "notify"}:
                if chance.random() < 0.05:
                    await call("HDEL", f"{root}:{key}", field)
            if chance.random() < 0.05:
                await call("DEL", f"{root}:{key}")
        elif kind in {"queue", "batch"} or chance.random() < 0.6:
            continue
        elif chance.random() < 0.3 or not isinstance(content, dict):
            await call("DEL", f"{root}:{key}")
        elif isinstance(content[member := chance.choice(sorted(content))], str):
            await call("HDEL", f"{root}:{key}", member)
        elif chance.random() < 0.5:
            await call("ZREM", f"{root}:{key}", member)
        else:
            await call("ZADD", f"{root}:{key}", clock.now + chance.choice([-50, 50_000_000]), member)
    jobs = await ward.jobs()

    await ward.problems(repair=True)

    assert await ward.problems() == []
    assert set(await ward.jobs()) == set(jobs)
    await ward.run_all(clock)
    assert set((await ward.jobs()).values()) <= {"succeeded", "dead", "cancelled"}
    assert await ward.problems() == []
