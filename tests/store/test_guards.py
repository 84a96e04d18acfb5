"""Every script that names a job or an attempt, in every state of the job, with every name for the attempt.

What is refused changes nothing, and what is taken changes the parts of the shard that `CHANGED` lists, and no others.
"""

import pytest

from coordinator.domain.job import Tally
from coordinator.domain.outcome import Beat
from tests.conftest import SINGLE

pytestmark = pytest.mark.parametrize("store", SINGLE, indirect=True)

# What each act (columns) on an attempt (second column) answers for a job in each state (first column).
#
# The job has failed once, as attempt 1 with nonce `old`; its current attempt is 2 with nonce `now`, held by r1. `fresh`
# was never called. ok is taken, of an ending with the state that it leads to; same = already_recorded; stale =
# stale_receipt, or what the script has for it; none = job_not_found. What was said of an attempt once, as the log
# tells, is no news when it is said again, however many attempts followed. `by r2` is of a replica that does not hold
# the call: only who renews leases tells who it is.
ATTEMPTS = """
state      attempt       succeed       retry       snooze      die      cancel        renew  detach  release  beat
running    current       ok>succeeded  ok>waiting  ok>waiting  ok>dead  ok>cancelled  ok     ok      ok       ok
running    by number     ok>succeeded  ok>waiting  ok>waiting  ok>dead  ok>cancelled  ok     ok      ok       ok
running    unnamed       ok>succeeded  ok>waiting  ok>waiting  ok>dead  ok>cancelled  ok     ok      ok       ok
running    older         ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
running    older number  ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
running    wrong number  ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
running    wrong nonce   stale         stale       stale       stale    stale         stale  stale   stale    stale
running    to come       stale         stale       stale       stale    stale         stale  stale   stale    stale
running    by r2         -             -           -           -        -             stale  -       -        -
detached   current       ok>succeeded  ok>waiting  ok>waiting  ok>dead  ok>cancelled  stale  ok      ok       ok
detached   unnamed       ok>succeeded  ok>waiting  ok>waiting  ok>dead  ok>cancelled  stale  ok      ok       ok
detached   older         ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
detached   wrong number  ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
detached   wrong nonce   stale         stale       stale       stale    stale         stale  stale   stale    stale
waiting    current       ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
waiting    by number     ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
waiting    unnamed       ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
waiting    older         ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
waiting    older number  ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
waiting    wrong nonce   stale         same        stale       same     stale         stale  stale   stale    stale
waiting    to come       stale         stale       stale       stale    stale         stale  stale   stale    stale
snoozed    current       ok>succeeded  stale       same        stale    stale         stale  stale   stale    stale
snoozed    by number     ok>succeeded  stale       same        stale    stale         stale  stale   stale    stale
snoozed    unnamed       ok>succeeded  stale       same        stale    stale         stale  stale   stale    stale
snoozed    older number  ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
snoozed    older         ok>succeeded  same        stale       same     stale         stale  stale   stale    stale
fresh      unnamed       stale         stale       stale       stale    stale         stale  stale   stale    stale
fresh      by number     stale         stale       stale       stale    stale         stale  stale   stale    stale
released   current       stale         stale       stale       stale    stale         stale  stale   stale    stale
released   unnamed       stale         stale       stale       stale    stale         stale  stale   stale    stale
succeeded  current       same          stale       stale       stale    stale         stale  stale   stale    stale
succeeded  older         same          same        stale       same     stale         stale  stale   stale    stale
succeeded  unnamed       same          stale       stale       stale    stale         stale  stale   stale    stale
dead       current       stale         same        stale       same     stale         stale  stale   stale    stale
dead       older number  stale         same        stale       same     stale         stale  stale   stale    stale
dead       unnamed       stale         same        stale       same     stale         stale  stale   stale    stale
dead       wrong nonce   stale         same        stale       same     stale         stale  stale   stale    stale
dead       to come       stale         stale       stale       stale    stale         stale  stale   stale    stale
cancelled  current       stale         stale       stale       stale    same          stale  stale   stale    stale
cancelled  older         stale         same        stale       same     stale         stale  stale   stale    stale
cancelled  older number  stale         same        stale       same     stale         stale  stale   stale    stale
cancelled  unnamed       stale         stale       stale       stale    same          stale  stale   stale    stale
missing    current       none          none        none        none     none          stale  stale   stale    none
missing    unnamed       none          none        none        none     none          stale  stale   stale    none
"""

