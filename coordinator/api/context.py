"""How handlers reach the replica that they are part of."""

from typing import Any

import litestar

from coordinator.calling.egress import EgressGuard
from coordinator.engine.replica import Replica

Request = litestar.Request[Any, Any, Any]
"""A request; we use neither the framework's users nor its sessions."""


def replica_of(request: Request) -> Replica:
    """The replica of this process."""
    replica: Replica = request.app.state["replica"]
    return replica


def egress_of(request: Request) -> EgressGuard:
    """What judges where workers are."""
    guard: EgressGuard = request.app.state["egress"]
    return guard
