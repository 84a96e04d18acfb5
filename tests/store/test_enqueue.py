"""`enqueue_jobs`: accepted once, in its lane, and the wheels no later than that."""

import pytest

ARGS = b'{"a":[],"n":12345678901234567890,"s":"\\u00e9"}'


async def test_it_keeps_a_job_that_is_due(shard, clock):
    job = shard.new_job(args=ARGS)

    assert await shard.enqueue([job]) == (clock.now, 0)

    spec = '{"worker":"resize","args":' + ARGS.decode() + ',"timeoutMs":60000}'
    assert await shard.dump() == {
        f"job:{job.id}": {
            "state": "waiting",
            "lane": "default",
            "attempt": "0",
            "worker": "resize",
            "run_at": str(clock.now),
            "created_at": str(clock.now),
            "timeout_ms": "60000",
            "spec": spec,
        },
        "known_queues": ["default"],
        "lanes:default": {"default": clock.now},
        "queues": {"default": clock.now},
        "waiting:default": {job.id: clock.now},
    }


@pytest.mark.parametrize(
    ("asked", "due_in"),
    [
        ({}, 0),
        ({"delay_ms": 2500}, 2500),
        ({"run_at": 4000}, 4000),
        ({"run_at": -4000}, 0),
        ({"delay_ms": 2500, "run_at": 4000}, 4000),
        ({"delay_ms": 2500, "run_at": 1000}, 2500),
    ],
)
async def test_the_later_of_delay_and_instant_counts_and_the_past_is_now(shard, clock, asked, due_in):
    if "run_at" in asked:
        asked = asked | {"run_at": clock.now + asked["run_at"]}
    job = shard.new_job(**asked)

    assert await shard.enqueue([job]) == (clock.now, due_in)

    dump = await shard.dump()
    assert dump[f"job:{job.id}"]["run_at"] == str(clock.now + due_in)
    assert dump["waiting:default"] == {job.id: clock.now + due_in}
    assert dump["lanes:default"] == dump["queues"] == {"default": clock.now + due_in}


async def test_a_batch_tells_the_soonest_of_its_queues(shard, clock):
    jobs = [
        shard.new_job("shop", delay_ms=9000),
        shard.new_job("busy", delay_ms=3000),
        shard.new_job("busy", delay_ms=5000),
    ]

    assert await shard.enqueue(jobs) == (clock.now, 3000)

    dump = await shard.dump()
    assert dump["queues"] == {"busy": clock.now + 3000, "shop": clock.now + 9000}
    assert dump["lanes:busy"] == {"busy": clock.now + 3000}
    assert dump["waiting:busy"] == {jobs[1].id: clock.now + 3000, jobs[2].id: clock.now + 5000}


async def test_it_tells_nothing_when_something_is_due_sooner(shard, clock):
    await shard.add(delay_ms=1000)

    assert await shard.enqueue([shard.new_job(delay_ms=1000)]) == (clock.now, None)
    assert await shard.enqueue([shard.new_job(delay_ms=999)]) == (clock.now, 999)


@pytest.mark.parametrize("state", ["waiting", "running", "succeeded", "dead", "cancelled"])
async def test_a_job_that_exists_is_left_as_it_is(shard, state):
    job = shard.new_job()
    await shard.enqueue([job])
    if state != "waiting":
        attempt = await shard.claim_one()
        ending = {"succeeded": shard.succeed, "dead": shard.die, "cancelled": shard.cancel}.get(state)
        if ending:
            await shard.end(attempt, ending)
    before = await shard.dump()

    _, due_in_ms = await shard.enqueue([job])

    assert (await shard.dump(), due_in_ms) == (before, None)


async def test_of_one_id_twice_in_a_batch_the_first_counts(shard):
    job = shard.new_job(delay_ms=1000)

    await shard.enqueue([job, type(job)(job.id, shard.spec("shop"))])

    assert (await shard.job(job.id))["lane"] == "default"
    assert "waiting:shop" not in await shard.dump()


async def test_it_wakes_nobody_for_a_paused_queue(shard, clock):
    await shard.configure(paused=True)

    assert await shard.enqueue([shard.new_job()]) == (clock.now, None)

    assert "queues" not in await shard.dump()


async def test_it_wakes_nobody_for_a_full_queue(shard, clock):
    await shard.configure(concurrency=1)
    await shard.run_one()

    assert await shard.enqueue([shard.new_job()]) == (clock.now, None)

    assert "queues" not in await shard.dump()


async def test_it_wakes_for_the_next_token_of_a_throttled_queue(shard, clock):
    await shard.configure(rate=shard.rate(1, 1000, 1))
    await shard.run_one()
    await clock.advance(400)

    assert await shard.enqueue([shard.new_job()]) == (clock.now, 600)

    assert (await shard.dump())["queues"] == {"default": clock.now + 600}


async def test_a_lane_that_fills_up_again_joins_behind_those_that_wait(shard, clock):
    await shard.add()
    await shard.claim()
    await shard.add_to_lane("default#waits", delay_ms=10)
    await clock.advance(20)
    late = await shard.add(run_at=clock.now - 5000)

    claim = await shard.claim(1)

    assert [attempt.job_id for attempt in claim.attempts] != late
    assert (await shard.dump())["lanes:default"] == {"default": clock.now}


async def test_a_full_batch_is_accepted(shard):
    assert len(await shard.add(100)) == 100

    assert len((await shard.dump())["waiting:default"]) == 100
