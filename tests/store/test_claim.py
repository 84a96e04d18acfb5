"""`claim_jobs`: what is due, in order, each with a lease, and the same again for the same request."""

from dataclasses import astuple

import pytest

from coordinator.domain.job import Attempt, Tally


def ids(claim):
    return [attempt.job_id for attempt in claim.attempts]


async def claim_bytes(shard, bytes_limit, *, limit=100, request="heavy"):
    _, claimed, due_in_ms = await shard.run(
        "claim_jobs",
        retention=shard.retention,
        holder="r1",
        request=request,
        limit=limit,
        bytes_limit=bytes_limit,
        lease_ms=shard.lease_ms,
        circuit_open_ms=30_000,
    )
    return [row[0].decode() for row in claimed], due_in_ms


async def test_it_starts_an_attempt(shard, clock):
    job = shard.new_job(timeout_ms=30_000)
    await shard.enqueue([job])
    await clock.advance(70)

    claim = await shard.claim(holder="r7", request="nonce")

    wanted = Attempt(job.id, "nonce", clock.now + 30_000, Tally(1), job.spec, waited_ms=70)
    assert ([astuple(attempt) for attempt in claim.attempts], claim.due_in_ms) == ([astuple(wanted)], None)
    dump = await shard.dump()
    spec = dump[f"job:{job.id}"].pop("spec")
    assert dump == {
        "claim:r7": f"nonce {job.id}",
        "deadlines": {"default": clock.now + shard.lease_ms},
        f"job:{job.id}": {
            "state": "running",
            "lane": "default",
            "attempt": "1",
            "nonce": "nonce",
            "holder": "r7",
            "worker": "resize",
            "run_at": str(shard.start),
            "created_at": str(shard.start),
            "started_at": str(clock.now),
            "deadline_at": str(clock.now + 30_000),
            "timeout_ms": "30000",
        },
        "known_queues": ["default"],
        "running:default": {job.id: clock.now + shard.lease_ms},
    }
    assert spec == '{"worker":"resize","args":{},"timeoutMs":30000}'


async def test_a_lease_is_no_longer_than_the_deadline(shard, clock):
    job_id = await shard.add_one(timeout_ms=3000)

    await shard.claim()

    dump = await shard.dump()
    assert dump["running:default"] == {job_id: clock.now + 3000}
    assert dump["deadlines"] == {"default": clock.now + 3000}


async def test_the_order_is_by_run_at(shard, clock):
    later = await shard.add_one(delay_ms=3000)
    first = await shard.add_one(delay_ms=1000)
    second = await shard.add_one(delay_ms=2000)
    await clock.advance(5000)
    last = await shard.add_one()

    assert ids(await shard.claim()) == [first, second, later, last]


async def test_what_is_not_due_stays(shard, clock):
    await shard.add(delay_ms=1)
    before = await shard.dump()

    claim = await shard.claim()

    assert (claim.attempts, claim.due_in_ms) == ([], 1)
    assert await shard.dump() == before
    await clock.advance(1)
    assert len((await shard.claim()).attempts) == 1


async def test_it_takes_no_more_than_the_limit(shard):
    added = await shard.add(5)

    first, second = await shard.claim(3), await shard.claim(3)

    assert (ids(first), first.due_in_ms) == (added[:3], 0)
    assert (ids(second), second.due_in_ms) == (added[3:], None)


async def test_a_batch_is_bounded_whatever_is_asked(shard):
    await shard.add(100)
    await shard.add(30)

    assert len((await shard.claim(1000)).attempts) == 100


async def test_it_takes_no_more_than_the_bytes(shard, clock):
    added = await shard.add(4, args=b'"' + b"x" * 400 + b'"')

    assert await claim_bytes(shard, 1000, request="a") == (added[:2], 0)
    await clock.advance(1)
    assert await claim_bytes(shard, 1000, request="b") == (added[2:], -1)


async def test_one_job_is_taken_whatever_its_size(shard):
    added = await shard.add(2, args=b'"' + b"x" * 4000 + b'"')

    assert await claim_bytes(shard, 1000) == (added[:1], 0)


@pytest.mark.parametrize("kind", ["queue", "lane"])
async def test_a_job_that_is_too_large_for_the_rest_of_a_claim_is_first_in_the_next(shard, clock, kind):
    busy, heavy = ("busy", "shop") if kind == "queue" else ("shop#a", "shop#b")
    await shard.add_to_lane(busy, 50)
    if kind == "queue":
        large = await shard.add_one(heavy, args=b'"' + b"x" * 900 + b'"')
    else:
        large = await shard.add_one("shop", args=b'"' + b"x" * 900 + b'"')
        await move_to_lane(shard, large, heavy)
    taken = []
    for request in ("a", "b"):
        await clock.advance(1)
        found, _ = await claim_bytes(shard, 1000, limit=20, request=request)
        taken += found

    assert large in taken


async def move_to_lane(shard, job_id, lane):
    """As if it had been enqueued with a key."""
    score = (await shard.dump())["waiting:shop"][job_id]
    await shard.call("ZREM", f"{shard.root}:waiting:shop", job_id)
    await shard.call("ZADD", f"{shard.root}:waiting:{lane}", score, job_id)
    await shard.call("ZADD", f"{shard.root}:lanes:shop", score, lane)
    await shard.call("ZREM", f"{shard.root}:lanes:shop", "shop")
    await shard.call("HSET", f"{shard.root}:job:{job_id}", "lane", lane)


