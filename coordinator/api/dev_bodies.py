"""What `coordinator dev` is asked beside all others."""

from coordinator.api.reading import Body, Duration


class AdvanceBody(Body):
    """`POST /dev/advance`: by how much the time is moved on."""

    by: Duration
