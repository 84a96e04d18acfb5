"""What happens is told while somebody watches: each step of a job, of a schedule, of a queue; and nothing otherwise."""

import msgspec
import pytest

from coordinator.domain.event import Chosen, read_places, read_types, write_places
from coordinator.domain.job import Spec
from coordinator.domain.outcome import Beat
from coordinator.domain.queue import Circuit
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule
from coordinator.errors import Invalid
from coordinator.store.events import READ_LIMIT, EventStore
from coordinator.store.schedules import StoredSchedule

BATCH = "batch-1"


class Watcher:
    """Watches shard 0."""

    def __init__(self, shard):
        self.shard = shard
        self.events = EventStore(shard.store.connection)
        self.place = ""

    async def happened(self):
        """What has happened since the last time, as callers see it, without what is null."""
        happened = await self.events.read(0, self.place)
        assert not happened.missed
        self.place = happened.place
        told = [msgspec.json.decode(event.encoded) for _, event in happened.events]
        return [{name: value for name, value in event.items() if value is not None} for event in told]

    async def told(self):
        """The types, and what is told beside who it is."""
        known = {"at", "jobId", "queue", "worker", "attempt"}
        return [{name: value for name, value in event.items() if name not in known} for event in await self.happened()]


@pytest.fixture
async def watcher(shard):
    watching = Watcher(shard)
    assert await watching.happened() == []
    return watching


async def test_a_job_is_told_of_from_its_making_to_its_end(shard, watcher, clock):
    job_id = await shard.add_one("shop", key="a", batch_id=BATCH, tags=("x",))
    await clock.advance(5)
    await shard.end(await shard.claim_one(), shard.succeed)

    common = {"jobId": job_id, "queue": "shop", "key": "a", "worker": "resize", "batchId": BATCH}
    assert await watcher.happened() == [
        common | {"type": "job.created", "at": "2027-01-15T08:00:00.000Z", "attempt": 0, "state": "queued"},
        common | {"type": "job.started", "at": "2027-01-15T08:00:00.005Z", "attempt": 1, "state": "running"},
        common
        | {"type": "job.succeeded", "at": "2027-01-15T08:00:00.005Z", "attempt": 1, "state": "succeeded"}
        | {"outcome": "success"},
    ]
    assert await watcher.happened() == []


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("retry", {"type": "job.retrying", "state": "retrying", "outcome": "failure", "nextAttemptAt": 5000}),
        ("snooze", {"type": "job.retrying", "state": "scheduled", "outcome": "snoozed", "nextAttemptAt": 7000}),
        ("throttle", {"type": "job.retrying", "state": "scheduled", "outcome": "throttled", "nextAttemptAt": 7000}),
        ("lost", {"type": "job.retrying", "state": "queued", "outcome": "lost", "nextAttemptAt": 0}),
        ("die", {"type": "job.dead", "state": "dead", "outcome": "failure", "reason": "attempts_exhausted"}),
        ("cancel", {"type": "job.cancelled", "state": "cancelled", "outcome": "cancelled", "reason": "worker"}),
    ],
)
async def test_each_end_of_an_attempt_is_told_as_what_it_is(shard, watcher, ending, told):
    attempt = await shard.run_one()
    await watcher.happened()
    await shard.end(attempt, getattr(shard, ending))

    (event,) = await watcher.told()
    if "nextAttemptAt" in told:
        told = told | {"nextAttemptAt": f"2027-01-15T08:00:0{told['nextAttemptAt'] // 1000}.000Z"}
    assert event == told


