"""`enqueue_jobs` at a queue that is full: refused whole, each or all, and what was accepted before passes."""

import pytest

from coordinator.domain.queue import MAX_WAITING_DEFAULT
from coordinator.domain.unique import Unique
from coordinator.store.records import NewJob
from coordinator.store.replies import Accepted

FULL = Accepted("queue_full", (b"3",))
CREATED = Accepted("created")
SKIPPED = Accepted("not_created")


@pytest.fixture
async def small(shard):
    """The queue `shop` takes three jobs."""
    await shard.configure("shop", max_waiting=3)
    return shard


async def accepted(shard, jobs, **how):
    return (await shard.jobs.enqueue(0, jobs, **how)).accepted


async def test_what_is_over_the_bound_is_refused_and_leaves_nothing(small):
    jobs = [small.new_job("shop") for _ in range(5)]

    assert await accepted(small, jobs) == [CREATED, CREATED, CREATED, FULL, FULL]

    before = await small.dump()
    assert {name for name in before if name.startswith("job:")} == {f"job:{job.id}" for job in jobs[:3]}
    assert await accepted(small, [small.new_job("shop", tags=("a",), key="k")]) == [FULL]
    assert await small.dump() == before


async def test_all_that_waits_counts_once_whatever_for_and_in_which_line(small):
    await small.add(1, "shop", delay_ms=60_000, key="a", priority=0)
    await small.add(1, "shop", priority=9)
    (attempt,) = (await small.claim(1)).attempts
    await small.end(attempt, small.retry)  # retrying
    await small.add(1, "shop", key="b")

    assert await accepted(small, [small.new_job("shop")]) == [FULL]


async def test_what_runs_makes_room(small):
    await small.add(3, "shop")
    await small.claim(1)

    assert await accepted(small, [small.new_job("shop"), small.new_job("shop")]) == [CREATED, FULL]


async def test_each_queue_has_its_own_bound(small):
    await small.add(3, "shop")

    jobs = [small.new_job(queue) for queue in ("shop", "default", "shop", "busy")]

    assert await accepted(small, jobs) == [FULL, CREATED, FULL, CREATED]


async def test_all_or_none_stores_nothing_of_what_is_too_much_together(small):
    await small.add(1, "shop")
    before = await small.dump()

    jobs = [small.new_job("shop") for _ in range(3)]

    assert await accepted(small, jobs, all_or_none=True) == [SKIPPED, SKIPPED, FULL]
    assert await small.dump() == before
    assert await accepted(small, jobs[:2], all_or_none=True) == [CREATED, CREATED]


async def test_all_or_none_counts_a_handle_that_two_want_once(small):
    await small.add(2, "shop")

    jobs = [small.new_job("shop", unique=Unique("h", on_conflict=how)) for how in ("keep", "replace", "keep")]
    replies = await accepted(small, jobs, all_or_none=True)

    assert [one.reply for one in replies] == ["created", "created", "duplicate"]


async def test_all_or_none_is_either_also_where_a_handle_is_kept_by_one_that_runs(small):
    held = Unique("h", states="incomplete", on_conflict="keep")
    waits = Unique("h", states="waiting", on_conflict="keep")
    await small.add(1, "shop", unique=held)
    await small.claim()
    await small.add(3, "shop")
    before = await small.dump()

    jobs = [small.new_job("shop", unique=handle) for handle in (held, waits)]

    assert await accepted(small, jobs, all_or_none=True) == [SKIPPED, FULL]
    assert await small.dump() == before


async def test_a_repeated_request_and_a_duplicate_are_answered_by_a_full_queue(small):
    first = NewJob(small.new_id(), small.spec("shop"), idempotency=("k", "f"))
    held = small.new_job("shop", unique=Unique("h", on_conflict="keep"))
    await accepted(small, [first, held, small.new_job("shop")])

    again = NewJob(small.new_id(), small.spec("shop"), idempotency=("k", "f"))
    other = small.new_job("shop", unique=Unique("h", on_conflict="keep"))

    replies = [one.reply for one in await accepted(small, [again, first, other])]
    assert replies == ["replayed", "created", "duplicate"]
    # What is refused is not remembered as answered.
    new = NewJob(small.new_id(), small.spec("shop"), idempotency=("new", "f"))
    assert await accepted(small, [new]) == [FULL]
    await small.claim(1)
    assert await accepted(small, [new]) == [CREATED]


