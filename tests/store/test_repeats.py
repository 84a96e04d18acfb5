"""A lost reply: every script, called again with the same arguments, has the effect of one call."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from coordinator.domain.batch import Batch
from coordinator.domain.ids import new_id
from coordinator.domain.job import Spec
from coordinator.domain.queue import Retention
from coordinator.domain.recurrence import Rule
from coordinator.domain.schedule import Schedule
from coordinator.store.schedules import StoredSchedule
from coordinator.store.scripts import names

SCHEDULE = new_id(0, 1, 7)
BATCH_ID, BATCH_SEEDED = new_id(0, 1, 8), new_id(0, 1, 9)
RECORD = msgspec.json.encode(Schedule(Rule(every_ms=60_000), Spec("report", msgspec.Raw(b"{}"), "shop")))

READS: dict[str, dict[str, Any]] = {
    "list_jobs": {"queue": "default", "state": "queued", "after_score": "", "after_id": "", "limit": 10, "scan": 10}
    | dict.fromkeys(
        ["index_kind", "index_name", "worker", "key", "created_after", "finished_before", "error_text"], ""
    ),
    "list_queues": {},
    "list_replicas": {},
    "list_schedules": {"after": "", "limit": 10, "bytes_limit": 1000},
    "find_schedule": {"name": "nightly"},
    "read_lanes": {"queue": "default", "name": "", "cursor": "0", "limit": 10},
    "mark_connection": {},
    "read_handle": {"queue": "default", "handle": "h"},
    "read_outbox": {"limit": 10},
    "read_batch": {"id": BATCH_SEEDED, "cursor": "0", "limit": 10},
    "poll_shard": {},
    "read_clock": {},
    "find_ended": {},
    "find_pending": {"batch": BATCH_SEEDED},
    "read_job": {"id": "running"},
    "read_queues": {},
    "read_schedule": {"id": SCHEDULE},
    "read_stats": {"minutes": 60, "after": 0},
    "read_tallies": {},
}
"""What only looks, and for what; and what leaves nothing of what it wrote."""

HOLD = {"holder": "r1", "lease_ms": 20_000}
BATCH = {
    "holder": "r1",
    "request": "n9",
    "limit": 3,
    "bytes_limit": 1 << 20,
    "lease_ms": 10_000,
    "circuit_open_ms": 30_000,
}
QUEUE_ROWS = [("concurrency", 5), ("rate_limit", 3), ("rate_period_ms", 1000), ("rate_burst", 2), ("paused", "")]


def row_of(attempt):
    return (attempt.job_id, attempt.tally.attempt, attempt.nonce)


def ending_of(attempt, verb, outcome):
    return (*row_of(attempt), "", verb, outcome, 5000, "why", b'"error"', b'"result"', 500, "")


CALLS: dict[str, Callable[[Any], tuple[list[Any], dict[str, Any]]]] = {
    "enqueue_jobs": lambda s: (
        [("new1", "shop", 0, 0, 60_000, "", "", "{}"), ("new2", "shop#a", 0, 5000, 60_000, "", "", "{}")],
        {"retention": s["retention"], "idempotency_ms": 60_000, "all_or_none": "", "max_waiting": 2},
    ),
    "claim_jobs": lambda s: ([], BATCH | {"retention": s["retention"]}),
    "renew_leases": lambda s: ([row_of(attempt) for attempt in s["running"]], HOLD),
    "detach_jobs": lambda s: ([(*row_of(attempt), "202") for attempt in s["running"]], {}),
    "release_jobs": lambda s: ([row_of(attempt) for attempt in s["running"]], {"retention": s["retention"]}),
    "settle_jobs": lambda s: (
        [
            ending_of(s["running"][0], "succeed", "success"),
            ending_of(s["running"][1], "retry", "lost"),
            ending_of(s["running"][2], "spare", "throttled"),
            ending_of(s["running"][3], "die", "failure"),
            ending_of(s["running"][4], "cancel", "cancelled"),
        ],
        {"retention": s["retention"], "circuit_failures": 0, "circuit_open_ms": 30_000},
    ),
    "expired_jobs": lambda s: ([], {"limit": 10}),
    "advance_clock": lambda _: ([], {"ahead_ms": 5000}),
    "reset_shard": lambda _: ([], {}),
    "purge_jobs": lambda s: ([], {"retention": s["retention"], "limit": 10}),
    "change_jobs": lambda s: ([(s["waiting"],)], {"retention": s["retention"], "verb": "delete", "request": "d1"}),
    "edit_job": lambda s: (
        [],
        {"id": s["waiting"], "edits": "0", "lane": "default", "run_at": "", "delay_ms": 5000, "traits": "priority 3"}
        | {"spec": "{}"},
    ),
    "replay_job": lambda s: ([], {"id": s["dead"], "edits": "0", "request": "q1", "spec": "{}"}),
    "beat_jobs": lambda s: (
        [(*row_of(attempt), 50, "half", 5000) for attempt in s["running"]],
        {"window_ms": 86_400_000},
    ),
    "create_batch": lambda s: (
        [],
        {"id": BATCH_ID, "record": "{}", "idempotency": "k", "fingerprint": "f", "idempotency_ms": 60_000},
    ),
    "add_members": lambda s: ([("a",), ("b",)], {"id": s["batch"], "seal": "1", "refused": 1}),
    "end_members": lambda s: ([("a", "dead")], {"id": s["batch"]}),
    "clear_outbox": lambda s: ([(s["told"], s["told_at"])], {}),
    "expire_jobs": lambda s: ([], {"retention": s["retention"], "limit": 10}),
    "configure_queue": lambda s: (QUEUE_ROWS, {"name": "default"}),
    "put_record": lambda s: ([], {"name": "w", "record": "{}"}),
    "note_deed": lambda s: ([], {"entry": "{}", "kept": 2}),
    "drop_record": lambda s: ([], {"name": "w"}),
    "configure_lane": lambda s: ([], {"name": "shop#a", "action": "pause"}),
    "delete_queue": lambda s: ([], {"name": "b"}),
    "put_schedule": lambda s: (
        [],
        {"id": SCHEDULE, "version": "1", "record": RECORD[:-1] + b" }", "next_at": s["now"], "paused": "", "name": "n"}
        | {"idempotency": "k", "fingerprint": "f", "idempotency_ms": 60_000},
    ),
    "name_schedule": lambda s: ([], {"name": "nightly", "before": "", "after": SCHEDULE}),
    "due_schedules": lambda s: ([], {"limit": 10}),
    "fire_schedule": lambda s: (
        [(f"{SCHEDULE}:1", "shop", 60_000, "", "{}")],
        {"id": SCHEDULE, "expected": s["now"], "version": "1", "next_at": s["now"] + 1, "last_at": "1", "missed": 2}
        | {"retention": s["retention"], "overlap": "skip", "max_runs": ""}
        | {"told_lane": "shop", "told_worker": "report"},
    ),
    "delete_schedule": lambda s: ([], {"id": SCHEDULE, "only_ended": ""}),
    "put_off_schedule": lambda s: (
        [],
        {"id": SCHEDULE, "expected": s["now"], "version": "1", "look_at": s["now"] + 9},
    ),
    "hold_leadership": lambda s: ([], {"replica": "r1", "ttl_ms": 60_000}),
    "resign_leadership": lambda s: ([], {"replica": "r0"}),
    "check_jobs": lambda s: ([(s["waiting"], "", "")], {"retention": s["retention"], "repair": "1"}),
    "check_indexes": lambda s: ([("waiting", "default", "0")], {"retention": s["retention"], "repair": "1"}),
    "check_records": lambda s: ([("schedule", SCHEDULE)], {"retention": s["retention"], "repair": "1"}),
    "read_events": lambda s: ([], {"after": "", "limit": 10}),
    "register_replica": lambda s: ([], {"replica": "r1", "ttl_ms": 60_000}),
}
"""For each script that writes, a call that changes something."""

CHANGES_NOTHING = {"due_schedules", "check_jobs", "check_indexes", "check_records", "drop_record"}
"""What writes only to mend, or forgets what is not there: in a sound keyspace it changes nothing."""

BREAKS = {"register_replica", "put_record", "note_deed", "reset_shard"}
"""What makes a key of the shard's root, or leaves other shards with half of something."""

