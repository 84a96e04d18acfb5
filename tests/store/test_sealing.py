"""Encryption at rest: what Redis holds with keys, and what is read of it."""

import base64
import json

import msgspec
import pytest

from coordinator.domain.batch import Batch
from coordinator.domain.job import Spec
from coordinator.domain.keyring import Keyring
from coordinator.domain.outcome import Beat
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule
from coordinator.domain.selection import Selection
from coordinator.domain.settlement import Settlement
from coordinator.domain.unique import Unique
from coordinator.domain.worker import AwsSigV4, Bearer, Worker
from coordinator.errors import SettingsError
from coordinator.store.open import store_on
from coordinator.store.records import NewJob
from coordinator.store.schedules import StoredSchedule
from coordinator.store.sealing import NotOpened, Sealer
from tests.store.conftest import Shard

MARK = "mark-of-a-secret"
SECRET = msgspec.Raw(json.dumps({"card": MARK}).encode())
LOST = msgspec.Raw(b'{"sealed":"k1"}')

OLD = Keyring({"k1": bytes(range(32))})
NEW = Keyring({"k2": bytes(range(1, 33))})
FIRST = Keyring(NEW.keys | OLD.keys)
SECOND = Keyring(OLD.keys | NEW.keys)


def with_keys(shard: Shard, keyring: Keyring | None) -> Shard:
    """The same shard, as a replica with these keys sees it."""
    other = Shard(store_on(shard.store.connection, Sealer(keyring)))
    other._ids = shard._ids + 1000
    return other


@pytest.fixture
def sealed(shard) -> Shard:
    return with_keys(shard, OLD)


async def everything(shard: Shard) -> str:
    """All that Redis holds below the prefix, as text."""
    return json.dumps(await shard.dump())


def secret_spec(**fields) -> Spec:
    callback = Spec("tell", SECRET, meta=SECRET)
    unique = Unique(json.dumps([["args.card", MARK]]))
    return Spec("resize", SECRET, meta=SECRET, unique=unique, on_success=callback, on_failure=callback, **fields)


async def test_redis_holds_nothing_of_a_job_that_is_secret(sealed):
    job = NewJob(sealed.new_id(), secret_spec())
    await sealed.enqueue([job])
    attempt = await sealed.claim_one()
    await sealed.jobs.beat(job.id, None, "", Beat(40, f"at {MARK}"))
    await sealed.jobs.detach(0, [attempt], [f"202, with {MARK}"])
    await sealed.end(attempt, Settlement("retry", "failure", error=bytes(SECRET)))
    read = await sealed.jobs.read(job.id)
    assert attempt.spec == read.spec == job.spec
    assert (read.message, read.attempts[-1].error) == (f"at {MARK}", SECRET)
    await sealed.end_as(job.id, Settlement("succeed", "success", result=bytes(SECRET)), None, "")

    assert (await sealed.jobs.read(job.id)).result == SECRET
    held = await everything(sealed)
    assert "~k1." in held
    assert MARK not in held
    assert await sealed.jobs.find("default", job.spec.unique.handle) == job.id


async def test_what_came_of_a_call_is_sealed_but_for_its_status(sealed):
    first, second = await sealed.run_one(), await sealed.run_one()
    await sealed.jobs.detach(0, [first, second], [f"202, with {MARK}", "202"])

    held = await sealed.dump()
    assert MARK not in json.dumps(held)
    assert held[f"job:{second.job_id}"]["answered"] == "202"
    assert (await sealed.jobs.read(first.job_id)).answered == f"202, with {MARK}"


async def test_names_and_states_stay_readable(sealed):
    await sealed.add(1, "shop", key="k", tags=("night",), args=bytes(SECRET))

    (job,) = [content for key, content in (await sealed.dump()).items() if key.startswith("job:")]
    assert (job["worker"], job["lane"], job["tags"], job["state"]) == ("resize", "shop#k", "night", "waiting")
    assert job["spec"].startswith('{"worker":"resize","args":null,"queue":"shop"')


async def test_an_ended_job_is_told_with_what_its_callbacks_need(sealed):
    job = NewJob(sealed.new_id(), secret_spec())
    await sealed.enqueue([job])
    await sealed.end(await sealed.claim_one(), Settlement("succeed", "success", result=bytes(SECRET)))

    (told,) = await sealed.store.batches.outgoing(0)

    assert (told.job.spec.on_success, told.job.result) == (job.spec.on_success, SECRET)


async def test_an_expired_attempt_knows_its_job(sealed, clock):
    await sealed.enqueue([NewJob(sealed.new_id(), secret_spec(timeout_ms=1000))])
    attempt = await sealed.claim_one()
    await sealed.jobs.detach(0, [attempt], ["the connection broke"])
    await clock.advance(1001)

    (found,) = await sealed.jobs.expired(0)

    assert (found.attempt.spec, found.answered) == (attempt.spec, "the connection broke")


