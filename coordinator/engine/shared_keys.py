"""What all replicas sign with: the keys of the settings, or else one that was drawn once for the store.

Whoever can write in Redis can do everything already. Who can only read there, or in a copy of it, cannot forge what is
signed with keys of the settings; with a key that lies in Redis he can.

While the first keys are rolled out, some replicas have them and some do not: those that have them still believe, for
as long as such a token is good, what was signed with the key in Redis; and those that do not know that they lack one.
"""

import time

from coordinator.domain.keyring import Keyring
from coordinator.store.leadership import LeadershipStore

_STORED = "r0"
"""The id of the key that is kept in the store."""

_STORED_BELIEVED_S = 3 * 86_400
"""From the first start with keys on. A call may take a day, its token is good for one more."""

_LOOKED_EACH_S = 1.0
"""Anybody can show the id of a key: not each time Redis is asked."""


class SharedKeys:
    """One keyring, of which each purpose gets its own keys."""

    def __init__(self, store: LeadershipStore, keyring: Keyring | None) -> None:
        """Without a keyring the key is read from Redis when it is first asked for."""
        self._store = store
        self._keyring = keyring
        self._is_configured = keyring is not None
        self._derived: dict[str, dict[str, bytes]] = {}
        self._others_seal_with: str | None = None
        self._looked_at = float("-inf")

    async def derived(self, purpose: str) -> dict[str, bytes]:
        """The keys for one purpose by their ids, the one for new things first. Raises `StoreUnavailable`."""
        if self._keyring is None:
            self._keyring = Keyring({_STORED: await self._store.receipt_key()})
        if purpose not in self._derived:
            self._derived[purpose] = self._keyring.derived(purpose)
        return self._derived[purpose]

    async def derived_before(self, purpose: str) -> tuple[dict[str, bytes], float]:
        """What was signed with before there were keys, and until when that is believed (Unix s).

        Raises `StoreUnavailable`.
        """
        if not self._is_configured:
            return {}, 0
        key, until_s = await self._store.former_receipt_key(int(time.time()) + _STORED_BELIEVED_S)
        return ({} if key is None else Keyring({_STORED: key}).derived(purpose)), until_s

    async def lacks(self, key_id: str) -> bool:
        """Whether this is the key that others seal and sign with by now, and not one of ours.

        Raises `StoreUnavailable`.
        """
        if self._is_configured and self._keyring is not None and key_id in self._keyring.keys:
            return False
        if time.monotonic() - self._looked_at > _LOOKED_EACH_S:
            self._others_seal_with = await self._store.sealing_key()
            self._looked_at = time.monotonic()
        return key_id == self._others_seal_with
