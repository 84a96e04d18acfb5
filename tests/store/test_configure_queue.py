"""`configure_queue` and `read_queues`: limits are set, kept, and take effect at once."""

import pytest

from coordinator.domain.queue import QueueSettings, Rate, Retention

EVERYTHING = QueueSettings(
    concurrency=7,
    max_waiting=9,
    rate=Rate(2, 1000, 40),
    paused=True,
    retention={
        "succeeded": Retention(1000, 10),
        "dead": Retention(2000, 0),
        "cancelled": Retention(3000, 30),
    },
)


@pytest.mark.parametrize(
    "settings",
    [
        QueueSettings(paused=False),
        QueueSettings(paused=False, concurrency=1),
        QueueSettings(paused=False, max_waiting=1),
        QueueSettings(paused=False, rate=Rate(1, 60_000, 1)),
        QueueSettings(paused=True),
        QueueSettings(paused=False, retention={"dead": Retention(0, 0)}),
        EVERYTHING,
    ],
)
async def test_what_is_set_is_read(shard, settings):
    await shard.store.queues.configure("shop", EVERYTHING)
    await shard.store.queues.configure("shop", settings)

    view = await shard.store.queues.read("shop")

    assert (view.name, view.settings) == ("shop", settings)


async def test_settings_that_are_taken_away_leave_nothing(shard):
    await shard.store.queues.configure("shop", EVERYTHING)

    await shard.store.queues.configure("shop", QueueSettings(paused=False))

    assert await shard.dump() == {"known_queues": ["shop"]}


@pytest.mark.parametrize("paused", [True, False])
async def test_settings_that_leave_the_pause_open_leave_it_as_it_is(shard, paused):
    await shard.configure("shop", paused=paused)

    await shard.store.queues.configure("shop", QueueSettings(concurrency=3))

    assert (await shard.store.queues.read("shop")).settings == QueueSettings(paused=paused, concurrency=3)


async def test_a_queue_nobody_heard_of_is_empty_and_without_limits(shard, clock):
    view = await shard.store.queues.read("shop")

    assert (view.settings, view.oldest_due_at, view.now) == (QueueSettings(paused=False), None, clock.now)
    assert set(view.counts.values()) == {0}
    assert await shard.dump() == {}


async def test_the_names_of_all_shards_are_told_in_order(shard):
    for queue in ("shop", "alpha", "default", "mail"):
        await shard.store.queues.configure(queue, QueueSettings())
    await shard.add(queue="busy")

    assert await shard.store.queues.names() == ["alpha", "busy", "default", "mail", "shop"]


async def test_it_counts_by_state(shard, clock):
    await shard.add(2)
    await shard.add(3, delay_ms=60_000)
    await clock.advance(10)
    attempts = []
    for ending in (shard.retry, shard.succeed, shard.die, shard.cancel, None, None):
        await shard.add(run_at=shard.start - 1)
        attempts.append(await shard.claim_one())
        if ending:
            await shard.end(attempts[-1], ending)

    view = await shard.store.queues.read("default")

    assert view.counts == {
        "queued": 2,
        "scheduled": 3,
        "retrying": 1,
        "running": 2,
        "succeeded": 1,
        "dead": 1,
        "cancelled": 1,
    }
    assert (view.oldest_due_at, view.now) == (clock.now, clock.now)
    await clock.advance(5000)
    assert (await shard.store.queues.read("default")).counts | {"queued": 3, "retrying": 0} == view.counts | {
        "queued": 3,
        "retrying": 0,
    }


async def test_to_pause_takes_the_queue_out_and_to_resume_offers_it(shard, clock):
    await shard.add(2)

    assert await shard.configure(paused=True) is None
    assert "queues" not in await shard.dump()
    assert (await shard.jobs.poll(0))[0] is None

    assert await shard.configure() == 0
    assert (await shard.dump())["queues"] == {"default": clock.now}


async def test_a_paused_queue_stays_out_whatever_happens_in_it(shard, clock):
    await shard.add(3)
    first, second, third = (await shard.claim()).attempts
    await shard.add(1)
    await shard.configure(paused=True)

    await shard.end(first, shard.retry)
    await shard.end(second, shard.succeed)
    await shard.jobs.release(0, [third])
    await shard.add(1)
    await clock.advance(60_000)

    assert "queues" not in await shard.dump()
    assert (await shard.claim()).attempts == []
    assert await shard.configure() == 0
    assert len((await shard.claim()).attempts) == 4


async def test_a_later_job_is_told_when_the_queue_resumes(shard):
    await shard.configure(paused=True)
    await shard.add(delay_ms=4000)

    assert await shard.configure() == 4000


async def test_more_concurrency_takes_effect_at_once(shard):
    await shard.configure(concurrency=1)
    await shard.add(4)
    await shard.claim()

    assert await shard.configure(concurrency=1) is None
    assert await shard.configure(concurrency=3) == 0

    assert len((await shard.claim()).attempts) == 2


async def test_what_runs_is_left_alone(shard, clock):
    attempt = await shard.run_one()
    before = (await shard.dump())[f"job:{attempt.job_id}"]

    await shard.configure(concurrency=1, paused=True, rate=shard.rate(1, 1000, 1))

    dump = await shard.dump()
    assert dump[f"job:{attempt.job_id}"] == before
    assert dump["running:default"] == {attempt.job_id: clock.now + shard.lease_ms}
    assert await shard.end(attempt, shard.succeed) == ("ok", "succeeded")


async def test_a_new_rate_begins_with_a_full_bucket(shard, clock):
    await shard.configure(rate=shard.rate(2, 1000, 5))

    assert (await shard.dump())["queue:default"] == {
        "rate_limit": "2",
        "rate_period_ms": "1000",
        "rate_burst": "5",
        "tokens": "5.000000000",
        "refilled_at": str(clock.now),
    }


async def test_a_smaller_burst_is_a_smaller_bucket(shard):
    await shard.configure(rate=shard.rate(2, 1000, 50))
    await shard.configure(rate=shard.rate(2, 1000, 5))

    assert (await shard.dump())["queue:default"]["tokens"] == "5.000000000"


async def test_two_queues_do_not_share_their_limits(shard):
    await shard.configure("shop", concurrency=1)
    await shard.configure("busy", paused=True)
    for queue in ("shop", "busy", "default"):
        await shard.add(3, queue)

    queues = sorted(attempt.spec.queue for attempt in (await shard.claim()).attempts)

    assert queues == ["default"] * 3 + ["shop"]
