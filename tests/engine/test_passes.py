"""One bounded pass does all that the loops of a replica would do, in a replica whose loops do not run."""

import asyncio

import httpx
import msgspec
import pytest

from coordinator.calling.caller import Caller
from coordinator.domain.job import Spec
from coordinator.domain.queue import QueueSettings, Retention
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule
from coordinator.engine.replica import Replica
from coordinator.settings import Settings
from coordinator.store.open import IN_PROCESS_URL, open_store
from tests.conftest import START, Clock

HOUR = 3_600_000


class Asleep:
    """A replica of which only the dispatcher runs, and a function that answers what it is told."""

    def __init__(self):
        self.store = open_store(IN_PROCESS_URL, shards=2, test_clock=True)
        self.clock = Clock(self.store)
        self.calls, self.answers = [], []
        settings = Settings(worker_url="http://function/", shards=2, shutdown_grace_ms=0)
        self.replica = Replica(self.store, Caller(httpx.MockTransport(self._answer)), settings)
        self.dispatching = asyncio.create_task(self.replica._dispatcher.run())

    async def _answer(self, request):
        self.calls.append(msgspec.json.decode(request.content)["worker"])
        return httpx.Response(200, json=self.answers.pop(0) if self.answers else {"status": "success"})

    async def add(self, worker="work", **named):
        """A job that nobody was told of."""
        job = self.replica.intake.new_job(
            Spec(worker, msgspec.Raw(b"{}"), **named), run_at=0, delay_ms=0, idempotency=None
        )
        await self.store.jobs.enqueue(self.store.jobs.shard_of(job.id), [job])
        return job.id

    async def make(self):
        return await self.replica.passes.make(10)

    async def state(self, job_id):
        return (await self.store.jobs.read(job_id)).state


@pytest.fixture
async def asleep():
    made = Asleep()
    await made.clock.set(START)
    await made.replica.receipt_tokens.agree()
    yield made
    made.replica._dispatcher.stop_claiming()
    await made.dispatching
    await made.store.close()


async def test_what_becomes_due_by_it_is_done_too(asleep):
    asleep.answers = [{"status": "failure"}]
    await asleep.add(retry=(0,), on_success=Spec("after", msgspec.Raw(b"{}"), "another"))

    passed = await asleep.make()

    assert asleep.calls == ["work", "work", "after"]
    assert (passed.called, passed.in_flight) == (3, 0)


async def test_ticks_that_were_missed_are_made_up_for(asleep):
    for queue in ("a", "b", "c"):
        await asleep.replica.schedules.create(Schedule(Rule(every_ms=HOUR), Spec("tick", msgspec.Raw(b"{}"), queue)))
    await asleep.clock.advance(HOUR)

    passed = await asleep.make()

    assert (passed.ticked, asleep.calls) == (3, ["tick"] * 3)
    # It may be too early, as the wheels may: a lease that has been given back still stands there.
    assert START + HOUR < passed.next_due_at <= START + 2 * HOUR


async def test_attempts_that_nobody_else_ends_are_ended_and_made_again(asleep):
    job_id = await asleep.add()
    shard = asleep.store.jobs.shard_of(job_id)
    await asleep.store.jobs.claim(shard, holder="gone", request="n", limit=1, lease_ms=1)
    await asleep.clock.advance(1)

    passed = await asleep.make()

    assert (passed.ended, passed.called, await asleep.state(job_id)) == (1, 1, "succeeded")


async def test_what_is_old_is_erased_and_what_is_late_is_given_up(asleep):
    await asleep.store.queues.configure("default", QueueSettings(retention={"succeeded": Retention(HOUR, 10)}))
    await asleep.store.queues.configure("still", QueueSettings(paused=True))
    await asleep.add()
    late = await asleep.add(queue="still", expires_ms=HOUR)
    assert (await asleep.make()).called == 1
    await asleep.clock.advance(HOUR)

    passed = await asleep.make()

    assert (passed.purged, passed.expired, await asleep.state(late)) == (1, 1, "cancelled")


async def test_it_ends_although_what_is_due_may_not_run(asleep):
    await asleep.store.queues.configure("still", QueueSettings(paused=True))
    await asleep.add(queue="still")

    passed = await asleep.make()

    assert (passed.called, passed.next_due_at) == (0, None)
