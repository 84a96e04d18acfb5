"""What must hold of a job's life, in every state and at every step."""

from tests.proof.protocol import (
    DEAD,
    FINISHED,
    IN_RETRYING,
    IN_RUNNING,
    IN_WAITING,
    RUNNING,
    SUCCEEDED,
    WAITING,
    Job,
    Scripts,
)
from tests.proof.search import Step
from tests.proof.world import ASKED, GOT, NAMES, Life, World, is_current

ONE_INDEX = "each job stands in exactly the indexes that its state names"
FINAL_STAYS = "a final state stays, unless a person retries"
NO_STALE_MOVE = "what is said of one attempt, but a success, changes no other"
BOUNDS = "attempts and losses are counted, once each, and stay in bounds"
NUMBERS_RISE = "numbers of attempts go back by no more than what was given back"
ONE_REQUEST = "an attempt is sent once at the most"
LETS_GO = "there is a holder exactly as long as a replica holds the call"
LEAVES_NOTHING = "nothing of an attempt is left when it is over"
REAL_SUCCESS = "succeeded means that a function said so"
SUCCESS_COUNTS = "a success of an attempt that was sent ends a job that is not final"
EARNED_DEATH = "dead means attempts used up, losses used up, or a failure for good"
NO_ORPHAN = "without a fault, who is named as the holder knows of it"
LAPSED_ONLY = "only what has lapsed is ended for that"
STOPS = "what was to be stopped is not called again"

ALL = (
    ONE_INDEX,
    FINAL_STAYS,
    NO_STALE_MOVE,
    BOUNDS,
    NUMBERS_RISE,
    ONE_REQUEST,
    LETS_GO,
    LEAVES_NOTHING,
    REAL_SUCCESS,
    SUCCESS_COUNTS,
    EARNED_DEATH,
    NO_ORPHAN,
    LAPSED_ONLY,
    STOPS,
)


def broken_in(scripts: Scripts, world: World) -> str | None:
    """The property that does not hold in this state."""
    job = world.job
    if job.places != places_of(job):
        return ONE_INDEX
    if (job.holder and job.state != RUNNING) or (job.state == RUNNING and job.nonce == 0):
        return LETS_GO
    if job.state != RUNNING and (job.heard or job.is_due or job.is_late):
        return LEAVES_NOTHING
    if job.state == WAITING and job.cancel_requested:
        return LEAVES_NOTHING
    if not job.is_final and job.attempt != job.failures + job.losses + (job.state == RUNNING):
        return BOUNDS
    if job.failures > scripts.max_attempts or job.losses > scripts.lost_limit:
        return BOUNDS
    if job.state == RUNNING and (job.failures >= scripts.max_attempts or job.losses >= scripts.lost_limit):
        return BOUNDS
    if job.state == SUCCEEDED and not any(attempt.fate == "success" for attempt in world.attempts):
        return REAL_SUCCESS
    if job.holder and not world.has_fault and not (world.is_held or is_asked_for(world)):
        return NO_ORPHAN
    return None


def places_of(job: Job) -> int:
    """The indexes that a state names."""
    if job.state == WAITING:
        return IN_WAITING | (IN_RETRYING if job.attempt > 0 else 0)
    return IN_RUNNING if job.state == RUNNING else FINISHED[job.state]


def is_asked_for(world: World) -> bool:
    """Whether the holder of the current attempt has not been told of it yet, and asks again."""
    return world.requests[world.job.holder - 1].nonce == world.job.nonce


def broken_by(scripts: Scripts, before: World, step: Step, after: World) -> str | None:
    """The property that this step breaks."""
    actor, act, *rest = step
    nonce = rest[0] if rest else 0
    known = before.attempts[nonce - 1] if 0 < nonce <= len(before.attempts) else None
    if known and ((act == "sends" and known.fate != GOT) or (act == "claims" and known.fate != ASKED)):
        return ONE_REQUEST
    if actor in NAMES and "detaches" in act and after.job.holder and after.job.nonce == nonce:
        return LETS_GO
    if "success" in act and not after.job.is_final and not before.is_anew:
        return SUCCESS_COUNTS
    if before.job == after.job or actor == "redis":
        return None
    if before.job.is_final and act != "retries":
        return FINAL_STAYS
    says_so = actor in (*NAMES, "function", "somebody", "who slept") and "claims" not in act
    is_stale = not (known and is_current(before.job, nonce, known.number))
    if says_so and is_stale and "success" not in act and "without a token" not in act:
        return NO_STALE_MOVE
    return broken_move(scripts, before.job, act, after.job)


def broken_move(scripts: Scripts, before: Job, act: str, after: Job) -> str | None:
    """The same, for a step that changed the job."""
    if after.attempt < before.attempt - gives_back(act) and act != "retries":
        return NUMBERS_RISE
    if "ends as" in act and not (before.is_due and (before.is_late or not before.heard)):
        return LAPSED_ONLY
    if before.cancel_requested and after.state == WAITING and act != "retries":
        return STOPS
    if after.state == DEAD and not (
        after.failures >= scripts.max_attempts or after.losses >= scripts.lost_limit or "failure for good" in act
    ):
        return EARNED_DEATH
    return None


def gives_back(act: str) -> int:
    """By how much a step may lower the number."""
    return int("releases" in act or "snooze" in act)


class SoundLife(Life):
    """A job's life, with what must hold of it."""

    def broken_by(self, before: World, step: Step, after: World) -> str | None:
        return broken_by(self.scripts, before, step, after)

    def broken_in(self, world: World) -> str | None:
        return broken_in(self.scripts, world)
