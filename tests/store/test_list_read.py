"""`read_job` and `list_jobs`: what was kept, and pages that neither repeat nor leave out what stays."""

import msgspec
import pytest

from coordinator.domain.ids import new_id
from coordinator.domain.job import Job, Tally
from coordinator.domain.selection import Selection
from coordinator.domain.settlement import Settlement
from coordinator.errors import NotFound


async def pages(shard, state, *, limit=100, queue="default", between=None):
    """The ids of all pages. `between` is awaited after each page."""
    found, after = [], None
    for number in range(1000):
        page = await shard.jobs.page(0, Selection(queue, state), after=after, limit=limit)
        assert len(page.jobs) <= limit
        found += [job.id for job in page.jobs]
        after = page.after
        if after is None:
            return found
        if between:
            await between(number, found)
    raise AssertionError("the pages do not end")


async def test_a_job_is_read_as_it_is(shard, clock):
    job = shard.new_job(args=b'{"a":[],"n":12345678901234567890}', max_attempts=3)
    await shard.enqueue([job])
    await clock.advance(10)
    first = await shard.claim_one(request="a")
    await shard.end(first, shard.retry)
    await clock.advance(5000)
    second = await shard.claim_one(request="b")
    await clock.advance(100)
    await shard.end(second, Settlement("succeed", "success", result=b'{"r":[]}', http_status=200))

    read = await shard.jobs.read(job.id)

    assert msgspec.structs.replace(read, attempts=[]) == Job(
        id=job.id,
        state="succeeded",
        spec=job.spec,
        tally=Tally(2),
        nonce="b",
        created_at=shard.start,
        run_at=shard.start + 5010,
        started_at=shard.start + 5010,
        deadline_at=None,
        finished_at=clock.now,
        reason=None,
        outcome="success",
        answered=None,
        result=msgspec.Raw(b'{"r":[]}'),
        attempts=[],
    )
    assert bytes(read.spec.args) == b'{"a":[],"n":12345678901234567890}'
    assert [(entry.attempt, entry.outcome, entry.http_status) for entry in read.attempts] == [
        (1, "failure", 500),
        (2, "success", 200),
    ]


async def test_the_clock_alone_makes_a_scheduled_job_queued_and_a_retry_too(shard, clock):
    later = await shard.add_one(delay_ms=5000)
    attempt = await shard.run_one()
    await shard.end(attempt, shard.retry)
    assert [(await shard.jobs.read(job_id)).state for job_id in (later, attempt.job_id)] == ["scheduled", "retrying"]

    await clock.advance(5000)

    assert [(await shard.jobs.read(job_id)).state for job_id in (later, attempt.job_id)] == ["queued", "queued"]


@pytest.mark.parametrize("job_id", ["", "*", "nonsense", new_id(0, 1, 1), new_id(2, 1, 1)])
async def test_a_job_that_is_not_there_is_not_found(shard, job_id):
    with pytest.raises(NotFound) as refused:
        await shard.jobs.read(job_id)

    assert refused.value.code == "job_not_found"


async def seed(shard, clock):
    """A job or two in every state, by state, in the order in which they are listed."""
    retried = await shard.run_one()
    await shard.end(retried, Settlement("retry", "failure", delay_ms=90_000))
    ended = {}
    for state, ending in (("succeeded", shard.succeed), ("dead", shard.die), ("cancelled", shard.cancel)):
        ended[state] = []
        for _ in range(2):
            await clock.advance(1)
            attempt = await shard.run_one()
            await shard.end(attempt, ending)
            ended[state].insert(0, attempt.job_id)
    running = [(await shard.run_one()).job_id]
    scheduled = [await shard.add_one(delay_ms=60_000), await shard.add_one(delay_ms=95_000)]
    await clock.advance(5)
    queued = await shard.add(2)
    return {"queued": queued, "scheduled": scheduled, "retrying": [retried.job_id], "running": running} | ended


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_each_state_lists_its_own(shard, clock, limit):
    seeded = await seed(shard, clock)

    assert {state: await pages(shard, state, limit=limit) for state in seeded} == seeded


async def test_a_listed_job_shows_its_state_and_its_last_attempt(shard, clock):
    attempt = await shard.run_one()
    for _ in range(3):
        await shard.end(attempt, shard.retry)
        await clock.advance(5000)
        attempt = await shard.claim_one()

    (job,) = (await shard.jobs.page(0, Selection("default", "running"), after=None, limit=10)).jobs

    assert (job.state, job.tally, [entry.attempt for entry in job.attempts]) == ("running", Tally(4), [3])


async def test_an_empty_list_ends_at_once(shard):
    for state in ("queued", "scheduled", "retrying", "running", "succeeded", "dead", "cancelled"):
        assert await pages(shard, state) == []


async def test_other_queues_are_not_listed(shard):
    await shard.add(2, "shop")
    mine = await shard.add(2)

    assert await pages(shard, "queued") == mine