@pytest.mark.parametrize("all_or_none", [False, True])
async def test_who_takes_anothers_place_is_accepted(small, all_or_none):
    await small.add(1, "shop", unique=Unique("h"))
    await small.add(2, "shop")

    jobs = [small.new_job("shop", unique=Unique("h", on_conflict="replace")) for _ in range(2)]

    assert await accepted(small, jobs, all_or_none=all_or_none) == [CREATED, CREATED]
    assert await accepted(small, [small.new_job("shop")]) == [FULL]


async def test_what_was_accepted_before_is_taken_by_a_full_queue(small):
    await small.add(3, "shop")

    assert await accepted(small, [small.new_job("shop")], bounded=False) == [CREATED]
    assert await accepted(small, [small.new_job("shop")]) == [FULL]


async def test_retries_and_jobs_tried_anew_by_hand_pass(small):
    await small.add(3, "shop")
    failed, dead, given_back = (await small.claim()).attempts
    await small.add(3, "shop")

    await small.end(failed, small.retry)
    await small.end(dead, small.die)
    await small.jobs.release(0, [given_back])
    assert await small.change("retry", dead.job_id) == ("retried", "")

    assert (await small.store.queues.read("shop")).counts["retrying"] == 1
    assert await accepted(small, [small.new_job("shop")]) == [FULL]


async def test_a_queue_without_a_bound_of_its_own_has_that_of_all(shard):
    rows = [(shard.new_id(), "shop", 0, 0, 1000, "", "", "{}") for _ in range(3)]
    how = {"retention": shard.retention, "idempotency_ms": 1, "all_or_none": "", "max_waiting": 2}

    *_, replies = await shard.run("enqueue_jobs", rows, **how)

    assert replies == [[b"created"], [b"created"], [b"queue_full", b"2"]]
    assert (await shard.store.queues.read("shop")).settings.max_waiting == MAX_WAITING_DEFAULT


async def test_a_lower_bound_leaves_what_waits(shard):
    await shard.add(5, "shop")
    await shard.configure("shop", max_waiting=3)

    assert await accepted(shard, [shard.new_job("shop")]) == [FULL]
    assert len((await shard.claim()).attempts) == 5


async def test_the_run_that_a_replaced_job_held_up_counts(shard):
    await shard.configure("shop", max_waiting=3)
    fields = {"next_at": shard.start + 1000, "last_at": shard.start, "missed": 0, "overlap": "queue", "max_runs": ""}
    fields |= {"told_lane": "shop", "told_worker": "w"}
    once = {"name": "", "idempotency": "", "fingerprint": "", "idempotency_ms": 1}
    await shard.run("put_schedule", id="s", version=0, record="{}", next_at=shard.start, paused="", **once)
    for version, tick, traits in ((1, shard.start, "schedule s unique h"), (2, shard.start + 1000, "schedule s")):
        row = (shard.new_id(), "shop", 1000, traits, "{}")
        told = {"retention": shard.retention, "id": "s", "expected": tick, "version": version}
        assert (await shard.run("fire_schedule", [row], **told, **fields))[0] == b"ok"
    how = {"retention": shard.retention, "idempotency_ms": 1, "all_or_none": "", "max_waiting": 9}
    given = [("", ""), ("unique h", "unique_states incomplete on_conflict replace"), ("", "")]
    rows = [(shard.new_id(), "shop", 0, 0, 1000, traits, guards, "{}") for traits, guards in given]

    *_, replies = await shard.run("enqueue_jobs", rows, **how)

    # Two waited when the second came, and took the place of one of them, which another run had been waiting for.
    assert replies == [[b"created"], [b"created"], [b"queue_full", b"3"]]
