"""The protocol, each time with one thing wrong that somebody might get wrong: what the search is tried on.

A mutant that lived would mean that the model, or what is asked of it, does not see what it is for.
"""

from typing import NamedTuple

from tests.proof import invariants
from tests.proof.protocol import IN_RETRYING, IN_RUNNING, IN_WAITING, RUNNING, Job, Scripts, Token
from tests.proof.search import NO_STUCK
from tests.proof.world import Left, Next, Request, World


def unfenced(forgetful: str) -> type[Scripts]:
    """One script takes whoever asks for the attempt that runs."""

    class Unfenced(Scripts):
        def is_running_as(self, job: Job, token: Token, script: str) -> bool:
            return job.state == RUNNING if script == forgetful else super().is_running_as(job, token, script)

    return Unfenced


class NumberOnly(Scripts):
    """Attempts are told apart by their number alone."""

    def is_running_as(self, job: Job, token: Token, script: str) -> bool:
        return job.state == RUNNING and job.attempt == token[0]


class ForgetsClaims(Scripts):
    """A claim that is repeated is a new claim."""

    def claim(self, job: Job, *, is_known: bool, holder: int, request: int) -> tuple[Job, Token | None]:
        return super().claim(job, is_known=False, holder=holder, request=request)


class AsksAgain(invariants.SoundLife):
    """A replica goes on with the request that was answered."""

    def answered(self, nonce: int) -> Request:
        return Request(nonce, is_known=True)


class LeaseNotAskedAgain(Scripts):
    """What was found lapsed is ended, whatever its holder did since."""

    def has_lapsed(self, job: Job) -> bool:
        return True


class HeardNotAskedAgain(Scripts):
    """The score alone tells that an attempt has lapsed; a heartbeat leaves it to the leader to move that."""

    def has_lapsed(self, job: Job) -> bool:
        return job.is_due


class SuccessLeavesIndex(Scripts):
    """A success of a job that waits again leaves it in its line."""

    def leave_index(self, job: Job) -> Job:
        return super().leave_index(job) if job.state == RUNNING else job


class RetryingLeft(Scripts):
    """A claim takes the job out of its line, and leaves it listed as retrying."""

    def claim(self, job: Job, *, is_known: bool, holder: int, request: int) -> tuple[Job, Token | None]:
        after, token = super().claim(job, is_known=is_known, holder=holder, request=request)
        return after._replace(places=after.places | job.places & IN_RETRYING), token


class HolderKept(Scripts):
    """A replica that has let go of a call is still named as its holder."""

    def let_go(self, job: Job) -> Job:
        return job._replace(is_due=job.is_late)


class NoDeadline(invariants.SoundLife):
    """A receipt is waited for without end."""

    def deadline_passes(self, world: World) -> Next:
        return iter(())


class NoLease(invariants.SoundLife):
    """Who holds a call holds it until its end."""

    def time_passes(self, world: World) -> Next:
        return iter(()) if world.job.holder else super().time_passes(world)


class StopUndone(Scripts):
    """A job that is to be stopped and fails is tried again."""

    def overrule(self, job: Job, verb: str) -> str:
        return verb


class StopUndoneByRelease(Scripts):
    """A job that is to be stopped and is given back is called after all."""

    def release(self, job: Job, token: Token) -> Job:
        return super().release(job._replace(cancel_requested=False), token)


class FinalForgotten(Scripts):
    """An ending is taken by whoever names the last attempt, whether it runs or not."""

    def refuses(self, job: Job, token: Token, verb: str, *, lapsed: bool) -> bool:
        return super().refuses(job, token, verb, lapsed=lapsed) and not (
            job.is_final and (job.attempt, job.nonce) == token
        )


class ReleaseSpends(Scripts):
    """What was never sent is counted all the same."""

    def given_back(self, job: Job) -> int:
        return job.attempt


class LostForEver(Scripts):
    """A job that kills its replicas is tried for ever."""

    def decide(self, job: Job, said: str) -> str:
        return "retry" if said == "lost" else super().decide(job, said)


class LossesUncounted(Scripts):
    """A loss is taken for an attempt that failed."""

    def count_loss(self, job: Job) -> Job:
        return job


class LossesSpend(Scripts):
    """A replica that died costs the job an attempt."""

    def decide(self, job: Job, said: str) -> str:
        return super().decide(job._replace(lost=0), said) if said == "failure" else super().decide(job, said)


class RetryStaysStopped(Scripts):
    """A job that was stopped and is tried anew is still to be stopped."""

    def retry(self, job: Job) -> Job:
        return super().retry(job)._replace(cancel_requested=job.cancel_requested)


class BelievesSuccess(Scripts):
    """Any success is taken, of whatever attempt."""

    def is_made_up(self, job: Job, token: Token) -> bool:
        return False


class OnlyCurrentSucceeds(Scripts):
    """The work that an earlier attempt has done does not count."""

    def is_made_up(self, job: Job, token: Token) -> bool:
        return not self.is_running_as(job, token, "settle")


