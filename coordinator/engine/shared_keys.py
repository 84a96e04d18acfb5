"""What all replicas sign with: the keys of the settings, or else one that was drawn once for the store.

Whoever can write in Redis can do everything already. Who can only read there, or in a copy of it, cannot forge what is
signed with keys of the settings; with a key that lies in Redis he can.
"""

from coordinator.domain.keyring import Keyring
from coordinator.store.leadership import LeadershipStore

_STORED = "r0"
"""The id of the key that is kept in the store."""


class SharedKeys:
    """One keyring, of which each purpose gets its own keys."""

    def __init__(self, store: LeadershipStore, keyring: Keyring | None) -> None:
        """Without a keyring the key is read from Redis when it is first asked for."""
        self._store = store
        self._keyring = keyring
        self._derived: dict[str, dict[str, bytes]] = {}

    async def derived(self, purpose: str) -> dict[str, bytes]:
        """The keys for one purpose by their ids, the one for new things first. Raises `StoreUnavailable`."""
        if self._keyring is None:
            self._keyring = Keyring({_STORED: await self._store.receipt_key()})
        if purpose not in self._derived:
            self._derived[purpose] = self._keyring.derived(purpose)
        return self._derived[purpose]
