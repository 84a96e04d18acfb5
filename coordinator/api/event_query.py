"""What `GET /event` may be asked for."""

from typing import Annotated

from msgspec import Meta

from coordinator.api.reading import Body, QueueName, WorkerName


class EventQuery(Body):
    """`GET /event?…`."""

    queue: QueueName | None = None
    worker: WorkerName | None = None
    job_id: Annotated[str, Meta(max_length=128)] | None = None
    schedule_id: Annotated[str, Meta(max_length=128)] | None = None
    type: Annotated[str, Meta(max_length=512)] | None = None
    after: Annotated[str, Meta(max_length=16_384)] | None = None