# The same for what people do (`stop` is to cancel, `anew` to retry, `other` to retry with other args): the script's own
# reply, no = invalid_state, none = job_not_found. `late` is an edit of a job that somebody else has edited since it was
# read, `stale` a retry of one. `later` waits for its time, and was never called.
PEOPLE = """
state      stop       delete     anew     run   edit  late     other  stale
fresh      cancelled  cancelled  no       due   ok    changed  no     changed
later      cancelled  cancelled  no       due   ok    changed  no     changed
waiting    cancelled  cancelled  no       due   ok    changed  no     changed
snoozed    cancelled  cancelled  no       due   ok    changed  no     changed
released   cancelled  cancelled  no       due   ok    changed  no     changed
running    requested  no         no       no    no    no       no     changed
detached   requested  no         no       no    no    no       no     changed
succeeded  no         erased     no       no    no    no       no     changed
dead       no         erased     retried  no    no    no       ok     changed
cancelled  no         erased     retried  no    no    no       ok     changed
missing    none       none       none     none  none  none     none   none
"""

# What each act changes where it is taken: the keys of the shard, without what follows their first colon.
CHANGED = """
succeed  running,detached         attempts failures job purges running succeeded
succeed  waiting                  attempts failures job lanes purges retrying succeeded waiting
succeed  snoozed                  attempts job lanes purges retrying succeeded waiting
retry    running,detached         attempts failures job lanes queues retrying running waiting
snooze   running,detached         attempts failures job lanes queues retrying running waiting
die      running,detached         attempts dead failures job purges running
cancel   running,detached         attempts cancelled failures job purges running
renew    running                  running
detach   running                  job running
detach   detached
release  running,detached         job lanes queues retrying running waiting
beat     running,detached         deadlines job running
stop     fresh,later,released     cancelled job lanes purges waiting
stop     waiting,snoozed          cancelled job lanes purges retrying waiting
stop     running,detached         job
delete   fresh,later,released     cancelled job lanes purges waiting
delete   waiting,snoozed          cancelled job lanes purges retrying waiting
delete   succeeded                attempts job succeeded
delete   dead                     attempts dead job
delete   cancelled                attempts cancelled job
anew     dead                     dead job lanes queues waiting
anew     cancelled                cancelled job lanes queues waiting
other    dead                     dead job lanes queues waiting
other    cancelled                cancelled job lanes queues waiting
run      later                    job lanes queues waiting
run      waiting,snoozed          job lanes queues retrying waiting
edit     fresh,released           job lanes queue spread tag waiting waiting1
edit     later                    job lanes queue queues spread tag waiting waiting1
edit     waiting,snoozed          job lanes queue queues retrying spread tag waiting waiting1
"""

GUARDS = {
    "current": (2, "now"),
    "by r2": (2, "now"),
    "by number": (2, ""),
    "unnamed": (None, ""),
    "older": (1, "old"),
    "older number": (1, ""),
    "wrong number": (1, "now"),
    "wrong nonce": (2, "forged"),
    "to come": (3, ""),
}
VERBS = {"stop": "cancel", "anew": "retry"}
HOLDS = {"renew": "renew_leases", "detach": "detach_jobs", "release": "release_jobs"}
ENDINGS = {"succeed", "retry", "snooze", "die", "cancel"}
REPLIES = {
    "same": "already_recorded",
    "stale": "stale_receipt",
    "none": "job_not_found",
    "no": "invalid_state",
    # Of the scripts that a replica calls for what it holds.
    "gone": "stale_receipt",
    "renewed": "ok",
    "detached": "ok",
    "released": "ok",
}
PARTS = {
    (act, state): set(parts)
    for act, states, *parts in (line.split() for line in CHANGED.strip().splitlines())
    for state in states.split(",")
}


def cells(table, named=1):
    """The cells of a table, as its first columns, the head of its column, and what it says."""
    head, *lines = table.strip().splitlines()
    starts = [head.index(name) for name in head.split()]
    for line in lines:
        row = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
        for act, answer in zip(head.split()[named:], row[named:], strict=True):
            if answer != "-":
                yield pytest.param(*row[:named], act, answer, id="-".join([*row[:named], act]).replace(" ", "_"))