async def test_a_retry_is_no_longer_listed_as_retrying_once_it_runs(shard, clock):
    attempt = await shard.run_one()
    await shard.end(attempt, shard.retry)
    assert (await shard.dump())["retrying:default"] == {attempt.job_id: clock.now + 5000}
    await clock.advance(5000)

    again = await shard.claim_one()

    assert again.tally == Tally(2)
    dump = await shard.dump()
    assert "retrying:default" not in dump
    assert "outcome" not in dump[f"job:{attempt.job_id}"]


async def test_it_tells_what_the_job_has_been_through(shard, clock):
    attempt = await shard.run_one()
    for settlement in (shard.snooze, shard.throttle, shard.throttle, shard.lost):
        await shard.end(attempt, settlement)
        await clock.advance(7000)
        attempt = await shard.claim_one()

    assert attempt.tally == Tally(2, lost=1, snoozes=1, throttles=2)


async def test_an_entry_without_a_job_is_dropped(shard, clock):
    lost, kept = await shard.add(2)
    await shard.call("DEL", f"{shard.root}:job:{lost}")

    assert ids(await shard.claim()) == [kept]

    assert "waiting:default" not in await shard.dump()


async def test_a_paused_queue_gives_nothing(shard):
    await shard.add(3)
    await shard.configure(paused=True)

    claim = await shard.claim()

    assert (claim.attempts, claim.due_in_ms) == ([], None)


async def test_a_wheel_that_is_too_early_lets_nothing_through(shard, clock):
    """An entry of the wheel is a hint; the limits are looked at in the claim."""
    await shard.add(3, "shop")
    await shard.configure("shop", paused=True)
    await shard.configure("busy", concurrency=1)
    await shard.configure("default", rate=shard.rate(1, 60_000, 1))
    for queue in ("busy", "default"):
        await shard.run_one(queue)
        await shard.add(2, queue)
    for queue in ("shop", "busy", "default", "b"):
        await shard.call("ZADD", f"{shard.root}:queues", clock.now - 1, queue)

    claim = await shard.claim()

    assert (claim.attempts, claim.due_in_ms) == ([], 60_000)
    assert (await shard.dump())["queues"] == {"default": clock.now + 60_000}


async def test_no_more_run_than_the_concurrency(shard):
    added = await shard.add(5)
    await shard.configure(concurrency=2)

    first = await shard.claim()
    assert (ids(first), first.due_in_ms) == (added[:2], None)

    await shard.end(first.attempts[1], shard.succeed)
    second = await shard.claim()
    assert (ids(second), second.due_in_ms) == (added[2:3], None)


async def test_a_lowered_concurrency_waits_for_the_running(shard):
    await shard.add(6)
    running = (await shard.claim(3)).attempts
    await shard.configure(concurrency=1)

    for attempt in running[:2]:
        await shard.end(attempt, shard.succeed)
        assert (await shard.claim()).attempts == []
    await shard.end(running[2], shard.succeed)

    assert len((await shard.claim()).attempts) == 1


async def test_detached_attempts_count_as_running(shard):
    await shard.configure(concurrency=1)
    attempt = await shard.run_one()
    await shard.jobs.detach(0, [attempt])
    await shard.add()

    assert (await shard.claim()).attempts == []


async def test_the_same_request_gets_the_same_jobs(shard, clock):
    await shard.add(5)
    first = await shard.claim(3, request="same")
    before = await shard.dump()
    await clock.advance(40)

    assert astuple(await shard.claim(3, request="same")) == astuple(first)

    assert await shard.dump() == before


async def test_the_same_request_gets_what_is_left_of_its_jobs(shard):
    await shard.add(4)
    settled, released, kept, stolen = (await shard.claim(request="same")).attempts
    await shard.end(settled, shard.succeed)
    await shard.jobs.release(0, [released])
    await shard.end(stolen, shard.lost)
    await shard.claim(holder="r2")

    assert [astuple(attempt) for attempt in (await shard.claim(request="same")).attempts] == [astuple(kept)]


async def test_requests_of_two_replicas_do_not_meet(shard):
    await shard.add(4)
    first = await shard.claim(1, holder="r1", request="a")
    second = await shard.claim(1, holder="r2", request="a-longer")

    assert astuple(await shard.claim(1, holder="r1", request="a")) == astuple(first)
    assert astuple(await shard.claim(1, holder="r2", request="a-longer")) == astuple(second)
    assert ids(await shard.claim(1, holder="r2", request="a")) not in (ids(first), ids(second))


async def test_a_claim_that_brought_nothing_takes_what_came_meanwhile(shard):
    assert (await shard.claim(request="same")).attempts == []
    added = await shard.add()

    assert ids(await shard.claim(request="same")) == added


async def test_a_claim_is_remembered_as_long_as_its_leases(shard):
    await shard.run_one()

    ttl = await shard.call("PTTL", f"{shard.root}:claim:r1")

    assert 0 < ttl <= shard.lease_ms
