"""The same on the parser of the extra `fast`, which has to be installed for this to be imported."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from coordinator.edges.connections import Guarded, Phase


class GuardedHttpTools(Guarded, HttpToolsProtocol):  # type: ignore[misc]
    """This parser tells its steps, and keeps no state that could be asked for."""

    _phase = Phase.HEAD

    @property
    def phase(self) -> Phase:
        """As the parser's last step left it."""
        return self._phase

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._phase = Phase.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """All that stands before the body."""
        self._phase = Phase.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._phase = Phase.IDLE
        super().on_message_complete()
