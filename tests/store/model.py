"""The model of the store's machine: jobs in plain Python, and what must hold of a keyspace that keeps them."""

import math
from collections import defaultdict
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any

from coordinator.domain.queue import RETENTION_DEFAULTS, KeyLimits

LANES = ["default", "shop", "shop#a", "shop#b"]
QUEUES = ["default", "shop"]
HOLDERS = ["r1", "r2"]

FINAL = {"succeed": "succeeded", "die": "dead", "cancel": "cancelled"}
"""The verbs that end a job."""

SPARED = {"snoozed": "snoozes", "throttled": "throttles"}
"""The outcomes that give the attempt back, and what counts them."""


def purge_at(finished_at, age_ms):
    """Jobs are purged on whole seconds."""
    return -(-(finished_at + age_ms) // 1000) * 1000


@dataclass
class Job:
    """What a job's hash holds, where an empty value is one that is not there, and what `UNKEPT` lists besides.

    `score` is its place in `running`; `log` what the attempt log says, as attempt and outcome; `began_at` when it was
    made, or tried anew by a person.
    """

    lane: str
    run_at: int
    timeout_ms: int
    state: str = "waiting"
    attempt: int = 0
    nonce: str = ""
    holder: str = ""
    deadline_at: int = 0
    score: int = 0
    outcome: str = ""
    reason: str = ""
    snoozes: int = 0
    throttles: int = 0
    lost: int = 0
    earlier: int | None = None
    finished_at: int = 0
    log: list[tuple[int, str]] = field(default_factory=list)
    started_at: int = 0
    first_at: int = 0
    ends_at: int = 0
    heard: int = 0
    progress: str = ""
    priority: int = 5
    cost: int = 1
    tags: tuple[str, ...] = ()
    schedule: str = ""
    batch: str = ""
    unique: str = ""
    notify: int = 0
    heartbeat_ms: int = 0
    retry_ms: int = 0
    expires_ms: int = 0
    expires_at: int = 0
    cancel_requested: str = ""
    changed_by: str = ""
    edits: int = 0
    is_erased: int = 0
    created_at: int = 0
    began_at: int = 0

    @property
    def queue(self):
        return self.lane.partition("#")[0]

    @property
    def line(self):
        """The index it waits in."""
        return f"waiting{'' if self.priority == 5 else self.priority}:{self.lane}"

    @property
    def is_spread(self):
        return self.line != f"waiting:{self.queue}"

    @property
    def is_final(self):
        return self.state in FINAL.values()

    @property
    def last_attempt(self):
        return self.attempt + (self.state == "waiting" and self.outcome in SPARED)

    @property
    def is_uncalled(self):
        return self.attempt + self.snoozes + self.throttles == 0

    def is_given_up_at(self, now):
        """It is in `expiries`, and its time has come."""
        return self.state == "waiting" and self.is_uncalled and 0 < self.expires_at <= now

    def is_named(self, number, nonce, current):
        return number in (None, current) and nonce in ("", self.nonce)

    def is_running_as(self, number, nonce):
        return self.state == "running" and self.is_named(number, nonce, self.attempt)

    def is_made_up(self, number, nonce):
        """Names an attempt that there never was."""
        last = self.last_attempt
        return number is not None and (
            number > last or (number == last and self.nonce and nonce not in ("", self.nonce))
        )

    def answer(self, settlement, number, nonce, lapsed, now):
        """What settle_jobs has to say: nothing new of what is in the log already."""
        refused = self.refusal(settlement, number, nonce, lapsed, now)
        is_logged = (number, settlement.outcome) in self.log
        return "already_recorded" if refused == "stale_receipt" and is_logged else refused

    def refusal(self, settlement, number, nonce, lapsed, now):
        said = self.outcome == settlement.outcome and (
            settlement.verb == "succeed" or self.is_named(number, nonce, self.last_attempt)
        )
        if self.is_final:
            return "already_recorded" if said else "stale_receipt"
        if self.is_uncalled:
            return "stale_receipt"
        if settlement.verb == "succeed":
            return "stale_receipt" if self.is_made_up(number, nonce) else "ok"
        if not self.is_running_as(number, nonce):
            return "already_recorded" if said and self.state == "waiting" else "stale_receipt"
        goes_on = self.score > now or (self.heard and self.deadline_at > now)
        return "stale_receipt" if lapsed and goes_on else "ok"

    def ending(self, settlement, now):
        """The verb and the reason, as the job itself overrules them: it was to be stopped, or tried for long enough."""
        verb, reason = settlement.verb, settlement.reason
        if self.state == "running" and verb not in {"succeed", "cancel"}:
            began_at = self.first_at or self.started_at
            if self.cancel_requested:
                return "cancel", self.cancel_requested
            if verb != "die" and self.retry_ms and now + settlement.delay_ms > began_at + self.retry_ms:
                return "die", f"{settlement.outcome}_out" if verb == "spare" else "retry_duration_exhausted"
        return verb, reason

    def start(self, number, request, holder, now, lease_ms):
        self.state, self.attempt, self.nonce, self.holder, self.outcome = "running", number, request, holder, ""
        self.started_at, self.deadline_at = now, now + self.timeout_ms
        if self.heartbeat_ms:
            self.ends_at = self.deadline_at
            self.deadline_at = min(self.deadline_at, now + self.heartbeat_ms)
        self.score = min(now + lease_ms, self.deadline_at)

    def leave(self, state):
        """It does not run any more."""
        self.state, self.holder, self.deadline_at, self.ends_at, self.heard = state, "", 0, 0, 0

    def try_anew(self, now, request):
        self.earlier = (self.earlier or 0) + self.attempt + self.snoozes + self.throttles
        self.state, self.run_at, self.began_at, self.changed_by = "waiting", now, now, request
        self.attempt = self.snoozes = self.throttles = self.lost = 0
        self.nonce = self.outcome = self.reason = self.cancel_requested = self.progress = ""
        self.finished_at = self.started_at = self.first_at = self.expires_at = 0

    def fields(self):
        """What its hash says."""
        told = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in UNKEPT}
        told |= {"tags": ",".join(self.tags), "priority": "" if self.priority == 5 else str(self.priority)}
        told |= {"cost": "" if self.cost == 1 else self.cost, "attempt": str(self.attempt)}
        told["earlier"] = "" if self.earlier is None else str(self.earlier)
        return {name: str(value) for name, value in told.items() if value not in ("", 0)}