class ReleaseHidesSuccess(Scripts):
    """Once an attempt was given back, the one before it is not believed any more."""

    def is_made_up(self, job: Job, token: Token) -> bool:
        return token[0] > self.last_attempt(job) or (token[0] == self.last_attempt(job) and token[1] != job.nonce)


class ReleaseLeavesHeard(Scripts):
    """What was heard while an attempt was to be sent is taken to be said of the next."""

    def release(self, job: Job, token: Token) -> Job:
        after = super().release(job, token)
        return after if after == job else after._replace(heard=job.heard)


class SnoozeGivesBackTwice(Scripts):
    """A snooze returns an attempt more than it took."""

    def wait_again(self, job: Job, verb: str, said: str) -> Job:
        return super().wait_again(job._replace(attempt=job.attempt - (verb == "spare")), verb, said)


class TwiceInLine(Scripts):
    """A job that waits again stays among those that run."""

    def put_waiting(self, job: Job) -> Job:
        after = super().put_waiting(job)
        return after._replace(places=after.places | (IN_RUNNING if after.places & IN_WAITING and job.nonce else 0))


class Mutant(NamedTuple):
    """What is wrong, what may happen meanwhile, and what it must be caught by."""

    wrong: type[Scripts] | type[invariants.SoundLife]
    left: Left
    caught_by: str

    @property
    def name(self) -> str:
        return self.wrong.__name__

    def life(self) -> invariants.SoundLife:
        if issubclass(self.wrong, Scripts):
            return invariants.SoundLife(self.wrong(), self.left)
        return self.wrong(left=self.left)


PLAIN = Left()
MUTANTS = {
    "a failure of any attempt": Mutant(unfenced("settle"), PLAIN, invariants.NO_STALE_MOVE),
    "a detach of any attempt": Mutant(unfenced("detach"), PLAIN, invariants.NO_STALE_MOVE),
    "a release of any attempt": Mutant(unfenced("release"), PLAIN, invariants.NO_STALE_MOVE),
    "a renewal of any attempt": Mutant(unfenced("renew"), PLAIN, invariants.NO_STALE_MOVE),
    "a heartbeat of any attempt": Mutant(unfenced("beat"), Left(beats=1), invariants.NO_STALE_MOVE),
    "number only, failover": Mutant(NumberOnly, Left(failovers=1), invariants.NO_STALE_MOVE),
    "number only, snooze": Mutant(NumberOnly, Left(snoozes=1), invariants.NO_STALE_MOVE),
    "claims are not repeated": Mutant(ForgetsClaims, PLAIN, invariants.NO_ORPHAN),
    "answered requests are repeated": Mutant(AsksAgain, PLAIN, invariants.ONE_REQUEST),
    "lease not asked again": Mutant(LeaseNotAskedAgain, PLAIN, invariants.LAPSED_ONLY),
    "heard not asked again": Mutant(HeardNotAskedAgain, Left(beats=1), invariants.LAPSED_ONLY),
    "success leaves its index": Mutant(SuccessLeavesIndex, PLAIN, invariants.ONE_INDEX),
    "claim leaves retrying": Mutant(RetryingLeft, PLAIN, invariants.ONE_INDEX),
    "waits and runs": Mutant(TwiceInLine, PLAIN, invariants.ONE_INDEX),
    "holder kept": Mutant(HolderKept, PLAIN, invariants.LETS_GO),
    "no deadline": Mutant(NoDeadline, PLAIN, NO_STUCK),
    "no lease": Mutant(NoLease, PLAIN, NO_STUCK),
    "stop undone by a failure": Mutant(StopUndone, Left(cancels=1), invariants.STOPS),
    "stop undone by a release": Mutant(StopUndoneByRelease, Left(cancels=1, releases=1), invariants.STOPS),
    "failure after the end": Mutant(FinalForgotten, PLAIN, invariants.FINAL_STAYS),
    "release spends": Mutant(ReleaseSpends, Left(releases=1), invariants.BOUNDS),
    "lost for ever": Mutant(LostForEver, PLAIN, invariants.BOUNDS),
    "losses uncounted": Mutant(LossesUncounted, PLAIN, invariants.EARNED_DEATH),
    "losses spend": Mutant(LossesSpend, PLAIN, invariants.EARNED_DEATH),
    "retry stays stopped": Mutant(RetryStaysStopped, Left(cancels=1, retries=1), invariants.LEAVES_NOTHING),
    "release leaves heard": Mutant(ReleaseLeavesHeard, Left(beats=1, releases=1), invariants.LEAVES_NOTHING),
    "success is believed": Mutant(BelievesSuccess, Left(forgeries=1), invariants.REAL_SUCCESS),
    "only the current succeeds": Mutant(OnlyCurrentSucceeds, PLAIN, invariants.SUCCESS_COUNTS),
    "release hides a success": Mutant(ReleaseHidesSuccess, Left(releases=1), invariants.SUCCESS_COUNTS),
    "snooze gives back twice": Mutant(SnoozeGivesBackTwice, Left(snoozes=1), invariants.NUMBERS_RISE),
}
