"""The model of test_machine.py: jobs in plain Python, and what must hold of a keyspace that keeps them."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
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
    """`score` is its place in `running`; `log` what the attempt log says, as attempt and outcome.

    `began_at` is when it was made, or tried anew by a person.
    """

    lane: str
    run_at: int
    timeout_ms: int
    state: str = "waiting"
    attempt: int = 0
    nonce: str = ""
    holder: str | None = None
    deadline_at: int = 0
    score: int = 0
    outcome: str | None = None
    snoozes: int = 0
    throttles: int = 0
    lost: int = 0
    finished_at: int = 0
    log: list[tuple[int, str]] = field(default_factory=list)
    started_at: int = 0
    priority: int = 5
    cost: float = 1
    tags: tuple[str, ...] = ()
    schedule: str | None = None
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
    def last_attempt(self):
        return self.attempt + (self.state == "waiting" and self.outcome in SPARED)

    def is_named(self, number, nonce, current):
        return number in (None, current) and nonce in ("", self.nonce)

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
        if self.state in FINAL.values():
            return "already_recorded" if said else "stale_receipt"
        if self.attempt + self.snoozes + self.throttles == 0:
            return "stale_receipt"
        if settlement.verb == "succeed":
            return "stale_receipt" if self.is_made_up(number, nonce) else "ok"
        if self.state != "running" or not self.is_named(number, nonce, self.attempt):
            return "already_recorded" if said and self.state == "waiting" else "stale_receipt"
        return "stale_receipt" if lapsed and self.score > now else "ok"

    def fields(self):
        """What its hash says."""
        known = {"state": self.state, "lane": self.lane, "attempt": self.attempt, "run_at": self.run_at}
        held = self.state == "running" and self.holder
        counters = {name: getattr(self, name) for name in ("snoozes", "throttles", "lost")}
        optional = {"nonce": self.nonce, "outcome": self.outcome, "holder": held, **counters}
        if self.state == "running":
            optional["deadline_at"] = self.deadline_at
        return {name: str(value) for name, value in (known | {k: v for k, v in optional.items() if v}).items()}


FIELDS = {*Job("", 0, 0, "running", 1, "n", "r", 1, 1, "o", 1, 1, 1).fields()}
"""What a hash holds of all this."""


class Model:
    """All jobs and settings. `horizon` is the latest instant that there was."""

    jobs: dict[str, Job]
    settings: dict[str, dict[str, Any]]
    blocked: dict[str, int]
    now: int
    horizon: int

    def waiting(self, lane):
        return [(job_id, job) for job_id, job in self.jobs.items() if (job.state, job.lane) == ("waiting", lane)]

    def running(self, queue):
        return sum((job.state, job.queue) == ("running", queue) for job in self.jobs.values())

    def finished(self, state, queue):
        return [(job_id, job) for job_id, job in self.jobs.items() if (job.state, job.queue) == (state, queue)]

    def retention(self, state, queue):
        """What the queue has of its own, else the default."""
        return self.settings.get(queue, {}).get("retention", {}).get(state, RETENTION_DEFAULTS[state])

    def busy(self, lane):
        return sum((job.state, job.lane) == ("running", lane) for job in self.jobs.values())

    def per_key(self, lane):
        """The limits of a lane; the plain one has none."""
        return self.settings.get(lane.partition("#")[0], {}).get("per_key", KeyLimits()) if "#" in lane else KeyLimits()

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
        if self.busy(lane) >= (limits.concurrency or math.inf):
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

    def check_indexes(self, dump):
        wanted = defaultdict(dict)
        for job_id, job in self.jobs.items():
            hashed = dump.get(f"job:{job_id}", {})
            fields = job.fields()
            assert {name: value for name, value in hashed.items() if name in FIELDS} == fields, job_id
            for tag in job.tags:
                wanted[f"tag:{tag}"][job_id] = job.created_at
            if job.schedule:
                wanted[f"runs:{job.schedule}"][job_id] = job.created_at
                if job.state not in FINAL.values():
                    wanted[f"live:{job.schedule}"][job_id] = job.began_at
            match job.state:
                case "waiting":
                    wanted[job.line][job_id] = job.run_at
                    if job.is_spread:
                        wanted[f"spread:{job.queue}"][job_id] = job.run_at
                    if job.attempt:
                        wanted[f"retrying:{job.queue}"][job_id] = job.run_at
                case "running":
                    wanted[f"running:{job.queue}"][job_id] = job.score
                    if job.lane != job.queue:
                        wanted[f"busy:{job.lane}"][job_id] = job.started_at
                case state:
                    wanted[f"{state}:{job.queue}"][job_id] = job.finished_at
        states = ("waiting", "spread:", "retrying:", "running:", "busy:", "succeeded:", "dead:", "cancelled:")
        indexes = (*states, "tag:", "runs:", "live:")
        assert {key: value for key, value in dump.items() if key.startswith(indexes)} == wanted
        whole = {f"job:{job_id}" for job_id in self.jobs} | set(wanted)
        others = {"queues", "deadlines", "purges", "known_queues"} | {f"claim:{holder}" for holder in HOLDERS}
        others |= {f"{name}:{queue}" for name in ("queue", "lanes") for queue in QUEUES}
        others |= {f"lane:{lane}" for lane in LANES}
        logs = {f"attempts:{job_id}": len(job.log) for job_id, job in self.jobs.items() if job.log}
        assert {key: len(dump[key]) for key in dump if key.startswith("attempts:")} == logs
        assert set(dump) - set(logs) - others == whole

    def check_wheels(self, dump):
        for queue in QUEUES:
            instant = self.claimable_at(dump, queue)
            if instant is not None:
                assert int(dump["queues"][queue]) <= max(instant, self.horizon), queue
            for lane in (lane for lane in LANES if lane.partition("#")[0] == queue):
                at = self.lane_claimable_at(dump, lane)
                assert at is None or int(dump[f"lanes:{queue}"][lane]) <= max(at, self.horizon), lane
            scores = dump.get(f"running:{queue}", {}).values()
            assert not scores or dump["deadlines"][queue] <= min(scores), queue
            for state in FINAL.values():
                if f"{state}:{queue}" in dump:
                    latest = purge_at(self.horizon, self.retention(state, queue).age_ms)
                    assert dump["purges"][f"{state}:{queue}"] <= latest, state
        assert set(dump.get("queues", {})) <= set(QUEUES)