async def bring(shard, clock, state):
    """A job in a state of the tables."""
    job_id = await shard.add_one(delay_ms=9000 if state == "later" else 0)
    if state == "missing":
        assert [await shard.delete(job_id) for _ in range(2)] == [("cancelled", ""), ("erased", "")]
    elif state == "released":
        await shard.jobs.release(0, [await shard.claim_one(request="now")])
    elif state not in {"fresh", "later"}:
        await shard.end(await shard.claim_one(request="old"), shard.retry)
        await clock.advance(5000)
        attempt = await shard.claim_one(request="now")
        assert attempt.tally == Tally(2)
        ending = {
            "waiting": shard.retry,
            "snoozed": shard.snooze,
            "succeeded": shard.succeed,
            "dead": shard.die,
            "cancelled": shard.cancel,
        }.get(state)
        if state == "detached":
            await shard.jobs.detach(0, [attempt])
        elif ending:
            await shard.end(attempt, ending)
    await clock.advance(200)
    return job_id


async def act_on_attempt(shard, act, job_id, guard):
    """The reply, and the job's state where the script tells it."""
    number, nonce = GUARDS[guard]
    if act in ENDINGS:
        return await shard.end_as(job_id, getattr(shard, act), number, nonce)
    if act == "beat":
        beaten = await shard.jobs.beat(job_id, number, nonce, Beat(progress=40, extend_ms=1000))
        return beaten.reply, beaten.state
    row = (job_id, "" if number is None else number, nonce)
    if act == "renew":
        holder = "r2" if guard == "by r2" else "r1"
        _, gone, _ = await shard.run(HOLDS[act], [row], holder=holder, lease_ms=shard.lease_ms)
        return "gone" if gone else "renewed", None
    kept = {"retention": shard.retention} if act == "release" else {}
    _, (reply,), *_ = await shard.run(HOLDS[act], [(*row, "") if act == "detach" else row], **kept)
    return reply.decode(), None


def changed(before, after):
    """The parts of the shard that are not as they were."""
    keys = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    return {key.partition(":")[0] for key in keys}


@pytest.mark.parametrize(("state", "guard", "act", "answer"), list(cells(ATTEMPTS, 2)))
async def test_what_is_said_of_an_attempt(shard, clock, state, guard, act, answer):
    job_id = await bring(shard, clock, state)
    before = await shard.dump()

    reply, told = await act_on_attempt(shard, act, job_id, guard)

    after = await shard.dump()
    answer, _, becomes = answer.partition(">")
    assert REPLIES.get(reply, reply) == REPLIES.get(answer, answer)
    if answer == "ok":
        becomes = becomes or ("waiting" if act == "release" else "running")
        assert after[f"job:{job_id}"]["state"] == becomes
        assert told in (None, becomes)
        assert changed(before, after) == PARTS[act, state]
        return
    assert told in (None, before.get(f"job:{job_id}", {}).get("state", ""))
    # Nothing has changed, except that an ending that came too late is in the log.
    log, earlier = after.pop(f"attempts:{job_id}", []), before.pop(f"attempts:{job_id}", [])
    assert after == before
    assert log[: len(earlier)] == earlier
    assert len(log) - len(earlier) == (answer == "stale" and act in ENDINGS)


@pytest.mark.parametrize(("state", "act", "answer"), list(cells(PEOPLE)))
async def test_what_people_do_with_a_job(shard, clock, state, act, answer):
    job_id = await bring(shard, clock, state)
    before = await shard.dump()

    if act in {"edit", "late"}:
        traits = {"run_at": "", "delay_ms": 3000, "traits": "priority 1 tags a", "spec": "{}"}
        reply, *_ = await shard.run("edit_job", id=job_id, edits=int(act == "late"), lane="default", **traits)
        reply = reply.decode()
    elif act in {"other", "stale"}:
        reply, *_ = await shard.run("replay_job", id=job_id, edits=int(act == "stale"), request="q1", spec="{}")
        reply = reply.decode()
    else:
        reply, _ = await shard.change(VERBS.get(act, act), job_id)

    after = await shard.dump()
    assert reply == REPLIES.get(answer, answer)
    assert changed(before, after) == PARTS.get((act, state), set())
