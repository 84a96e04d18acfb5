"""The leases of this replica's calls in flight, renewed together.

While a call is held, its job's place in the index is "so long from now", moved on every third of a lease. A replica
that dies stops moving it, and the poller of any other finds the job. A call that is over before the first renewal, as
most are, costs nothing here.
"""

import asyncio
import logging
from collections import defaultdict

from coordinator.calling.caller import CallLimit
from coordinator.domain.job import Attempt
from coordinator.errors import StoreUnavailable
from coordinator.store.jobs import JobStore

log = logging.getLogger(__name__)


class Leases:
    """What this replica holds, by shard."""

    def __init__(self, jobs: JobStore, holder: str, lease_ms: int) -> None:
        """`holder` is the replica's id."""
        self._jobs = jobs
        self._holder = holder
        self._lease_ms = lease_ms
        self._held: dict[int, dict[str, Attempt]] = defaultdict(dict)
        self._limits: dict[str, CallLimit] = {}

    def take(self, shard: int, attempt: Attempt) -> None:
        """Renew this attempt from now on."""
        self._held[shard][attempt.job_id] = attempt

    def drop(self, shard: int, attempt: Attempt) -> None:
        """Renew it no longer; a later attempt of the same job that is held too stays."""
        if self._held[shard].get(attempt.job_id) is attempt:
            del self._held[shard][attempt.job_id]
        self._limits.pop(attempt.nonce + attempt.job_id, None)

    def limit_of(self, shard: int, attempt: Attempt) -> CallLimit:
        """How long its call may take. If its function asks for more, the next renewal hears of it, or the end."""
        limit = CallLimit(attempt.spec.timeout_ms / 1000, lambda: self._left_of(shard, attempt))
        self._limits[attempt.nonce + attempt.job_id] = limit
        return limit

    def held(self) -> list[tuple[int, list[Attempt]]]:
        """All that is held, by shard."""
        return [(shard, list(attempts.values())) for shard, attempts in self._held.items() if attempts]

    async def run(self) -> None:
        """Renew every third of a lease, for ever."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            # All at once: a shard whose server is away must not let the leases of the others lapse.
            await asyncio.gather(*(self._renew(shard, attempts) for shard, attempts in self.held()))

    async def _left_of(self, shard: int, attempt: Attempt) -> float:
        """The seconds that an attempt has left by the store's clock, where a function may have asked for more."""
        while True:
            try:
                _, left = await self._jobs.renew(shard, [attempt], holder=self._holder, lease_ms=self._lease_ms)
            except StoreUnavailable:
                # Nothing could be recorded now anyway, and what was heard counts.
                await asyncio.sleep(1)
            else:
                return left.get(attempt.job_id, 0) / 1000

    async def _renew(self, shard: int, attempts: list[Attempt]) -> None:
        try:
            gone, left = await self._jobs.renew(shard, attempts, holder=self._holder, lease_ms=self._lease_ms)
        except StoreUnavailable as error:
            # The calls go on: if their leases lapse they may be made twice, which is better than not at all.
            log.warning(
                "leases could not be renewed", extra={"event": "lease.failed", "shard": shard, "error": error.code}
            )
            return
        for attempt in attempts:
            limit = self._limits.get(attempt.nonce + attempt.job_id)
            if limit and attempt.job_id in left:
                limit.extend(left[attempt.job_id] / 1000)
            if attempt.job_id in gone:
                # Its receipt came, or another replica took it over. The answer to the call will find that out.
                self.drop(shard, attempt)
