"""The keys of the tokens with which functions report: derived from the settings, or else drawn once for the store."""

import time

from coordinator.domain.job import Attempt
from coordinator.domain.keyring import Keyring, hkdf
from coordinator.domain.receipt_token import PURPOSE, VALID_FOR_MS, Fence, issue, verify
from coordinator.errors import Unauthenticated
from coordinator.store.leadership import LeadershipStore

_STORED = "r0"
"""The id of the key that is kept in the store."""


class ReceiptTokens:
    """Issues and verifies them, the same on every replica."""

    def __init__(self, store: LeadershipStore, keyring: Keyring | None) -> None:
        """Without a keyring the key is kept in Redis, and whoever can read that could as well write there."""
        self._store = store
        self._keys = {} if keyring is None else keyring.derived(PURPOSE)

    async def agree(self) -> None:
        """Have the key that all replicas have. Raises `StoreUnavailable`."""
        if not self._keys:
            self._keys = {_STORED: hkdf(await self._store.receipt_key(), PURPOSE)}

    def of(self, attempt: Attempt) -> str:
        """The token for an attempt's call. After `agree`."""
        key_id, key = next(iter(self._keys.items()))
        expires_at_s = (attempt.deadline_at + VALID_FOR_MS) // 1000
        return issue(key_id, key, attempt.job_id, fence_of(attempt), expires_at_s)

    async def verified(self, text: str, job_id: str) -> Fence:
        """The attempt of this job that a token is for. Raises `Unauthenticated`, `StoreUnavailable`."""
        await self.agree()
        fence = verify(self._keys, text, job_id, time.time())
        if fence is None:
            detail = (
                "The token is not that of a call for this job, or has expired; send back the one that came with it."
            )
            raise Unauthenticated("unauthenticated", detail)
        return fence


def fence_of(attempt: Attempt) -> Fence:
    """What names an attempt."""
    return Fence(attempt.tally.attempt, attempt.nonce)