async def test_what_people_do_to_jobs_is_told(shard, watcher):
    waits, dies, later = await shard.add_one(delay_ms=9), await shard.add_one(), await shard.add_one(delay_ms=9000)
    await shard.end(await shard.claim_one(), shard.die)
    await watcher.happened()
    job = await shard.jobs.read(later)
    await shard.jobs.edit(job, job.spec, run_at=None, delay_ms=5000)
    for verb, job_id in (("cancel", waits), ("retry", dies), ("run", later), ("run", later), ("delete", waits)):
        await shard.change(verb, job_id)
    await shard.change("cancel", dies)
    job = await shard.jobs.read(dies)
    await shard.jobs.replay(job, job.spec)

    assert await watcher.told() == [
        {"type": "job.changed", "state": "scheduled"},
        {"type": "job.cancelled", "state": "cancelled", "reason": "user"},
        {"type": "job.queued", "state": "queued", "cause": "replayed"},
        {"type": "job.queued", "state": "queued", "cause": "run"},
        {"type": "job.deleted"},
        {"type": "job.cancelled", "state": "cancelled", "reason": "user"},
        {"type": "job.queued", "state": "queued", "cause": "replayed"},
        {"type": "job.changed", "state": "queued"},
    ]


async def test_a_release_a_heartbeat_and_an_expiry_are_told(shard, watcher, clock):
    attempt = await shard.run_one()
    await shard.jobs.beat(attempt.job_id, 1, attempt.nonce, Beat(progress=40, message="half of it"))
    await shard.jobs.beat(attempt.job_id, 1, attempt.nonce, Beat())
    await shard.jobs.release(0, [attempt])
    await shard.add(1, "b", expires_ms=10)
    await clock.advance(10)
    await shard.jobs.expire(0)

    assert (await watcher.told())[2:] == [
        {"type": "job.progress", "state": "running", "progress": 40.0, "message": "half of it"},
        {"type": "job.queued", "state": "queued", "cause": "released"},
        {"type": "job.created", "state": "queued"},
        {"type": "job.cancelled", "state": "cancelled", "reason": "expired"},
    ]


async def test_ticks_are_told_and_those_that_are_skipped(shard, watcher):
    schedule = Schedule(Rule(every_ms=60_000), Spec("report", msgspec.Raw(b"{}"), "shop"), overlap="skip")
    schedule_id = shard.new_id()
    await shard.store.schedules.put(StoredSchedule(schedule_id, schedule, 0, shard.start, version=0))
    for number in range(2):
        (due,) = (await shard.store.schedules.due(0)).schedules
        job = shard.new_job("shop", schedule_id=schedule_id)
        await shard.store.schedules.fire(due, schedule, [job], next_at=shard.start, missed=number)
    (due,) = (await shard.store.schedules.due(0)).schedules
    await shard.store.schedules.fire(due, schedule, [], next_at=shard.start, missed=3)

    told = [event for event in await watcher.happened() if event["type"] != "job.created"]
    same = {"at": "2027-01-15T08:00:00.000Z", "queue": "shop", "worker": "report", "scheduleId": schedule_id}
    assert told == [
        same | {"type": "schedule.ticked"},
        same | {"type": "schedule.skipped", "skipped": 2},
        same | {"type": "schedule.skipped", "skipped": 3},
    ]


async def test_queues_and_circuits_are_told(shard, watcher):
    await shard.configure(circuit=Circuit(1, 30_000))
    await shard.configure(circuit=Circuit(1, 30_000))
    attempt = await shard.run_one()
    await shard.end(attempt, shard.retry)
    await shard.end(attempt, shard.succeed)
    await shard.store.queues.pause("default", paused=True)
    await shard.store.queues.pause("default", paused=True)
    await shard.store.queues.pause("default", paused=False)
    await shard.store.queues.change_key("shop", "a", "pause")
    await shard.configure("b")
    await shard.store.queues.delete("b")

    told = [event for event in await watcher.happened() if not event["type"].startswith("job.")]
    assert [(event["type"], event["queue"], event.get("key")) for event in told] == [
        ("queue.changed", "default", None),
        ("circuit.opened", "default", None),
        ("circuit.closed", "default", None),
        ("queue.paused", "default", None),
        ("queue.changed", "default", None),  # What held its jobs without a key up is forgotten.
        ("queue.resumed", "default", None),
        ("queue.changed", "shop", "a"),
        ("queue.deleted", "b", None),
    ]
    assert told[1]["failures"] == 1