async def test_a_changed_job_is_sealed_anew(sealed):
    job_id = await sealed.add_one(args=b"1")
    job = await sealed.jobs.read(job_id)
    await sealed.jobs.edit(job, msgspec.structs.replace(job.spec, args=SECRET), run_at=None, delay_ms=None)

    assert (await sealed.jobs.read(job_id)).spec.args == SECRET
    assert MARK not in await everything(sealed)


async def test_schedules_and_batches_are_sealed(sealed):
    schedules, batches = sealed.store.schedules, sealed.store.batches
    schedule = Schedule(Rule(cron="* * * * *"), secret_spec())
    stored = StoredSchedule(sealed.new_id(), schedule, created_at=0, next_at=sealed.start, version=0)
    batch = Batch(Spec("tell", SECRET), Spec("tell", SECRET, meta=SECRET), Spec("tell", SECRET))
    await schedules.put(stored)
    batch_id, _ = await batches.create(sealed.new_id(), batch, None)

    assert (await schedules.read(stored.id)).schedule == schedule
    assert (await schedules.page("", 10))[0][0].schedule == schedule
    (due,) = (await schedules.due(0)).schedules
    assert due.schedule == schedule
    run = NewJob(f"{stored.id}:1", schedule.spec)
    assert (await schedules.fire(due, schedule, [run], next_at=sealed.start + 60_000, missed=0))[0]
    assert (await sealed.jobs.read(run.id)).spec == run.spec
    assert (await batches.read(batch_id)).batch == batch
    assert MARK not in await everything(sealed)


@pytest.mark.parametrize(
    "auth",
    [Bearer(MARK), AwsSigV4(region="r", service="s", access_key_id=MARK, secret_access_key=MARK, session_token=MARK)],
)
async def test_a_worker_keeps_its_secrets_sealed_and_its_references_readable(sealed, auth):
    headers = {"authorization": MARK, "x-env": "env:NAME"}
    worker = Worker("https://a/", headers=headers, secret=MARK, previous_secret=MARK, auth=auth)
    await sealed.store.workers.put("a/b", worker)

    assert await sealed.store.workers.read_all() == {"a/b": worker}
    (record,) = (await sealed.call("HGETALL", f"{sealed.store.connection.prefix}:workers")).values()
    assert MARK.encode() not in record
    assert b"env:NAME" in record


async def test_what_was_written_before_there_were_keys_is_read_with_them(shard):
    job_id = await shard.add_one(args=b"[1]")
    await shard.store.workers.put("a", Worker("https://a/", secret="s"))
    sealed = with_keys(shard, OLD)

    assert bytes((await sealed.jobs.read(job_id)).spec.args) == b"[1]"
    assert (await sealed.store.workers.read_all())["a"].secret == "s"


@pytest.mark.parametrize("keyring", [None, NEW], ids=["no keys", "another key"])
async def test_a_job_whose_key_is_missing_says_so_and_costs_no_other(sealed, keyring):
    lost = NewJob(sealed.new_id(), secret_spec())
    await sealed.enqueue([lost])
    await sealed.end(await sealed.claim_one(), Settlement("retry", "failure", error=bytes(SECRET)))
    other = with_keys(sealed, keyring)
    fine = await other.add_one(args=b"[2]")

    read = await other.jobs.read(lost.id)

    assert read.spec.worker == "resize"
    assert (read.spec.args, read.attempts[0].error) == (LOST, LOST)
    assert read.spec.sealed is not None
    listed = (await other.jobs.page(0, Selection("default", "queued"), after=None, limit=9)).jobs
    assert sorted(bytes(job.spec.args) for job in listed) == [b"[2]", bytes(LOST)]
    assert bytes((await other.jobs.read(fine)).spec.args) == b"[2]"


@pytest.mark.parametrize("change", ["moved", "tampered"])
async def test_what_was_changed_in_redis_is_not_opened(sealed, change):
    sealed.is_broken = True
    first, second = await sealed.add(2, args=bytes(SECRET))
    key = f"{sealed.root}:job:"
    spec = (await sealed.call("HGET", f"{key}{second}", "spec")).decode()
    if change == "tampered":
        at = spec.index("~k1.") + 30
        spec = spec[:at] + ("A" if spec[at] != "A" else "B") + spec[at + 1 :]
    await sealed.call("HSET", f"{key}{first}", "spec", spec)

    assert (await sealed.jobs.read(first)).spec.args == LOST


