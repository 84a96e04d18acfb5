"""What the store's machine does, each act with what must come of it."""

import math
from collections import defaultdict
from typing import Any

from coordinator.domain.receipt import EXTEND_LIMIT_MS
from tests.store.model import FINAL, SPARED, Model, job_of

SPEC = '{"worker":"w","args":1}'
MOST_WAITING = 40
"""Of a queue that has no bound of its own."""

GROUPS = {
    "waiting": {"waiting"},
    "incomplete": {"waiting", "running"},
    "all": {"waiting", "running", *FINAL.values()},
}


class Acts(Model):
    """The acts. A machine gives it `shard`, and `do`, which runs a coroutine."""

    shard: Any
    issued: list[tuple[str, int, str]]
    claims: dict[str, str]
    requests: int
    version: int
    tick: int

    def do(self, coroutine):
        raise NotImplementedError

    # How jobs come and go.

    def enqueue(self, lane, count, delay_ms, timeout_ms, traits="", guards="", *, is_bounded=True):
        run_at = self.now + delay_ms
        rows = [(self.shard.new_id(), lane, 0, delay_ms, timeout_ms, traits, guards, SPEC) for _ in range(count)]
        made = {"retention": self.shard.retention, "idempotency_ms": 1000, "all_or_none": ""}
        made["max_waiting"] = MOST_WAITING if is_bounded else ""
        *_, replies = self.do(self.shard.run("enqueue_jobs", rows, **made))
        most = self.settings[lane.partition("#")[0]].get("max_waiting", MOST_WAITING) if is_bounded else math.inf
        wanted = [self.accept(row[0], job_of(lane, run_at, timeout_ms, traits, self.now), guards, most) for row in rows]
        assert [(reply[0].decode(), *(told.decode() for told in reply[1:2])) for reply in replies] == wanted

    def accept(self, job_id, job, guards, most):
        """The reply for a new job. Whoever has its handle may be in the way, or has to go, and makes room for it."""
        least = self.least_burst(job.lane)
        if job.cost != 1 and job.cost > least:
            return "cost_exceeds_burst", f"{least:g}"
        _, states, _, on_conflict = guards.split() if guards else ("", "waiting", "", "")
        rival_id = self.unique.get((job.queue, job.unique)) if job.unique else None
        if rival_id and self.jobs[rival_id].state in GROUPS[states]:
            if on_conflict == "reject":
                return "unique_conflict", rival_id
            if on_conflict != "replace" or self.jobs[rival_id].state != "waiting":
                return "duplicate", rival_id
            self.finish(rival_id, "cancelled", "cancelled", "superseded")
        elif self.depth(job.queue) >= most:
            return "queue_full", str(most)
        self.create(job_id, job)
        return ("created",)

    def create(self, job_id, job):
        self.jobs[job_id] = job
        if job.unique:
            self.unique[job.queue, job.unique] = job_id

    def finish(self, job_id, state, outcome, reason):
        job = self.jobs[job_id]
        job.leave(state)
        job.outcome, job.reason, job.finished_at = outcome, reason or job.reason, self.now
        if job.notify:
            self.outbox[job_id] = self.now
        if job.schedule:
            self.begin_held()
        index = sorted((other.finished_at, other_id) for other_id, other in self.finished(state, job.queue))
        excess = min(2, len(index) - self.retention(state, job.queue).count)
        for _, other_id in index[: max(0, excess)]:
            self.erase(other_id)

    def erase(self, job_id):
        job = self.jobs[job_id]
        if job_id in self.outbox:
            job.is_erased = 1
            return
        del self.jobs[job_id]
        if self.unique.get((job.queue, job.unique)) == job_id:
            del self.unique[job.queue, job.unique]

    def begin_held(self):
        if self.held and not self.live():
            job_id, job = self.held
            self.held = None
            job.run_at = job.created_at = job.began_at = self.now
            job.expires_at = job.expires_ms and self.now + job.expires_ms
            self.create(job_id, job)

    def forget_given_up(self, ids):
        """These were cancelled because their time had come."""
        for job_id in ids:
            assert self.jobs[job_id].is_given_up_at(self.now)
            self.finish(job_id, "cancelled", "cancelled", "expired")

    # How they are called.

    def claim(self, holder, limit):
        self.requests += 1
        request = f"n{self.requests}"
        before = self.do(self.shard.dump())
        claimed, due_in_ms = self.ask(holder, request, limit)
        assert len(claimed) <= limit
        taken = defaultdict(list)
        for job_id, number, deadline_at in claimed:
            job = self.jobs[job_id]
            assert (job.state, job.attempt + 1, job.run_at <= self.now) == ("waiting", number, True)
            assert not job.is_given_up_at(self.now)
            heartbeat_ms = job.heartbeat_ms or job.timeout_ms
            assert deadline_at == self.now + min(job.timeout_ms, heartbeat_ms)
            taken[job.lane].append((job.priority, job.run_at, job_id))
        self.check_claim(before, taken)
        if given_up := [job_id for job_id, job in self.jobs.items() if job.is_given_up_at(self.now)]:
            after = self.do(self.shard.dump())
            self.forget_given_up([i for i in given_up if after.get(f"job:{i}", {}).get("state") != "waiting"])
        for job_id, number, _ in claimed:
            self.jobs[job_id].start(number, request, holder, self.now, self.shard.lease_ms)
            self.issued.append((job_id, number, request))
        if claimed:
            self.claims[holder] = request
        return [job_id for job_id, *_ in claimed], due_in_ms

    def ask(self, holder, request, limit):
        """Claim. Gives the id, the number and the deadline of each job, and in how many ms there is more."""
        kept = {"retention": self.shard.retention, "lease_ms": self.shard.lease_ms, "circuit_open_ms": 30_000}
        claim = self.shard.run("claim_jobs", holder=holder, request=request, limit=limit, bytes_limit=1000, **kept)
        _, claimed, due_in_ms = self.do(claim)
        return [(row[0].decode(), row[1], row[2]) for row in claimed], due_in_ms

    # How they end.

    def settle(self, job_id, number, nonce, ending, *, lapsed=False):
        settlement = getattr(self.shard, ending)
        job = self.jobs.get(job_id)
        wanted = job.answer(settlement, number, nonce, lapsed, self.now) if job else "job_not_found"
        reply, state = self.do(self.shard.end_as(job_id, settlement, number, nonce, lapsed=lapsed))
        assert reply == wanted
        entry = (job.last_attempt if number is None else number, settlement.outcome) if job else None
        if reply == "stale_receipt" and not lapsed and len(job.log) < 20:
            job.log.append((entry[0], "stale"))
        if reply != "ok":
            assert state == (job.state if job else "")
            return
        verb, reason = job.ending(settlement, self.now)
        if job.state == "running" and settlement.outcome == "throttled":
            self.blocked[job.lane] = max(self.blocked.get(job.lane, 0), self.now + settlement.delay_ms)
        is_first = job.state == "running" and job.attempt + job.snoozes + job.throttles == 1
        if verb != "succeed" or not is_first or job.log:
            job.log = [*job.log, entry][-20:]
        if verb in FINAL:
            self.finish(job_id, FINAL[verb], settlement.outcome, reason)
        else:
            self.wait_again(job, verb, settlement)
        assert state == job.state

    def wait_again(self, job, verb, settlement):
        if job.retry_ms:
            job.first_at = job.first_at or job.started_at
        if verb == "spare":
            job.attempt -= 1
            counter = SPARED[settlement.outcome]
            setattr(job, counter, getattr(job, counter) + 1)
        job.lost += settlement.outcome == "lost"
        job.leave("waiting")
        job.run_at, job.outcome = self.now + settlement.delay_ms, settlement.outcome

    def hold(self, script, job_id, number, nonce, holder):
        """Renew, detach or release."""
        job = self.jobs.get(job_id)
        is_current = bool(job) and job.is_running_as(None if number == "" else number, nonce)
        if script == "renew_leases":
            rows = [(job_id, number, nonce)]
            _, gone, extended = self.do(self.shard.run(script, rows, holder=holder, lease_ms=self.shard.lease_ms))
            is_held = is_current and job.holder == holder
            # One without a holder was left to its function, which goes on.
            goes_on = is_current and job.heard and job.holder in {"", holder}
            assert gone == ([] if is_held or goes_on else [job_id.encode()])
            left = max(0, (job.ends_at or job.deadline_at) - self.now) if goes_on else 0
            assert extended == ([[job_id.encode(), left]] if goes_on else [])
            if is_held:
                job.score = min(self.now + self.shard.lease_ms, job.deadline_at)
            return
        told = [""] if script == "detach_jobs" else []
        kept = {"retention": self.shard.retention} if script == "release_jobs" else {}
        _, replies, *_ = self.do(self.shard.run(script, [(job_id, number, nonce, *told)], **kept))
        reply = {"detach_jobs": b"detached", "release_jobs": b"released"}[script]
        assert replies == [reply if is_current else b"stale"]
        if is_current and script == "detach_jobs":
            job.holder, job.score = "", job.deadline_at
        elif is_current:
            job.leave("waiting")
            job.attempt, job.nonce, job.started_at, job.run_at = job.attempt - 1, "", 0, self.now
            if job.cancel_requested:
                self.finish(job_id, "cancelled", "cancelled", job.cancel_requested)

    def beat(self, job_id, number, nonce, progress, extend_ms):
        job = self.jobs.get(job_id)
        row = (job_id, "" if number is None else number, nonce, progress, "", extend_ms)
        beaten = self.do(self.shard.run("beat_jobs", [row], window_ms=EXTEND_LIMIT_MS))
        _, ((reply, state, deadline_at, is_unwanted),) = beaten
        if not job or not job.is_running_as(number, nonce):
            assert (reply, state) == ((b"stale_receipt", job.state.encode()) if job else (b"job_not_found", b""))
            return
        ends_at = job.ends_at or job.deadline_at
        if extend_ms != "":
            ends_at = min(self.now + extend_ms, job.started_at + EXTEND_LIMIT_MS)
        job.heard, job.progress = 1, progress or job.progress
        job.ends_at = ends_at if job.heartbeat_ms or extend_ms != "" else job.ends_at
        job.deadline_at = min(ends_at, self.now + job.heartbeat_ms) if job.heartbeat_ms else ends_at
        job.score = min(job.score, job.deadline_at) if job.holder else job.deadline_at
        assert (reply, state) == (b"ok", b"running")
        assert (deadline_at, is_unwanted) == (job.deadline_at, int(job.cancel_requested != ""))

    def expire(self):
        """The leader ends what has lapsed; what has told that it goes on needs no replica to hold it."""
        found = self.do(self.shard.jobs.expired(0))
        lapsed = {job_id: job for job_id, job in self.jobs.items() if job.state == "running" and job.score <= self.now}
        going_on = {job_id for job_id, job in lapsed.items() if job.heard and job.holder and job.deadline_at > self.now}
        assert {one.attempt.job_id for one in found} <= set(lapsed) - going_on
        assert len(lapsed) > 100 or len(found) == len(lapsed) - len(going_on)
        held = {
            key for key, value in self.do(self.shard.dump()).items() if key.startswith("job:") and "holder" in value
        }
        for job_id in going_on:
            assert len(lapsed) > 100 or f"job:{job_id}" not in held
            if f"job:{job_id}" not in held:
                lapsed[job_id].holder, lapsed[job_id].score = "", lapsed[job_id].deadline_at
        for one in found:
            job = self.jobs[one.attempt.job_id]
            assert one.kind == ("lost" if job.holder and job.deadline_at > self.now else "timeout")
            assert (one.attempt.tally.attempt, one.attempt.nonce) == (job.attempt, job.nonce)
            ending = "lost" if one.kind == "lost" else "retry"
            self.settle(one.attempt.job_id, job.attempt, job.nonce, ending, lapsed=True)
        if len(lapsed) > 100:
            self.expire()

    # What people and schedules do.

    def change(self, verb, job_id, request):
        job = self.jobs.get(job_id)
        state = job.state if job and not job.is_erased else ""
        was_done = bool(state) and verb != "run" and job.changed_by == request
        said = {"retention": self.shard.retention, "verb": verb, "request": request}
        _, ((reply, told),), _ = self.do(self.shard.run("change_jobs", [(job_id,)], **said))
        assert told.decode() == (job.state if job else "")
        if not state:
            wanted = "job_not_found"
        elif was_done:
            wanted = {"cancelled": "cancelled"}.get(state, "retried")
        else:
            wanted = getattr(self, f"change_{verb}")(job_id, job, request)
        assert reply.decode() == wanted

    def change_cancel(self, job_id, job, request):
        if job.state == "waiting":
            job.changed_by = request
            self.finish(job_id, "cancelled", "cancelled", "user")
            return "cancelled"
        if job.state == "running":
            job.cancel_requested = "user"
            return "requested"
        return "invalid_state"

    def change_delete(self, job_id, job, request):
        if not job.is_final:
            return self.change_cancel(job_id, job, request) if job.state == "waiting" else "invalid_state"
        self.erase(job_id)
        return "erased"

    def change_retry(self, job_id, job, request):
        if job.state not in {"dead", "cancelled"}:
            return "invalid_state"
        if job_id in self.outbox:
            return "untold"
        if job.unique:
            rival = self.jobs.get(self.unique.get((job.queue, job.unique)), job)
            if rival is not job and not rival.is_final:
                return "unique_conflict"
            self.unique[job.queue, job.unique] = job_id
        job.try_anew(self.now, request)
        return "retried"

    def change_run(self, job_id, job, request):
        if job.state != "waiting":
            return "invalid_state"
        if job.run_at > self.now:
            self.move(job, self.now)
        return "due"

    def move(self, job, run_at):
        job.run_at = run_at
        if job.expires_ms and job.is_uncalled:
            job.expires_at = run_at + job.expires_ms

    def edit(self, job_id, edits, lane, delay_ms, traits):
        job = self.jobs.get(job_id)
        wanted = {"run_at": "", "delay_ms": delay_ms, "traits": traits, "spec": SPEC}
        reply, *told = self.do(self.shard.run("edit_job", id=job_id, edits=edits, lane=lane, **wanted))
        if not job or job.state != "waiting":
            assert (reply, told) == ((b"invalid_state", [job.state.encode()]) if job else (b"job_not_found", []))
        elif job.edits != edits:
            assert reply == b"changed"
        elif lane != job.lane and job.cost != 1 and job.cost > self.least_burst(lane):
            assert reply == b"cost_exceeds_burst"
        else:
            assert reply == b"ok"
            edited = job_of(lane, 0, 0, traits, 0)
            job.lane, job.priority, job.tags, job.edits = lane, edited.priority, edited.tags, edits + 1
            if delay_ms != "":
                self.move(job, self.now + delay_ms)

    def give_up(self):
        """The leader cancels what was to start by now."""
        given_up = [job_id for job_id, job in self.jobs.items() if job.is_given_up_at(self.now)]
        count = self.do(self.shard.jobs.expire(0))
        assert count == min(100, len(given_up))
        if count == len(given_up):
            self.forget_given_up(sorted(given_up, key=lambda job_id: (self.jobs[job_id].expires_at, job_id)))
        else:
            left = self.do(self.shard.dump()).get("expiries", {})
            self.forget_given_up([job_id for job_id in given_up if job_id not in left])

    def tell(self, limit, *, is_late):
        """Others are told of the oldest that have ended. Who is late tells of another end than the last."""
        entries = sorted((at, job_id) for job_id, at in self.outbox.items())[:limit]
        self.do(self.shard.run("clear_outbox", [(job_id, at - is_late) for at, job_id in entries]))
        for _, job_id in entries if not is_late else ():
            del self.outbox[job_id]
            if job_id in self.jobs and self.jobs[job_id].is_erased:
                self.erase(job_id)

    def fire(self, overlap, lane, count):
        """A schedule's ticks come."""
        ids = [self.shard.new_id() for _ in range(count)]
        jobs = {job_id: job_of(lane, self.now, 60_000, "schedule s", self.now) for job_id in ids}
        rows = [(job_id, lane, 60_000, "schedule s", SPEC) for job_id in ids]
        values = {"next_at": self.now + 1000, "last_at": self.now, "missed": 0, "overlap": overlap, "max_runs": ""}
        values |= {"told_lane": lane, "told_worker": "w"}
        version = self.version
        fired = self.shard.run(
            "fire_schedule", rows, retention=self.shard.retention, id="s", expected=self.tick, version=version, **values
        )
        assert self.do(fired)[0] == b"ok"
        self.version, self.tick = version + 1, self.now + 1000
        if overlap == "cancel":
            self.held = None
        if overlap != "allow":
            self.give_way(overlap)
        if overlap in {"skip", "queue"} and self.live():
            if overlap == "queue" and not self.held:
                self.held = ids[-1], jobs[ids[-1]]
            return
        for job_id, job in jobs.items():
            self.create(job_id, job)

    def give_way(self, overlap):
        for job_id, job in sorted(self.live().items(), key=lambda one: (one[1].began_at, one[0])):
            waits_for_retry = job.state == "waiting" and job.attempt > 0 and job.run_at > self.now
            if job.state == "waiting" and (overlap == "cancel" or waits_for_retry):
                self.finish(job_id, "cancelled", "cancelled", "superseded")
            elif overlap == "cancel":
                job.cancel_requested = "superseded"

    def configure(self, queue, **wanted):
        self.settings[queue] = wanted
        # A circuit puts jobs off by what became of others; test_circuits.py has it for itself.
        self.do(self.shard.configure(queue, **wanted, circuit=None))

    def configure_lane(self, lane, action):
        self.do(self.shard.run("configure_lane", name=lane, action=action))
        if action == "reset":
            self.blocked.pop(lane, None)
        elif action == "pause":
            self.paused.add(lane)
        else:
            self.paused.discard(lane)

    def set_clock(self, now):
        self.now = now
        self.horizon = max(self.horizon, now)
        self.do(self.shard.set_clock(now))
