"""The scripts that act on one job, said again in a few lines each.

In the model: the job's hash as far as it decides anything, its places in the indexes, and each script of `store/lua`
that moves a job from state to state, by the same guards. Time is not: a lease and a deadline have passed or have not,
and may pass at any moment; a job that waits may be due at any moment. Left out are limits, priorities, the attempt log,
what is no change of the job (a refusal's word, circuits, the outbox), edits, the purge, and `expiresIn`. A receipt is
decided and applied in one step: what it is decided by cannot change while its attempt is the current one.

tests/store/test_proof_agrees.py holds the scripts themselves to this.

`failures` and `losses` are kept by no script: they count how attempts really ended, for what must hold to be asked.
"""

from typing import NamedTuple

WAITING, RUNNING, SUCCEEDED, DEAD, CANCELLED = "waiting", "running", "succeeded", "dead", "cancelled"
FINAL = {"succeed": SUCCEEDED, "die": DEAD, "cancel": CANCELLED}

IN_WAITING, IN_RETRYING, IN_RUNNING, IN_SUCCEEDED, IN_DEAD, IN_CANCELLED = 1, 2, 4, 8, 16, 32
FINISHED = {SUCCEEDED: IN_SUCCEEDED, DEAD: IN_DEAD, CANCELLED: IN_CANCELLED}

Token = tuple[int, int]
"""The number and the nonce of an attempt; a nonce is the number of the claim that drew it."""


class Job(NamedTuple):
    """`is_due`: its score in `running` has passed; `is_late`: its deadline has. `places`: the indexes it stands in."""

    state: str = WAITING
    attempt: int = 0
    nonce: int = 0
    holder: int = 0
    is_due: bool = False
    is_late: bool = False
    heard: bool = False
    lost: int = 0
    spares: int = 0
    was_spared: bool = False
    cancel_requested: bool = False
    places: int = IN_WAITING
    failures: int = 0
    losses: int = 0

    @property
    def is_final(self) -> bool:
        return self.state not in (WAITING, RUNNING)

    @property
    def is_never_called(self) -> bool:
        return self.attempt + self.spares == 0


