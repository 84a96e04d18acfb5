"""Lanes as people handle them: paused, resumed, reset, listed; and what is left of one that nobody uses."""

import pytest

from coordinator.domain.queue import KeyLimits, KeyView, Rate

LANE_SPARE_MS = 60_000


@pytest.fixture
async def shop(shard):
    """A queue that gives each key 4 tokens and one a second."""
    await shard.configure("shop", per_key=KeyLimits(rate=Rate(1, 1000, 4)))
    return shard


async def act(shard, action, key="a"):
    return await shard.store.queues.change_key("shop", key, action)


async def taken(shard):
    return [attempt.spec.key for attempt in (await shard.claim()).attempts]


async def test_a_paused_key_waits_and_the_others_go_on(shop):
    await act(shop, "pause")
    for key in ("a", "b", None):
        await shop.add(1, "shop", key=key)

    claim = await shop.claim()

    assert {attempt.spec.key for attempt in claim.attempts} == {"b", None}
    assert claim.due_in_ms is None
    assert (await shop.store.queues.read_key("shop", "a")).paused


async def test_a_key_that_is_paused_while_jobs_wait_waits_too(shop):
    await shop.add(2, "shop", key="a")
    assert await act(shop, "pause") is None
    assert await taken(shop) == []


async def test_a_resumed_key_goes_on_at_once(shop):
    await shop.add(2, "shop", key="a")
    await act(shop, "pause")
    await taken(shop)
    assert await act(shop, "resume") == 0
    assert await taken(shop) == ["a", "a"]
    assert not (await shop.store.queues.read_key("shop", "a")).paused


async def test_a_pause_leaves_what_runs_alone(shop):
    await shop.add(1, "shop", key="a")
    attempt = await shop.claim_one()
    await act(shop, "pause")
    assert await shop.end(attempt, shop.succeed) == ("ok", "succeeded")


async def test_a_retry_of_a_paused_key_waits(shop, clock):
    await shop.add(1, "shop", key="a")
    attempt = await shop.claim_one()
    await act(shop, "pause")
    await shop.end(attempt, shop.retry)
    await clock.advance(5000)
    assert await taken(shop) == []
    await act(shop, "resume")
    assert await taken(shop) == ["a"]


async def test_tokens_flow_in_during_a_pause(shop, clock):
    await shop.add(10, "shop", key="a")
    await taken(shop)
    await act(shop, "pause")
    await clock.advance(2000)
    await act(shop, "resume")
    assert await taken(shop) == ["a", "a"]


async def test_a_reset_fills_the_bucket_and_lifts_a_block_but_not_a_pause(shop):
    await shop.add(10, "shop", key="a")
    attempts = (await shop.claim()).attempts
    await shop.end(attempts[0], shop.throttle)
    assert (await shop.store.queues.read_key("shop", "a")).blocked_until == shop.start + 7000
    assert await act(shop, "reset") == 0
    assert await taken(shop) == ["a"] * 4

    await act(shop, "pause")
    assert await act(shop, "reset") is None
    assert await taken(shop) == []


@pytest.mark.parametrize("action", ["pause", "resume", "reset"])
async def test_what_is_done_twice_is_done_once(shop, action):
    await shop.add(1, "shop", key="a")
    await act(shop, action)
    dump = await shop.dump()
    await act(shop, action)
    assert await shop.dump() == dump


@pytest.mark.parametrize("action", ["resume", "reset"])
async def test_a_key_that_was_never_heard_of_leaves_nothing(shop, action):
    before = await shop.dump()
    assert await act(shop, action) is None
    assert await shop.dump() == before


async def test_a_paused_queue_holds_all_keys_until_it_is_resumed(shop):
    for key in ("a", "b", None):
        await shop.add(1, "shop", key=key)
    assert await shop.store.queues.pause("shop", paused=True) is None
    assert await taken(shop) == []
    await shop.add(1, "shop", key="c")
    assert await taken(shop) == []

    assert await shop.store.queues.pause("shop", paused=False) == 0

    assert set(await taken(shop)) == {"a", "b", "c", None}
    assert (await shop.store.queues.read("shop")).settings.per_key == KeyLimits(rate=Rate(1, 1000, 4))