async def test_a_result_that_cannot_be_opened_is_told_as_that(sealed):
    attempt = await sealed.run_one()
    await sealed.end(attempt, Settlement("succeed", "success", result=b'"~k1.AAAA"'))
    assert bytes((await sealed.jobs.read(attempt.job_id)).result) == b'"~k1.AAAA"'

    assert (await with_keys(sealed, NEW).jobs.read(attempt.job_id)).result == LOST


async def test_a_worker_whose_key_is_missing_is_not_called(sealed):
    await sealed.store.workers.put("a", Worker("https://a/", queue="q", secret=MARK))

    found = (await with_keys(sealed, NEW).store.workers.read_all())["a"]

    assert found == Worker("https://a/", queue="q", unreadable=True, lost_key="k1")


async def test_a_schedule_whose_key_is_missing_is_seen_and_not_fired(sealed):
    stored = StoredSchedule(
        sealed.new_id(), Schedule(Rule(every_ms=60_000, anchor_at=0), secret_spec()), 0, sealed.start, version=0
    )
    await sealed.store.schedules.put(stored)
    other = with_keys(sealed, NEW)

    (due,) = (await other.store.schedules.due(0)).schedules
    with pytest.raises(NotOpened, match="k1"):
        _ = due.schedule
    seen = await other.store.schedules.read(stored.id)
    assert (seen.schedule.rule.every_ms, seen.schedule.spec.args) == (60_000, LOST)
    # Paused and resumed by who cannot read it, it is what it was.
    await other.store.schedules.put(seen)
    assert (await sealed.store.schedules.read(stored.id)).schedule == stored.schedule


async def test_jobs_are_found_by_an_error_that_is_sealed(sealed):
    for error in (b'{"message":"no such page"}', b'{"message":"too late"}'):
        await sealed.end(await sealed.run_one(), Settlement("die", "failure", error=error))

    chosen = Selection("default", "dead", error="such page")
    page = await sealed.jobs.page(0, chosen, after=None, limit=10)

    assert [bytes(job.attempts[-1].error) for job in page.jobs] == [b'{"message":"no such page"}']


async def test_a_key_is_replaced_while_two_replicas_work(shard):
    """First it is listed as second everywhere, then moved to the front; at every moment each reads what both write."""
    steps = [(OLD, OLD), (SECOND, OLD), (SECOND, SECOND), (FIRST, SECOND), (FIRST, FIRST)]
    for step in steps:
        replicas = [with_keys(shard, keyring) for keyring in step]
        written = []
        for replica in replicas:
            replica._ids = shard._ids
            await replica.store.leadership.agree_on_key(replica.store.sealer)
            written.append(await replica.add_one(args=bytes(SECRET)))
            shard._ids = replica._ids
        for replica in replicas:
            assert [(await replica.jobs.read(job_id)).spec.args for job_id in written] == [SECRET, SECRET]
    with pytest.raises(SettingsError, match="'k2'"):
        await shard.store.leadership.agree_on_key(Sealer(OLD))
    await shard.store.leadership.agree_on_key(Sealer(NEW))


async def test_a_replica_that_could_not_open_what_others_seal_does_not_start(shard):
    leadership = shard.store.leadership
    await leadership.agree_on_key(Sealer())
    await leadership.agree_on_key(Sealer(OLD))
    await leadership.agree_on_key(Sealer(OLD))

    for keyring, says in (
        (None, "COORDINATOR_KEYS is not set"),
        (NEW, "does not list"),
        (Keyring({"k1": bytes(range(2, 34))}), "not the 'k1'"),
    ):
        with pytest.raises(SettingsError, match=says):
            await leadership.agree_on_key(Sealer(keyring))
    meta = f"{shard.store.connection.prefix}:meta"
    written = (await shard.call("HGET", meta, "sealed_with")).decode()
    assert base64.b64encode(OLD.keys["k1"]).decode() not in written
    with pytest.raises(SettingsError, match=f"hdel {meta} sealed_with"):
        await leadership.agree_on_key(Sealer())
    await shard.call("HDEL", meta, "sealed_with")
    await leadership.agree_on_key(Sealer())


@pytest.mark.parametrize("keyring", [None, OLD])
@pytest.mark.parametrize("text", ["", "plain", "~", "~~", "~k1.AAAA", "~~k1.AAAA", "é~"])
def test_a_text_is_opened_as_it_was(keyring, text):
    sealer = Sealer(keyring)

    assert sealer.open_text(sealer.seal_text(text, "here"), "here") == text


def test_a_value_opens_in_its_own_place_only():
    sealer = Sealer(OLD)
    kept = sealer.seal(b"1", "job a result").encode()

    assert sealer.open(kept, "job a result") == b"1"
    assert sealer.seal(b"1", "job a result").encode() != kept
    for place in ("job b result", "job a spec"):
        with pytest.raises(NotOpened):
            sealer.open(kept, place)
