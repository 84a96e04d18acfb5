"""Which jobs are meant: by a list, and for bulk acts."""

import msgspec

from coordinator.domain.job import State


class Selection(msgspec.Struct, frozen=True):
    """What a job must have; None is anything. `error` is a part of the last error. Instants are Unix ms."""

    queue: str | None = None
    state: State | None = None
    worker: str | None = None
    key: str | None = None
    tag: str | None = None
    schedule_id: str | None = None
    batch_id: str | None = None
    created_after: int | None = None
    finished_before: int | None = None
    error: str | None = None

    @property
    def index(self) -> tuple[str, str] | None:
        """The kind and name of the smallest index that holds all of these; None if only the lists of queues do."""
        named = (("batch", self.batch_id), ("schedule", self.schedule_id), ("tag", self.tag))
        return next(((kind, name) for kind, name in named if name is not None), None)