async def left_ms(shard):
    return await shard.call("PTTL", f"{shard.root}:lane:shop#a")


async def test_what_is_kept_of_a_key_goes_a_minute_after_its_bucket_is_full(shop):
    await shop.add(3, "shop", key="a")
    await taken(shop)
    assert LANE_SPARE_MS + 2000 < await left_ms(shop) <= LANE_SPARE_MS + 3000


async def test_what_is_kept_of_a_key_goes_a_minute_after_its_block(shop):
    await shop.add(1, "shop", key="a")
    await shop.end(await shop.claim_one(), shop.throttle)
    assert LANE_SPARE_MS + 6000 < await left_ms(shop) <= LANE_SPARE_MS + 7000


async def test_a_pause_stays(shop):
    await shop.add(1, "shop", key="a")
    await taken(shop)
    await act(shop, "pause")
    assert await left_ms(shop) == -1
    await shop.add(1, "shop", key="a")
    assert await left_ms(shop) == -1
    await act(shop, "resume")
    assert 0 < await left_ms(shop) <= LANE_SPARE_MS + 4000


async def test_a_block_during_a_pause_does_not_end_it(shop):
    await shop.add(1, "shop", key="a")
    attempt = await shop.claim_one()
    await act(shop, "pause")
    await shop.end(attempt, shop.throttle)
    assert await left_ms(shop) == -1


async def test_a_key_without_a_rate_leaves_nothing(shard):
    await shard.configure("shop", per_key=KeyLimits(concurrency=1))
    await shard.add(1, "shop", key="a")
    await shard.end(await shard.claim_one(), shard.succeed)
    assert not [name for name in await shard.dump() if "shop#a" in name]


async def test_a_key_is_shown_as_it_is_now(shop, clock):
    await shop.add(6, "shop", key="a")
    attempts = (await shop.claim()).attempts
    await shop.end(attempts[0], shop.succeed)
    await clock.advance(1500)

    view = await shop.store.queues.read_key("shop", "a")

    assert view == KeyView("a", 1.5, 4, 1, running=3, waiting=2, paused=False, blocked_until=None)


async def test_a_key_that_was_never_heard_of_is_free(shop):
    view = await shop.store.queues.read_key("shop", "new")
    assert view == KeyView("new", 4, 4, 1, running=0, waiting=0, paused=False, blocked_until=None)


async def listed(shard, limit):
    """All keys that the pages list, and how many pages there are."""
    found, cursor, pages = [], "0", 0
    while pages == 0 or cursor != "0":
        views, cursor = await shard.store.queues.list_keys("shop", cursor, limit)
        found += [view.key for view in views]
        pages += 1
    return found, pages


async def test_pages_list_every_key_that_waits(shop):
    keys = {f"k{number}" for number in range(300)}
    for key in keys:
        await shop.add(1, "shop", key=key)
    await shop.add(1, "shop")
    found, pages = await listed(shop, 50)
    assert (set(found), len(found)) == (keys, 300)
    assert pages > 1


async def test_a_key_is_listed_while_its_jobs_wait_for_whatever_reason(shop):
    await shop.add(1, "shop", key="later", delay_ms=1000)
    await shop.add(1, "shop", key="held")
    await act(shop, "pause", "held")
    await shop.add(1, "shop", key="runs")
    await taken(shop)
    found, _ = await listed(shop, 50)
    assert sorted(found) == ["held", "later"]


async def test_a_queue_without_jobs_lists_no_keys(shop):
    assert await listed(shop, 50) == ([], 1)


async def test_a_queue_with_jobs_is_not_deleted_wherever_they_are(shop):
    delete = shop.store.queues.delete
    (job_id,) = await shop.add(1, "shop", key="a", priority=3)
    assert await delete("shop") == "invalid_state"
    attempt = await shop.claim_one()
    assert await delete("shop") == "invalid_state"
    await shop.end(attempt, shop.succeed)
    assert await delete("shop") == "invalid_state"

    await shop.delete(job_id)

    assert await delete("shop") == "ok"
    assert await delete("shop") == "queue_not_found"
    assert [name for name in await shop.dump() if name.endswith(":shop")] == []
    assert (await shop.store.queues.read("shop")).settings.per_key == KeyLimits()