IS_ANOTHER_CALL_LATER = {"beat_jobs", "claim_jobs", "expire_jobs", "expired_jobs", "purge_jobs"}
"""What takes or finds whatever is due by then."""


@pytest.fixture
async def seeded(shard, clock):
    """A shard with something of everything, and limits that are near."""
    await shard.configure(rate=shard.rate(1, 1000, 12), retention={"cancelled": Retention(86_400_000, 1)})
    await shard.configure("b")
    await shard.store.batches.create(BATCH_SEEDED, Batch(), None)
    told = await shard.add_one("shop", on_success=Spec("a", msgspec.Raw(b"{}")))
    await shard.end(await shard.claim_one(), shard.succeed)
    dead = (await shard.run_one("dead")).job_id
    await shard.end_as(dead, shard.die, None, "")
    await shard.add(13)
    await shard.add(1, "busy", delay_ms=90_000_000, expires_ms=86_400_000 - 90_000_000)
    for attempt, ending in zip(
        (await shard.claim(4)).attempts, (shard.succeed, shard.cancel, shard.retry, shard.lost), strict=True
    ):
        await shard.end(attempt, ending)
    await clock.advance(86_400_000)
    running = (await shard.claim(5)).attempts
    await shard.store.schedules.put(
        StoredSchedule(SCHEDULE, msgspec.json.decode(RECORD, type=Schedule), 0, clock.now, version=0)
    )
    await shard.run("hold_leadership", replica="r0", ttl_ms=60_000)
    waiting = (await shard.dump())["waiting:default"]
    return {
        "running": running,
        "batch": BATCH_SEEDED,
        "told": told,
        "told_at": shard.start,
        "waiting": max(waiting),
        "dead": dead,
        "retention": shard.retention,
        "now": clock.now,
    }


