"""What comes together goes together, and each gets its own answer."""

import asyncio

from coordinator.engine.group_commit import BYTES_LIMIT, GroupCommit


class Store:
    """Records the groups; a commit ends when it is let go."""

    def __init__(self):
        self.groups = []
        self.gate = asyncio.Event()

    async def commit(self, shard, items):
        self.groups.append((shard, list(items)))
        await self.gate.wait()
        return [f"{item}!" for item in items]


async def _until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_the_first_leaves_at_once_and_the_rest_together():
    store = Store()
    commit = GroupCommit(store.commit, 3)
    first = asyncio.create_task(commit.submit(7, "a"))
    await _until(lambda: store.groups)
    others = [asyncio.create_task(commit.submit(7, item)) for item in "bcde"]
    await asyncio.sleep(0)
    store.gate.set()
    assert await asyncio.gather(first, *others) == ["a!", "b!", "c!", "d!", "e!"]
    assert store.groups == [(7, ["a"]), (7, ["b", "c", "d"]), (7, ["e"])]


async def test_shards_do_not_wait_for_each_other():
    store = Store()
    commit = GroupCommit(store.commit, 100)
    tasks = [asyncio.create_task(commit.submit(shard, "x")) for shard in range(3)]
    await _until(lambda: len(store.groups) == 3)
    store.gate.set()
    await asyncio.gather(*tasks)


async def test_a_group_is_bounded_in_bytes():
    store = Store()
    store.gate.set()
    commit = GroupCommit(store.commit, 100, lambda item: BYTES_LIMIT // 2 * len(item))
    await asyncio.gather(*(commit.submit(0, item) for item in ("a", "bb", "c", "d", "e")))
    assert [items for _, items in store.groups] == [["a", "bb"], ["c", "d"], ["e"]]


async def test_a_failure_reaches_everyone_of_its_group_and_nobody_else():
    async def fail_once(_shard, items):
        if "bad" in items:
            raise ConnectionError("gone")
        return items

    commit = GroupCommit(fail_once, 2)
    answers = await asyncio.gather(
        *(commit.submit(0, item) for item in ("bad", "its neighbour", "another")), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError, str]
    assert await commit.submit(0, "later") == "later"


async def test_who_is_cancelled_leaves_the_others_their_answers():
    store = Store()
    commit = GroupCommit(store.commit, 100)
    tasks = [asyncio.create_task(commit.submit(0, item)) for item in "abc"]
    await _until(lambda: store.groups)
    tasks[1].cancel()
    store.gate.set()
    await asyncio.wait(tasks)
    assert tasks[0].result() == "a!"
    assert tasks[1].cancelled()
    assert tasks[2].result() == "c!"


async def test_it_drains():
    store = Store()
    commit = GroupCommit(store.commit, 1)
    tasks = [asyncio.create_task(commit.submit(0, item)) for item in "abc"]
    await _until(lambda: store.groups)
    draining = asyncio.create_task(commit.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    store.gate.set()
    await draining
    assert all(task.done() for task in tasks)