async def add_many(shard, count, **fields):
    """Jobs with one run-at, in the order of their ids."""
    added = []
    for _ in range(count // 100):
        added += await shard.add(100, **fields)
    return added


@pytest.mark.parametrize("limit", [7, 100])
async def test_thousands_of_equal_instants_are_paged_in_order(real_shard, limit):
    added = await add_many(real_shard, 2500, run_at=real_shard.start + 60_000)

    assert await pages(real_shard, "scheduled", limit=limit) == added


async def test_thousands_of_equal_instants_are_paged_newest_first(real_shard):
    added = await add_many(real_shard, 2000)
    for _ in range(20):
        attempts = (await real_shard.claim(100)).attempts
        await real_shard.settle([real_shard.ended(attempt, real_shard.succeed) for attempt in attempts])

    assert await pages(real_shard, "succeeded", limit=90) == added[::-1]


async def test_a_page_is_bounded_in_bytes(shard):
    added = await shard.add(7, args=b'"' + b"x" * 400_000 + b'"')

    page = await shard.jobs.page(0, Selection("default", "queued"), after=None, limit=100)

    assert [job.id for job in page.jobs] == added[:3]
    assert await pages(shard, "queued") == added


async def test_pages_neither_repeat_nor_skip_while_others_come_and_go(shard, clock):
    """All with one run-at; those in front, behind and around the page's end are removed and added."""
    added = await add_many(shard, 600, run_at=shard.start + 60_000)
    spare = [shard.new_id() for _ in range(50)]
    removed = set()

    async def disturb(number, found):
        behind = [job_id for job_id in added if job_id > found[-1]]
        for job_id in (found[number % len(found)], found[-1], *behind[3:6]):
            if job_id not in removed:
                await shard.delete(job_id)
                removed.add(job_id)
        if spare:
            job = shard.new_job(run_at=shard.start + 60_000)
            await shard.enqueue([type(job)(spare.pop(), job.spec, job.run_at)])

    found = await pages(shard, "scheduled", limit=20, between=disturb)

    assert found == sorted(set(found))
    assert set(added) - removed <= set(found)


async def test_finished_jobs_that_come_meanwhile_do_not_shift_the_pages(shard, clock):
    await shard.add(60)
    attempts = (await shard.claim()).attempts
    await shard.settle([shard.ended(attempt, shard.succeed) for attempt in attempts[:40]])

    async def disturb(number, found):
        if number < 20:
            await clock.advance(number % 2)
            await shard.settle([shard.ended(attempts[40 + number], shard.succeed)])
            await shard.delete(attempts[number].job_id)

    found = await pages(shard, "succeeded", limit=3, between=disturb)

    assert len(found) == len(set(found))
    assert {attempt.job_id for attempt in attempts[20:40]} <= set(found)


async def test_a_page_goes_on_after_its_last_job_is_gone(shard, clock):
    added = await shard.add(6, delay_ms=1000)
    page = await shard.jobs.page(0, Selection("default", "scheduled"), after=None, limit=3)
    for job_id in added[:4]:
        await shard.delete(job_id)

    rest = await shard.jobs.page(0, Selection("default", "scheduled"), after=page.after, limit=3)

    assert [job.id for job in rest.jobs] == added[4:]


async def test_scheduled_jobs_that_become_due_meanwhile_leave_the_list(shard, clock):
    added = [await shard.add_one(delay_ms=1000 * (number + 1)) for number in range(6)]
    page = await shard.jobs.page(0, Selection("default", "scheduled"), after=None, limit=2)
    await clock.advance(4000)

    rest = await shard.jobs.page(0, Selection("default", "scheduled"), after=page.after, limit=10)

    assert [job.id for job in rest.jobs] == added[4:]
    assert await pages(shard, "queued", limit=1) == added[:4]


async def test_queued_jobs_are_listed_although_thousands_wait_for_later(real_shard, clock):
    await add_many(real_shard, 1500, run_at=real_shard.start + 60_000)
    due = await real_shard.add(3)

    assert await pages(real_shard, "queued", limit=2) == due


async def test_scheduled_jobs_are_found_behind_thousands_of_due_ones(real_shard, clock):
    await add_many(real_shard, 1500)
    later = await real_shard.add(3, delay_ms=1)

    page = await real_shard.jobs.page(0, Selection("default", "scheduled"), after=None, limit=10)

    assert ([job.id for job in page.jobs], page.after) == (later, None)


async def test_a_list_that_finds_little_goes_on_where_it_stopped_looking(real_shard, clock):
    """1200 retries stand between the two scheduled jobs: more than one page looks at."""
    await real_shard.configure(circuit=None)
    first = await real_shard.add_one(delay_ms=1000)
    await add_many(real_shard, 1200)
    for _ in range(12):
        attempts = (await real_shard.claim(100)).attempts
        await real_shard.settle(
            [real_shard.ended(attempt, Settlement("retry", "failure", delay_ms=2000)) for attempt in attempts]
        )
    last = await real_shard.add_one(delay_ms=3000)

    page = await real_shard.jobs.page(0, Selection("default", "scheduled"), after=None, limit=10)

    assert [job.id for job in page.jobs] == [first]
    assert page.after is not None
    assert await pages(real_shard, "scheduled", limit=10) == [first, last]
    assert len(await pages(real_shard, "retrying")) == 1200
