"""What may happen to one job at any moment: two replicas, the functions that they call, the clock, people, a failover.

```
 replica   asks ─▶ got ─┬─▶ sent ─┬─ settles what was answered     each script may run and its reply be lost: then it is
                        │         └─ detaches                      run again, at any time later; each replica may crash,
                        └─▶ kept back ── releases                  or sleep between any two steps
           reads what has lapsed ─▶ ends it
 function  says once how it went, and then says it again whenever it likes; beats, also without a token
 clock     a lease, a deadline or the memory of a claim passes
 person    cancels, retries by hand
 failover  the replica of Redis falls behind; later it is what there is
```

Who slept is not kept: in any state, anybody may say anything of any attempt that there ever was (`sleepers_wake`), and
as long as the fences hold nothing comes of it. So what replicas know is kept for the current attempt alone. What a
function says is chosen when it is first heard. A job that has ended is looked at once more, by all who know of it; then
it goes on only by a person or a failover. `Left` bounds what no rule of the protocol bounds.
"""

from collections.abc import Hashable, Iterator
from typing import NamedTuple

from tests.proof.protocol import CANCELLED, DEAD, RUNNING, WAITING, Job, Scripts, Token
from tests.proof.search import Step

ASKED, GOT, KEPT_BACK, SENT = "asked", "got", "kept back", "sent"
"""Of an attempt: claimed without an answer, in a replica's memory, not to be sent, sent without a word so far."""

UNHEARD = (ASKED, "")
"""A replica never heard of it, nor will when the claim was answered with nothing."""

NAMES = ("replica 1", "replica 2")
SAYINGS = {"success": "", "failure": "", "failure for good": "refusals", "snooze": "snoozes", "stop": "stops"}
"""What a function can say, and what of `Left` bounds it."""

LAPSES = ("lost", "timeout")


class Attempt(NamedTuple):
    """What became of the attempt of a nonce: one of the words above, or what its function has said."""

    number: int
    fate: str


class Request(NamedTuple):
    """A replica's claim that got no answer yet. `is_known`: Redis remembers it as this replica's last."""

    nonce: int = 0
    is_known: bool = False


class Left(NamedTuple):
    """How often each of these may still happen."""

    releases: int = 0
    snoozes: int = 0
    refusals: int = 0
    stops: int = 0
    beats: int = 0
    cancels: int = 0
    retries: int = 0
    stragglers: int = 0
    forgeries: int = 0
    failovers: int = 0


class World(NamedTuple):
    """`attempts` are by nonce, from 1.

    `is_held`: the replica that claimed the current attempt lives and attends to it. `found`: what pollers have read of
    the current attempt and not acted on yet. `has_fault`: a replica crashed, or Redis forgot. `is_anew`: a person or a
    failover took the job back to before.
    """

    job: Job = Job()
    attempts: tuple[Attempt, ...] = ()
    requests: tuple[Request, Request] = (Request(), Request())
    is_held: bool = False
    found: tuple[str, ...] = ()
    left: Left = Left()
    has_fault: bool = False
    is_anew: bool = False
    behind: Job | None = None


Next = Iterator[tuple[Step, World]]