async def test_nothing_is_written_while_nobody_watches(shard):
    await shard.add(3)
    await shard.end(await shard.claim_one(), shard.succeed)
    await shard.configure(paused=True)

    assert "events" not in await shard.dump()


async def test_a_watch_ends_a_minute_after_the_last_look(shard, watcher):
    await shard.add(1)
    assert 30_000 < await shard.call("PTTL", f"{shard.root}:events") <= 60_000
    await shard.call("PEXPIRE", f"{shard.root}:events", 1000)
    await watcher.happened()
    assert await shard.call("PTTL", f"{shard.root}:events") > 30_000


async def test_a_repeated_call_is_told_once(shard, watcher):
    job = shard.new_job()
    for _ in range(2):
        await shard.enqueue([job])
        await shard.claim(1, request="same")

    assert [event["type"] for event in await watcher.told()] == ["job.created", "job.started"]


async def test_who_comes_too_late_is_told_that_some_were_missed(shard, watcher):
    events, place = watcher.events, watcher.place
    await shard.call("DEL", f"{shard.root}:events")
    await events.read(0)
    await shard.add(1)

    happened = await events.read(0, place)
    assert (happened.missed, happened.events) == (True, [])
    assert (await events.read(0, happened.place)).events == []


async def test_what_cannot_be_read_is_left_out_and_logged(shard, watcher, caplog):
    for words in (("at", "1"), ("type", "job.created", "at", "soon"), ("type", "x", b"\xff", "y")):
        await shard.call("XADD", f"{shard.root}:events", "*", *words)
    job_id = await shard.add_one()

    assert [event["jobId"] for event in await watcher.happened()] == [job_id]
    assert await watcher.happened() == []
    assert [record.event for record in caplog.records] == ["fault"] * 3


async def test_a_stream_does_not_grow_without_end(shard, watcher):
    for _ in range(50):
        await shard.add(100)

    assert await shard.call("XLEN", f"{shard.root}:events") < 5000
    assert (await watcher.events.read(0, watcher.place)).missed


async def test_much_is_read_in_steps(shard, watcher):
    ids = await shard.add(100)
    for _ in range(10):
        ids += await shard.add(100)

    assert len(first := await watcher.happened()) == READ_LIMIT
    assert [event["jobId"] for event in first + await watcher.happened()] == ids


def test_places_are_read_as_they_were_written():
    places = {0: "1800000000000-0", 3: "1800000000999-12", 1023: "0-0"}
    assert read_places(write_places(places)) == places
    assert read_places(write_places({})) == {}


@pytest.mark.parametrize(
    "text", ["", "x", "1_2", "1_0.2.0", "-1", "1_0.0.-1", "1_0.0.0_", "f" * 16, "1_0.0." + "f" * 16]
)
def test_places_that_are_none_are_not_read(text):
    assert read_places(text) is None


def test_types_are_chosen_whole_or_by_their_beginning():
    assert read_types("job., circuit.opened") == ("job.", "circuit.opened")
    assert read_types(None) == ()
    for wrong in ("jobs.", "job", "job.starte", "job.started."):
        with pytest.raises(Invalid):
            read_types(wrong)


async def test_only_what_was_chosen_is_taken(shard, watcher):
    job_id = await shard.add_one("shop", key="a")
    await shard.add(1)
    events = [event for _, event in (await watcher.events.read(0, watcher.place)).events]

    def taken(**chosen):
        return [event.queue for event in events if Chosen(**chosen).takes(event)]

    assert taken() == ["shop", "default"]
    assert taken(queue="shop") == taken(job_id=job_id) == ["shop"]
    assert taken(worker="other") == taken(schedule_id="other") == taken(types=("queue.",)) == []
    assert taken(types=("queue.", "job.created"), worker="resize") == ["shop", "default"]
