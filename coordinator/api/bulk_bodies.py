"""What `POST /job/bulk` takes."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from coordinator.api.job_bodies import EditBody, FilterBody
from coordinator.api.reading import Body
from coordinator.engine.bulk import Action

LIMIT, STREAM_LIMIT = 10_000, 1_000_000

NDJSON = "application/x-ndjson"


class BulkBody(Body):
    """`POST /job/bulk`. `set` is what a PATCH of one job takes; more than 10000 are only done in a stream."""

    action: Action
    filter: FilterBody | UnsetType = UNSET
    all: bool = False
    set: EditBody | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=STREAM_LIMIT)] | None = None
    dry_run: bool = False