class Life:
    """The model of one job's life, for `search`."""

    def __init__(self, scripts: Scripts | None = None, left: Left | None = None) -> None:
        self.scripts = scripts or Scripts()
        self.first = World(left=left or Left())

    def steps(self, world: World) -> Next:
        job = world.job
        if not job.is_final:
            yield from self.claims(world)
            if job.state == RUNNING:
                yield from self.attends(world)
                yield from self.polls(world)
                yield from self.time_passes(world)
            for nonce, attempt in enumerate(world.attempts, 1):
                if attempt.fate == GOT and not is_current(world.job, nonce, attempt.number):
                    yield ("who slept", "sends", nonce), with_fate(world, nonce, SENT)
        for nonce, attempt in enumerate(world.attempts, 1):
            if is_called(attempt):
                yield from self.reports(world, nonce)
            if not is_current(job, nonce, attempt.number):
                yield from self.sleepers_wake(world, nonce, attempt.number)
        if world.left.forgeries:
            yield from self.makes_up(world)
        yield from self.people_act(world)
        if world.left.failovers:
            yield from self.fails_over(world)

    # Replicas

    def claims(self, world: World) -> Next:
        """Each asks anew when the job waits, or again while it got no answer."""
        for who, request in enumerate(world.requests):
            if request.nonce or world.job.state == WAITING:
                yield from self.claims_as(world, who, request)
        if world.left.stragglers and world.job.state == WAITING:
            for nonce in range(1, len(world.attempts) + 1):
                job, _ = self.scripts.claim(world.job, is_known=False, holder=1, request=nonce)
                late = moved(world, job)._replace(is_held=False, has_fault=True)
                yield ("redis", "runs a try of the claim that was given up,", nonce), spend(late, "stragglers")

    def claims_as(self, world: World, who: int, request: Request) -> Next:
        """The script runs, and its reply is heard or lost."""
        nonce = request.nonce or len(world.attempts) + 1
        job, token = self.scripts.claim(world.job, is_known=request.is_known, holder=who + 1, request=nonce)
        after = moved(world, job)
        if token:
            after = with_attempt(after, nonce, Attempt(token[0], ASKED))
        if job != world.job:
            yield (NAMES[who], "claims and hears nothing", nonce), with_request(after, who, Request(nonce, True))
        heard = with_request(after, who, self.answered(nonce))
        if token:
            heard = with_attempt(heard, nonce, Attempt(token[0], GOT))._replace(is_held=True)
        elif nonce <= len(world.attempts) and world.attempts[nonce - 1].fate == ASKED:
            heard = with_fate(heard, nonce, "")
        yield (NAMES[who], "claims", nonce), heard

    def answered(self, nonce: int) -> Request:
        """What a replica asks for again once it got an answer."""
        return Request()

    def attends(self, world: World) -> Next:
        """The replica that has the current attempt goes on with it, if it lives."""
        if not world.is_held:
            return
        job, scripts = world.job, self.scripts
        nonce, name, token = job.nonce, NAMES[job.holder - 1], (job.attempt, job.nonce)
        fate = world.attempts[nonce - 1].fate
        if fate == GOT:
            yield (name, "sends", nonce), with_fate(world, nonce, SENT)
            if world.left.releases:
                yield (name, "cannot send", nonce), spend(with_fate(world, nonce, KEPT_BACK), "releases")
        elif fate == KEPT_BACK:
            yield from heard_or_not(world, (name, "releases", nonce), scripts.release(job, token))
        else:
            for said, after in says(world, nonce):
                step = (name, f"settles an answered {said} of", nonce)
                yield from heard_or_not(after, step, scripts.settle(job, token, said))
            yield from heard_or_not(world, (name, "detaches", nonce), scripts.detach(job, token))
        renewed = scripts.renew(job, token, job.holder)
        if renewed != job:
            yield (name, "renews", nonce), world._replace(job=renewed)
        yield (name, "crashes over", nonce), world._replace(is_held=False, has_fault=True)

    def polls(self, world: World) -> Next:
        """expired_jobs reads, settle_jobs ends: anything may happen between."""
        job, token = world.job, (world.job.attempt, world.job.nonce)
        if job.is_due:
            after, kind = self.scripts.expired(job)
            if kind not in world.found:
                found = tuple(sorted((*world.found, kind))) if kind else world.found
                yield (
                    ("leader", f"reads {kind or 'that it goes on'} of", job.nonce),
                    world._replace(job=after, found=found),
                )
        for kind in world.found:
            ended = self.scripts.settle(job, token, kind, lapsed=True)
            rest = tuple(other for other in world.found if other != kind)
            yield ("leader", f"ends as {kind}", job.nonce), moved(world._replace(found=rest), ended)

    def sleepers_wake(self, world: World, nonce: int, number: int) -> Next:
        """Whoever had an attempt says of it whatever can be said but a success. Nothing comes of it by the fences."""
        job, scripts, token = world.job, self.scripts, (number, nonce)
        acts = [(f"ends as {kind}", scripts.settle(job, token, kind, lapsed=True)) for kind in LAPSES]
        if world.attempts[nonce - 1].fate not in UNHEARD:
            acts += [("detaches", scripts.detach(job, token)), ("releases", scripts.release(job, token))]
            acts += [("renews", scripts.renew(job, token, holder)) for holder in (1, 2)]
            acts += [(f"reports {said} of", scripts.settle(job, token, said)) for said in SAYINGS if said != "success"]
        for act, after in acts:
            if after != job:
                yield ("who slept", act, nonce), moved(world, after)

    # Functions

    def reports(self, world: World, nonce: int) -> Next:
        """Receipts come late, twice, out of order or never."""
        job, token = world.job, (world.attempts[nonce - 1].number, nonce)
        for said, after in says(world, nonce):
            ended = self.scripts.settle(job, token, said)
            if ended != job or (said == "success" and not job.is_final):
                yield ("function", f"reports {said} of", nonce), moved(after, ended)
        if world.left.beats and job.state == RUNNING:
            yield from self.beats(world, nonce, token)

    def makes_up(self, world: World) -> Next:
        """A receipt with a nonce that nobody was told, for the last attempt if its nonce is known, or one to come."""
        job, last = world.job, self.scripts.last_attempt(world.job)
        for said in SAYINGS:
            for number in (last, last + 1) if job.nonce else (last + 1,):
                ended = self.scripts.settle(job, (number, FORGED), said)
                if ended != job:
                    made_up = spend(moved(world, ended), "forgeries")
                    yield ("somebody", f"makes up {said} of", number), made_up

    def beats(self, world: World, nonce: int, token: Token) -> Next:
        """It goes on, and may need longer."""
        for words, named in (("beats", token), ("beats without a token", None)):
            for extend in (False, True):
                job = self.scripts.beat(world.job, named, extend)
                if job != world.job:
                    told = f"{words} for more time" if extend else words
                    yield ("function", told, nonce), spend(world._replace(job=job), "beats")

    # The clock

    def time_passes(self, world: World) -> Next:
        job = world.job
        if job.holder and not job.is_due:
            yield ("clock", "the lease lapses"), world._replace(job=job._replace(is_due=True))
        if not job.is_late:
            yield from self.deadline_passes(world)
        for who, request in enumerate(world.requests):
            if request.is_known:
                forgotten = with_request(world, who, request._replace(is_known=False))
                yield ("clock", "Redis forgets the claim", request.nonce), forgotten._replace(has_fault=True)

    def deadline_passes(self, world: World) -> Next:
        yield ("clock", "the deadline passes"), world._replace(job=world.job._replace(is_due=True, is_late=True))

    # People

    def people_act(self, world: World) -> Next:
        job = world.job
        if world.left.cancels and not job.is_final:
            yield ("person", "cancels"), spend(moved(world, self.scripts.cancel(job)), "cancels")
        if world.left.retries and job.state in (DEAD, CANCELLED):
            yield ("person", "retries"), spend(moved(world, self.scripts.retry(job))._replace(is_anew=True), "retries")

    # A failover

    def fails_over(self, world: World) -> Next:
        """The replica of Redis stops following at any moment, and is promoted at any later one."""
        if world.behind is None:
            yield ("redis", "falls behind"), world._replace(behind=world.job)
        elif world.behind != world.job:
            back = moved(world, world.behind)._replace(behind=None, has_fault=True, is_anew=True, is_held=False)
            for who, request in enumerate(world.requests):
                back = with_request(back, who, request._replace(is_known=False))
            yield ("redis", "fails over"), spend(back, "failovers")

    # For the search

    def form(self, world: World) -> Hashable:
        """What a state is apart from names: of replicas, which are alike, and of nonces, which are equal or are not.

        Attempts that are over differ only by number, if a replica had them and if they may still be sent or succeed:
        anything but a success is tried for each of them anyway.
        """
        job, behind = world.job, world.behind
        one, two = world.requests
        swaps = (two.nonce == job.nonce, two.is_known, job.holder == 2) < (
            one.nonce == job.nonce,
            one.is_known,
            job.holder == 1,
        )
        if swaps:
            job, one, two = swapped(job), two, one
            behind = behind and swapped(behind)
        attempts = set()
        for nonce, (number, fate) in enumerate(world.attempts, 1):
            is_last, is_asked = nonce == job.nonce, (nonce == one.nonce) + 2 * (nonce == two.nonce)
            is_over = not is_last and not is_asked and fate not in (GOT, SENT, "success")
            shown = fate if not is_over else ASKED if fate in UNHEARD else "over"
            attempts.add((number, shown, is_last, is_asked, behind is not None and nonce == behind.nonce))
        return (
            job._replace(nonce=job.nonce > 0),
            tuple(sorted(attempts)),
            (one.is_known, two.is_known),
            *world[3:8],
            behind and behind._replace(nonce=behind.nonce > 0),
        )

    def is_over(self, world: World) -> bool:
        return world.job.is_final

    def is_own(self, step: Step) -> bool:
        """Time and living replicas are enough: no function needs to say anything, no person to come."""
        return step[0] in ("clock", "leader", *NAMES) and "crashes" not in step[1] and "answered" not in step[1]