class Scripts:
    """Each method is a script, or a function that scripts share, by its own name. They answer the job as it is then."""

    max_attempts = 2
    lost_limit = 2

    def is_running_as(self, job: Job, token: Token, script: str) -> bool:
        """lib/fence. `script` asks: it is for those that are to forget to."""
        return job.state == RUNNING and (job.attempt, job.nonce) == token

    def claim(self, job: Job, *, is_known: bool, holder: int, request: int) -> tuple[Job, Token | None]:
        """claim_jobs. `is_known`: Redis remembers the request as this replica's last, and answers it again."""
        if is_known:
            is_own = job.state == RUNNING and job.nonce == request
            return job, (job.attempt, request) if is_own else None
        if job.state != WAITING:
            return job, None
        started = job._replace(
            state=RUNNING,
            attempt=job.attempt + 1,
            nonce=request,
            holder=holder,
            is_due=False,
            is_late=False,
            was_spared=False,
            places=job.places & ~(IN_WAITING | (IN_RETRYING if job.attempt > 0 else 0)) | IN_RUNNING,
        )
        return started, (started.attempt, request)

    def renew(self, job: Job, token: Token, holder: int) -> Job:
        """renew_leases: up to the deadline."""
        if not self.is_running_as(job, token, "renew") or job.holder != holder:
            return job
        return job._replace(is_due=job.is_late)

    def detach(self, job: Job, token: Token) -> Job:
        """detach_jobs."""
        if not self.is_running_as(job, token, "detach"):
            return job
        return self.let_go(job)

    def let_go(self, job: Job) -> Job:
        """Only the deadline counts from now on."""
        return job._replace(holder=0, is_due=job.is_late)

    def release(self, job: Job, token: Token) -> Job:
        """release_jobs."""
        if not self.is_running_as(job, token, "release"):
            return job
        spent = self.given_back(job)
        job = job._replace(holder=0, nonce=0, heard=False, is_due=False, is_late=False, places=job.places & ~IN_RUNNING)
        job = self.put_waiting(job._replace(attempt=spent))
        return self.cancel_waiting(job) if job.cancel_requested else job

    def given_back(self, job: Job) -> int:
        """The attempts that are spent when the current one was never made."""
        return job.attempt - 1

    def beat(self, job: Job, token: Token | None, extend: bool) -> Job:
        """beat_jobs; without a token the current attempt is meant."""
        if not self.is_running_as(job, token or (job.attempt, job.nonce), "beat"):
            return job
        is_late = job.is_late and not extend
        # A lease that has lapsed stays so: the deadline moves, the score only without a holder.
        return job._replace(heard=True, is_late=is_late, is_due=job.is_due if job.holder else is_late)

    def expired(self, job: Job) -> tuple[Job, str]:
        """expired_jobs, of a job that is due: what is to be ended for, "" for nothing.

        A function that told that it goes on needs no replica to hold its call.
        """
        if job.holder and job.heard and not job.is_late:
            return self.let_go(job), ""
        return job, "lost" if job.holder and not job.is_late else "timeout"

    def settle(self, job: Job, token: Token, said: str, *, lapsed: bool = False) -> Job:
        """settle_jobs, with what domain/settlement decides."""
        verb = self.decide(job, said)
        if self.refuses(job, token, verb, lapsed=lapsed):
            return job
        verb = self.overrule(job, verb)
        job = counted(self.leave_index(job), said)
        return self.finish(job, FINAL[verb]) if verb in FINAL else self.wait_again(job, verb, said)

    def decide(self, job: Job, said: str) -> str:
        """What follows from the end of the current attempt."""
        match said:
            case "success":
                return "succeed"
            case "snooze":
                return "spare"
            case "stop":
                return "cancel"
            case "failure for good":
                return "die"
            case "lost":
                return "die" if job.lost + 1 >= self.lost_limit else "retry"
        return "die" if job.attempt - job.lost >= self.max_attempts else "retry"

    def refuses(self, job: Job, token: Token, verb: str, *, lapsed: bool) -> bool:
        """Whether the ending is one of an attempt that is over, or never was."""
        if job.is_final or job.is_never_called:
            return True
        if verb == "succeed":
            return self.is_made_up(job, token)
        return not self.is_running_as(job, token, "settle") or (lapsed and not self.has_lapsed(job))

    def is_made_up(self, job: Job, token: Token) -> bool:
        """The nonces of older attempts are not known any more, nor that of the last when the next was given back."""
        last = self.last_attempt(job)
        number, nonce = token
        return number > last or (number == last and job.nonce not in (0, nonce))

    def last_attempt(self, job: Job) -> int:
        return job.attempt + 1 if job.state == WAITING and job.was_spared else job.attempt

    def has_lapsed(self, job: Job) -> bool:
        """Asked again at the end: its holder may have renewed since, or its function told that it goes on."""
        return job.is_due and not (job.heard and not job.is_late)

    def overrule(self, job: Job, verb: str) -> str:
        """Somebody wanted the job to be stopped."""
        if job.state == RUNNING and job.cancel_requested and verb not in ("succeed", "cancel"):
            return "cancel"
        return verb

    def leave_index(self, job: Job) -> Job:
        if job.state == RUNNING:
            places = job.places & ~IN_RUNNING
            return job._replace(holder=0, heard=False, is_due=False, is_late=False, places=places)
        return self.drop_waiting(job)

    def wait_again(self, job: Job, verb: str, said: str) -> Job:
        if verb == "spare":
            return self.put_waiting(job._replace(attempt=job.attempt - 1, spares=job.spares + 1, was_spared=True))
        return self.put_waiting(self.count_loss(job) if said == "lost" else job)

    def count_loss(self, job: Job) -> Job:
        return job._replace(lost=job.lost + 1)

    def finish(self, job: Job, state: str) -> Job:
        return job._replace(state=state, places=job.places | FINISHED[state])

    def put_waiting(self, job: Job) -> Job:
        places = job.places | IN_WAITING | (IN_RETRYING if job.attempt > 0 else 0)
        return job._replace(state=WAITING, places=places)

    def drop_waiting(self, job: Job) -> Job:
        return job._replace(places=job.places & ~(IN_WAITING | (IN_RETRYING if job.attempt > 0 else 0)))

    def cancel_waiting(self, job: Job) -> Job:
        """lib/cancel."""
        return self.finish(self.drop_waiting(job)._replace(was_spared=False), CANCELLED)

    def cancel(self, job: Job) -> Job:
        """change_jobs, by a person: one that waits ends, the function of one that runs is asked to stop."""
        if job.state == WAITING:
            return self.cancel_waiting(job)
        return job._replace(cancel_requested=True) if job.state == RUNNING else job

    def retry(self, job: Job) -> Job:
        """lib/retry, by a person: a dead or cancelled one waits as if it had never been tried."""
        if job.state not in (DEAD, CANCELLED):
            return job
        return self.put_waiting(Job(heard=job.heard, places=job.places & ~FINISHED[job.state]))


def counted(job: Job, said: str) -> Job:
    """How an attempt really ended."""
    if said == "lost":
        return job._replace(losses=job.losses + 1)
    return job._replace(failures=job.failures + 1) if said in ("failure", "timeout") else job
