"""What every runtime serves: a worker for each thing that a function can do. workers.mjs is the same in JavaScript."""

import asyncio
import time

from coordinator.sdk.functions import Failure, Fatal, Retry, Snooze, Throttled, Workers

workers = Workers()
seen = set()


@workers.worker("succeeds")
async def succeeds(args):
    return {"echo": args}


@workers.worker("fails")
def fails(args):
    raise Failure("no such address")


@workers.worker("throws")
async def throws(args):
    raise Exception("boom")  # noqa: TRY002 - as plain as can be


@workers.worker("retries")
def retries(args, job):
    if job.attempt == 1:
        raise Retry(after=1)
    return job.attempt


@workers.worker("snoozes")
async def snoozes(args, job):
    if is_first_time(job):
        raise Snooze(after=1)


@workers.worker("throttled")
def throttled(args, job):
    if is_first_time(job):
        raise Throttled(after=1, limits={"remaining": 0, "max": 40, "restoreRate": 20})


@workers.worker("fatal")
async def fatal(args):
    raise Fatal("never")


@workers.worker("sleeps")
async def sleeps(args):
    await asyncio.sleep(args["seconds"])


@workers.worker("beats")
async def beats(args, job):
    await job.heartbeat(progress=50, message="half", extend="10s")
    await asyncio.sleep(1.5)


@workers.worker("cancels")
def cancels(args, job):
    while True:
        job.heartbeat()
        job.raise_if_cancelled()
        time.sleep(0.1)


@workers.worker("sorts", batch=True)
def sorts(jobs):
    return [Failure("not this one") if job.args.get("fail") else {"n": job.args["n"]} for job in jobs]


def is_first_time(job):
    is_first = job.id not in seen
    seen.add(job.id)
    return is_first