def test_every_script_is_here():
    assert sorted([*READS, *CALLS]) == names()


@pytest.mark.parametrize("script", sorted(CALLS))
async def test_a_repeated_call_changes_nothing_more(shard, seeded, script):
    if script == "hold_leadership":
        await shard.store.leadership.resign(0, "r0")
    shard.is_broken = script in BREAKS
    rows, values = CALLS[script](seeded)
    before = await shard.dump(counted=True)

    await shard.run(script, rows, **values)
    once = await shard.dump(counted=True)
    await shard.run(script, rows, **values)
    twice = await shard.dump(counted=True)

    assert (once == before) == (script in CHANGES_NOTHING)
    assert twice == once


async def test_a_repeated_call_is_answered_as_the_first(shard, seeded):
    _, values = CALLS["replay_job"](seeded)
    await shard.run("replay_job", **values)

    assert (await shard.run("replay_job", **values))[0] == b"ok"


@pytest.mark.parametrize("script", sorted(READS))
async def test_a_read_changes_nothing(shard, seeded, script):
    values = READS[script]
    if script == "read_job":
        values = {"id": seeded["running"][0].job_id}
    before = await shard.dump(counted=True)

    assert (await shard.run(script, **values))[0] == b"ok"

    assert await shard.dump(counted=True) == before


@pytest.mark.parametrize("script", sorted(set(CALLS) - IS_ANOTHER_CALL_LATER))
async def test_a_call_that_is_repeated_much_later_makes_nothing_twice(shard, seeded, clock, script):
    """The jobs, and how often each was tried, are the same as if the repetition had never come."""
    shard.is_broken = script in BREAKS
    rows, values = CALLS[script](seeded)
    await shard.run(script, rows, **values)
    once = await shard.dump(counted=True)
    await clock.advance(3000)

    await shard.run(script, rows, **values)

    twice = await shard.dump(counted=True)
    assert {key: value for key, value in twice.items() if key.startswith("job:")} == {
        key: value for key, value in once.items() if key.startswith("job:")
    }
    assert {key for key in twice if not key.startswith("attempts:")} <= set(once) | {"queues"}