UNKEPT = {"score", "log", "began_at"}
UNMODELLED = {"spec", "worker", "result", "answered", "message", "unique_until"}


def job_of(lane, run_at, timeout_ms, traits, now):
    """A new job with traits as the scripts are told of them."""
    named = traits.split()
    told: dict[str, Any] = dict(zip(named[::2], named[1::2], strict=True))
    told |= {name: int(value) for name, value in told.items() if value.isdigit()}
    told["tags"] = tuple(filter(None, told.get("tags", "").split(",")))
    job = Job(lane, run_at, timeout_ms, created_at=now, began_at=now, **told)
    job.expires_at = job.expires_ms and run_at + job.expires_ms
    return job


class Model:
    """All jobs and settings. `horizon` is the latest instant that there was.

    `blocked` and `paused` are of lanes, `unique` of queues and handles, `held` the job that waits for others of its
    schedule to end.
    """

    jobs: dict[str, Job]
    settings: dict[str, dict[str, Any]]
    blocked: dict[str, int]
    paused: set[str]
    unique: dict[tuple[str, str], str]
    outbox: dict[str, int]
    held: tuple[str, Job] | None
    now: int
    horizon: int

    def waiting(self, lane):
        return [(job_id, job) for job_id, job in self.jobs.items() if (job.state, job.lane) == ("waiting", lane)]

    def depth(self, queue):
        return sum((job.state, job.queue) == ("waiting", queue) for job in self.jobs.values())

    def running(self, queue):
        return sum((job.state, job.queue) == ("running", queue) for job in self.jobs.values())

    def live(self):
        return {job_id: job for job_id, job in self.jobs.items() if job.schedule and not job.is_final}

    def finished(self, state, queue):
        return [
            (job_id, job)
            for job_id, job in self.jobs.items()
            if (job.state, job.queue, job.is_erased) == (state, queue, 0)
        ]

    def retention(self, state, queue):
        """What the queue has of its own, else the default."""
        return self.settings.get(queue, {}).get("retention", {}).get(state, RETENTION_DEFAULTS[state])

    def busy(self, lane):
        return sum((job.state, job.lane) == ("running", lane) for job in self.jobs.values())

    def per_key(self, lane):
        """The limits of a lane; the plain one has none."""
        return self.settings.get(lane.partition("#")[0], {}).get("per_key", KeyLimits()) if "#" in lane else KeyLimits()

    def least_burst(self, lane):
        """What a job of the lane may cost at the most."""
        rates = [self.settings[lane.partition("#")[0]].get("rate"), self.per_key(lane).rate]
        return min([rate.burst for rate in rates if rate], default=math.inf)

    def tokens(self, bucket, rate):
        """What there is to pay with."""
        if not rate:
            return math.inf
        if "tokens" not in bucket:
            return rate.burst
        elapsed = max(0, self.now - int(bucket["refilled_at"]))
        return min(rate.burst, float(bucket["tokens"]) + elapsed * rate.limit / rate.period_ms)

    def payable_at(self, bucket, rate, cost):
        if not rate or "tokens" not in bucket:
            return 0
        short = max(0, min(cost, rate.burst) - Fraction(bucket["tokens"]))
        return int(bucket["refilled_at"]) + math.ceil(short * rate.period_ms / Fraction(rate.limit))

    def lane_claimable_at(self, dump, lane):
        """None while only someone's act can change that, and when nothing waits."""
        limits = self.per_key(lane)
        if lane in self.paused or self.busy(lane) >= (limits.concurrency or math.inf):
            return None
        at = self.head_at(lane, [(dump.get(f"lane:{lane}", {}), limits.rate)])
        return at and max(at, self.blocked.get(lane, 0))

    def head_at(self, lane, buckets):
        """When a job of the lane is both due and payable: what is due stands before the lines behind it."""
        soonest = None
        jobs = sorted((job.priority, job.run_at, job_id) for job_id, job in self.waiting(lane))
        for priority in sorted({priority for priority, *_ in jobs}):
            run_at, job_id = next((at, job_id) for line, at, job_id in jobs if line == priority)
            payable_at = max(self.payable_at(bucket, rate, self.jobs[job_id].cost) for bucket, rate in buckets)
            soonest = min(soonest or math.inf, max(run_at, payable_at))
            if run_at <= self.now:
                break
        return soonest

    def claimable_at(self, dump, queue):
        """The instant from which the queue has something to claim; None while only someone's act can change that."""
        limits = self.settings.get(queue, {})
        lanes = [lane for lane in LANES if lane.partition("#")[0] == queue]
        heads = [at for at in (self.lane_claimable_at(dump, lane) for lane in lanes) if at is not None]
        if not heads or limits.get("paused") or self.running(queue) >= (limits.get("concurrency") or math.inf):
            return None
        # The lane that stands first in the wheel is the one that the queue has to pay for.
        _, first = min((float(score), lane) for lane, score in dump[f"lanes:{queue}"].items())
        buckets = [(dump.get(f"lane:{first}", {}), self.per_key(first).rate)]
        at = self.head_at(first, [*buckets, (dump.get(f"queue:{queue}", {}), limits.get("rate"))])
        return max(min(heads), at or 0)

    def check_claim(self, before, taken):
        """In the right order, and no more than all limits allow."""
        for lane, entries in taken.items():
            due = [
                (job.priority, job.run_at, job_id)
                for job_id, job in self.waiting(lane)
                if job.run_at <= self.now and not job.is_given_up_at(self.now)
            ]
            assert entries == sorted(due)[: len(entries)]
            limits = self.per_key(lane)
            assert self.blocked.get(lane, 0) <= self.now
            assert lane not in self.paused
            assert self.busy(lane) + len(entries) <= (limits.concurrency or math.inf)
            self.check_paid(before.get(f"lane:{lane}", {}), limits.rate, entries)
        for queue in {lane.partition("#")[0] for lane in taken}:
            entries = [entry for lane in taken if lane.partition("#")[0] == queue for entry in taken[lane]]
            limits = self.settings.get(queue, {})
            assert not limits.get("paused")
            assert self.running(queue) + len(entries) <= (limits.get("concurrency") or math.inf)
            self.check_paid(before.get(f"queue:{queue}", {}), limits.get("rate"), entries)

    def check_paid(self, bucket, rate, entries):
        """The bucket could pay for these; one that costs more than it holds leaves a debt."""
        costs = [self.jobs[job_id].cost for *_, job_id in entries]
        debt = max(0, max(costs) - rate.burst) if rate else 0
        assert sum(costs) <= self.tokens(bucket, rate) + debt + 2e-6

    def indexes_of(self, job_id, job):
        """Where the job is to be found, and with which score."""
        for tag in job.tags:
            yield f"tag:{tag}", job.created_at
        if job.batch:
            yield f"members:{job.batch}", job.created_at
        if job.schedule:
            yield f"runs:{job.schedule}", job.created_at
            if not job.is_final:
                yield f"live:{job.schedule}", job.began_at
        if job_id in self.outbox:
            yield "outbox", self.outbox[job_id]
        if job.state == "waiting":
            yield job.line, job.run_at
            if job.is_spread:
                yield f"spread:{job.queue}", job.run_at
            if job.attempt:
                yield f"retrying:{job.queue}", job.run_at
            if job.expires_at and job.is_uncalled:
                yield "expiries", job.expires_at
        elif job.state == "running":
            yield f"running:{job.queue}", job.score
            if job.lane != job.queue:
                yield f"busy:{job.lane}", job.started_at
        elif not job.is_erased:
            yield f"{job.state}:{job.queue}", job.finished_at

    def check_indexes(self, dump):
        """Every key but the wheels, the settings and the claims is what the jobs say."""
        wanted: dict[str, Any] = defaultdict(dict)
        for job_id, job in self.jobs.items():
            hashed = dump.get(f"job:{job_id}", {})
            assert {name: value for name, value in hashed.items() if name not in UNMODELLED} == job.fields(), job_id
            for index, score in self.indexes_of(job_id, job):
                wanted[index][job_id] = score
        for job_id in self.outbox:  # Of some nothing but this is left.
            wanted["outbox"][job_id] = self.outbox[job_id]
        wanted |= {f"unique:{queue}#{handle}": job_id for (queue, handle), job_id in self.unique.items()}
        named = ("queues", "deadlines", "purges", "known_queues", "schedule", "claim:", "queue:", "lanes:", "lane:")
        found = {
            key: value for key, value in dump.items() if not key.startswith((*named, "job:", "attempts:", "held:"))
        }
        assert found == wanted
        assert {key.removeprefix("job:") for key in dump if key.startswith("job:")} == set(self.jobs)
        logs = {f"attempts:{job_id}": len(job.log) for job_id, job in self.jobs.items() if job.log}
        assert {key: len(dump[key]) for key in dump if key.startswith("attempts:")} == logs
        assert dump.get("held:s", {}).get("id") == (self.held[0] if self.held else None)

    def check_lanes(self, dump):
        for lane in LANES:
            kept = dump.get(f"lane:{lane}", {})
            assert int(kept.get("blocked_until", 0)) == self.blocked.get(lane, 0), lane
            assert ("paused" in kept) == (lane in self.paused), lane

    def check_wheels(self, dump):
        for queue in QUEUES:
            instant = self.claimable_at(dump, queue)
            if instant is not None:
                assert dump.get("queues", {}).get(queue, math.inf) < max(instant, self.horizon) + 1, queue
            for lane in (lane for lane in LANES if lane.partition("#")[0] == queue):
                at = self.lane_claimable_at(dump, lane)
                score = dump.get(f"lanes:{queue}", {}).get(lane, math.inf)
                assert at is None or score < max(at, self.horizon) + 1, lane
            scores = dump.get(f"running:{queue}", {}).values()
            assert not scores or dump.get("deadlines", {}).get(queue, math.inf) <= min(scores), queue
            for state in FINAL.values():
                if f"{state}:{queue}" in dump:
                    latest = purge_at(self.horizon, self.retention(state, queue).age_ms)
                    assert dump.get("purges", {}).get(f"{state}:{queue}", math.inf) <= latest, state
        assert set(dump.get("queues", {})) <= set(QUEUES)