FORGED = 99


def is_called(attempt: Attempt) -> bool:
    return attempt.fate == SENT or attempt.fate in SAYINGS


def is_current(job: Job, nonce: int, number: int) -> bool:
    return job.state == RUNNING and (job.attempt, job.nonce) == (number, nonce)


def moved(world: World, job: Job) -> World:
    """What was known of an attempt means nothing when it is no longer the current one."""
    if is_current(world.job, job.nonce, job.attempt) and job.state == RUNNING:
        return world._replace(job=job)
    return world._replace(job=job, is_held=False, found=())


def swapped(job: Job) -> Job:
    """The replicas change places."""
    return job._replace(holder=3 - job.holder) if job.holder else job


def with_attempt(world: World, nonce: int, attempt: Attempt) -> World:
    return world._replace(attempts=(*world.attempts[: nonce - 1], attempt, *world.attempts[nonce:]))


def with_fate(world: World, nonce: int, fate: str) -> World:
    return with_attempt(world, nonce, world.attempts[nonce - 1]._replace(fate=fate))


def with_request(world: World, who: int, request: Request) -> World:
    one, two = world.requests
    return world._replace(requests=(request, two) if who == 0 else (one, request))


def spend(world: World, what: str) -> World:
    return world._replace(left=world.left._replace(**{what: getattr(world.left, what) - 1}))


def says(world: World, nonce: int) -> Iterator[tuple[str, World]]:
    """All that the function of a call can say: what it likes at first, then the same again."""
    fate = world.attempts[nonce - 1].fate
    if fate != SENT:
        yield fate, world
        return
    for said, bound in SAYINGS.items():
        if not bound or getattr(world.left, bound):
            after = with_fate(world, nonce, said)
            yield said, spend(after, bound) if bound else after


def heard_or_not(world: World, step: Step, job: Job) -> Next:
    """A script has run: its reply comes, and the replica is done with the attempt; or it does not."""
    after = moved(world, job)
    actor, act, nonce = step
    if job != world.job:
        yield (actor, f"{act} and hears nothing", nonce), after
    yield step, after._replace(is_held=False)
