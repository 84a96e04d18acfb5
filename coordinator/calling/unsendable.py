"""Why a call cannot be sent: not a byte of it has left, so its function has surely not run."""


class Unsendable(Exception):
    """The worker's URL, headers, secrets or auth cannot be put into a request. The message holds no secret."""

    def __init__(self, error_type: str, message: str) -> None:
        """`error_type` is the stable word by which people know it."""
        super().__init__(message)
        self.error_type = error_type
        self.message = message
