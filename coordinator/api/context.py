"""How handlers reach the replica that they are part of."""

from typing import Any

import litestar

from coordinator.engine.replica import Replica

Request = litestar.Request[Any, Any, Any]
"""A request; we use neither the framework's users nor its sessions."""


def replica_of(request: Request) -> Replica:
    """The replica of this process."""
    replica: Replica = request.app.state["replica"]
    return replica


def takes_literals(request: Request) -> bool:
    """Whether workers may be registered with secrets that are no references."""
    return bool(request.app.state["takes_literal_secrets"])
