"""Twenty shops called by two replicas: each to the full of what it allows, and none is asked for more.

`pytest -s` prints the figures.
"""

import asyncio
import random

from tests.engine.shopify import GraphqlShop, Mall, RestShop

QUEUES = {"rest": (10, 40), "graphql": (500, 2000)}
"""The rate and the burst that each key is thought to have."""

# How many jobs there are for a shop, and what it really has: its whole, its rate, and what is left of it at first.
REST = [
    *[(300, 40, 10, 40)] * 6,
    (300, 40, 10, 15),
    (300, 40, 10, 5),
    *[(150, 20, 5, 20)] * 2,
]
GRAPHQL = [
    *[(272, 2000, 500, 2000)] * 5,
    (272, 2000, 500, 900),
    (272, 2000, 500, 150),
    *[(132, 1000, 250, 1000)] * 2,
    (132, 1000, 250, 400),
]
COSTS = [20, 50, 90]
JOBS = 5000


def _shops():
    shops = {}
    for kind, rows in ((RestShop, REST), (GraphqlShop, GRAPHQL)):
        for number, (jobs, whole, rate, left) in enumerate(rows):
            name = f"{kind.__name__.lower()}-{number}"
            shops[name] = kind(name, whole, rate, left, jobs)
    return shops


def _jobs(shops):
    found = []
    for shop in shops.values():
        for _ in range(shop.jobs):
            requested = random.choice(COSTS)
            is_rest = isinstance(shop, RestShop)
            found.append(
                {
                    "worker": "sync",
                    "queue": "rest" if is_rest else "graphql",
                    "key": shop.name,
                    "cost": 1 if is_rest else requested,
                    "args": {"requested": requested, "actual": round(requested * random.uniform(0.5, 1), 1)},
                }
            )
    random.shuffle(found)
    return found


async def _configure(replica):
    for queue, (limit, burst) in QUEUES.items():
        settings = {
            "paused": True,
            "perKey": {"concurrency": 10, "rate": {"limit": limit, "period": "1s", "burst": burst}},
        }
        assert (await replica.client.put(f"/queue/{queue}", json=settings)).status_code == 200


async def _enqueue(replicas, jobs):
    async def enqueue(start):
        replica = replicas[start // 500 % len(replicas)]
        answer = await replica.client.post("/job/batch", json={"jobs": jobs[start : start + 500]})
        assert answer.status_code == 201, answer.text

    await asyncio.gather(*(enqueue(start) for start in range(0, len(jobs), 500)))


async def test_shops_are_used_to_the_full_and_refuse_next_to_nothing_once_they_were_heard(
    start_replica, function, eventually
):
    random.seed(20)
    replicas = [await start_replica(), await start_replica()]
    await _configure(replicas[0])
    jobs = _jobs(_shops())
    await _enqueue(replicas, jobs)
    mall = Mall(_shops())
    function.answer = mall.answer
    for queue in QUEUES:
        assert (await replicas[0].client.post(f"/queue/{queue}/resume")).status_code == 200

    async def all_are_done():
        views = [(await replicas[0].client.get(f"/queue/{queue}")).json() for queue in QUEUES]
        return sum(view["succeeded"] for view in views) == len(jobs)

    await eventually(all_are_done, 120)

    await mall.look_back(replicas[0].read)
    print(f"\n{mall.figures()}")  # noqa: T201 - they are what the test is for, beside its two bounds
    assert len(jobs) == JOBS
    # Where a machine is slow, a receipt that is overtaken by others on its way may be one call off.
    assert mall.refused_when_heard() <= JOBS / 1000
    assert all(shop.use() >= 0.95 for shop in mall.shops.values())
