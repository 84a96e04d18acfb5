"""Every way an attempt can end comes here: a receipt, the answer of a call, a lease or deadline that passed.

The decision is `domain.settlement.decide`, the act is one script. An ending names the attempt it ends, by number and
nonce, and Redis compares both: whoever is too late changes nothing.
"""

import random
from collections.abc import Sequence

import msgspec

from coordinator.domain.ids import shard_of_id
from coordinator.domain.job import Attempt, Spec, Tally
from coordinator.domain.outcome import Beat, Cancel, Ending, Success
from coordinator.domain.receipt_token import Fence
from coordinator.domain.settlement import Settlement, decide
from coordinator.engine.group_commit import GroupCommit
from coordinator.engine.outbox import Outbox, Wake
from coordinator.engine.witness import Witness
from coordinator.store.jobs import BATCH_LIMIT, JobStore, job_not_found
from coordinator.store.records import Ended
from coordinator.store.replies import Beaten, Settled


class Settler:
    """Ends attempts, those that end together in one script."""

    def __init__(self, jobs: JobStore, wake: Wake, outbox: Outbox, witness: Witness) -> None:
        """`wake` is told when an ending made something claimable: a freed slot, a retry that is due at once."""
        self.outbox = outbox
        self._witness = witness
        self._jobs = jobs
        self._wake = wake
        self._endings = GroupCommit(
            self._commit, BATCH_LIMIT, lambda end: len(end.settlement.error) + len(end.settlement.result)
        )

    async def settle(self, attempt: Attempt, ending: Ending, *, lapsed: bool = False) -> Settled:
        """End an attempt that this replica claimed, or found lapsed."""
        settlement = decide(ending, attempt.tally, attempt.spec, _chance())
        return await self._submit(Ended(attempt.job_id, settlement, attempt.tally.attempt, attempt.nonce, lapsed))

    async def receive(self, job_id: str, ending: Ending, fence: Fence) -> Settled:
        """End an attempt by its receipt. Raises `StoreUnavailable`, `NotFound`."""
        attempt, nonce = fence.attempt, fence.nonce
        if isinstance(ending, Success | Cancel):
            settlement = _decide_without_job(ending)
        else:
            job = await self._jobs.read(job_id)
            # The decision is made for the attempt that was read, and must not hit a later one.
            nonce = job.nonce if attempt is None else nonce
            settlement = decide(ending, job.tally, job.spec, _chance())
        return await self._submit(Ended(job_id, settlement, attempt, nonce))

    async def beat(self, job_id: str, beat: Beat, fence: Fence) -> Beaten:
        """An attempt goes on. Raises as `receive` does."""
        return await self._jobs.beat(job_id, fence.attempt, fence.nonce, beat)

    async def drain(self) -> None:
        """Wait for what is under way."""
        await self._endings.drain()

    async def _submit(self, ended: Ended) -> Settled:
        shard = shard_of_id(ended.job_id)
        if shard is None:
            raise job_not_found(ended.job_id)
        return await self._endings.submit(shard, ended)

    async def _commit(self, shard: int, endings: Sequence[Ended]) -> list[Settled]:
        done = await self._jobs.settle(shard, endings)
        self._wake(shard, done.due_in_ms)
        if done.outbox:
            self.outbox.notice(shard)
        for ended, settled in zip(endings, done.settled, strict=True):
            self._witness.settled(ended, settled)
        return done.settled


def _decide_without_job(ending: Success | Cancel) -> Settlement:
    """A success and a cancellation depend on nothing that the job has been through."""
    return decide(ending, Tally(attempt=1), _NO_SPEC, 0)


_NO_SPEC = Spec(worker="", args=msgspec.Raw())


def _chance() -> float:
    return random.uniform(-1, 1)  # noqa: S311 - spreads retries, protects nothing
