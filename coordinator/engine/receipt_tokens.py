"""The tokens with which functions report."""

import time

from coordinator.domain.job import Attempt
from coordinator.domain.receipt_token import PURPOSE, VALID_FOR_MS, Fence, issue, key_in, verify
from coordinator.engine.shared_keys import SharedKeys
from coordinator.errors import StoreUnavailable, Unauthenticated


class ReceiptTokens:
    """Issues and verifies them, the same on every replica."""

    def __init__(self, shared: SharedKeys) -> None:
        """Issues none before `agree`."""
        self._shared = shared
        self._keys: dict[str, bytes] = {}
        self._former: dict[str, bytes] = {}
        self._former_until_s = 0.0

    async def agree(self) -> None:
        """Have the key that all replicas have. Raises `StoreUnavailable`."""
        if not self._keys:
            self._former, self._former_until_s = await self._shared.derived_before(PURPOSE)
            self._keys = await self._shared.derived(PURPOSE)

    def of(self, attempt: Attempt) -> str:
        """The token for an attempt's call. After `agree`."""
        key_id, key = next(iter(self._keys.items()))
        expires_at_s = (attempt.deadline_at + VALID_FOR_MS) // 1000
        return issue(key_id, key, attempt.job_id, fence_of(attempt), expires_at_s)

    async def verified(self, text: str, job_id: str) -> Fence:
        """The attempt of this job that a token is for. Raises `Unauthenticated`, `StoreUnavailable`."""
        await self.agree()
        now_s = time.time()
        believed = self._former | self._keys if now_s < self._former_until_s else self._keys
        fence = verify(believed, text, job_id, now_s)
        if fence is None and await self._shared.lacks(key_in(text) or ""):
            raise StoreUnavailable("key_missing", "This replica lacks the key of the token; another one has it.")
        if fence is None:
            detail = (
                "The token is not that of a call for this job, or has expired; send back the one that came with it."
            )
            raise Unauthenticated("unauthenticated", detail)
        return fence


def fence_of(attempt: Attempt) -> Fence:
    """What names an attempt."""
    return Fence(attempt.tally.attempt, attempt.nonce)
