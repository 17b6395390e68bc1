"""What the server knows of a client's connection and ASGI has no word for."""

from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

EXTENSION = "sidecar.connection"
"""Where the connection stands in an ASGI scope's ``extensions``."""


class Connection(Protocol):
    """A client's connection while one request is answered on it."""

    raw_target: bytes
    """The request target as it was sent: ``/a?`` is not ``/a``."""

    lost: bool
    """The connection is closed, by whomever."""

    lost_cleanly: bool
    """It was closed by FIN: the client left. Otherwise it died."""

    aborted: bool
    """``abort`` or ``kill`` was called."""

    on_lost: Callable[[], object] | None
    """Called once when the connection is lost."""

    @property
    def unproven(self) -> int:
        """Bytes that were written and that the client's kernel has not acknowledged: a break loses them."""
        ...

    def write(self, body: bytes) -> bool:
        """Write a part of the body at once, without waiting.

        False: it was not taken, since the response has not begun or the client does not take what it is sent.
        """
        ...

    def abort(self) -> None:
        """Close once what is written is out, without the end of the body: the client sees a broken answer."""
        ...

    def kill(self) -> None:
        """Close at once, whatever is still unsent."""
        ...


def of(scope: MutableMapping[str, Any]) -> Connection:
    """Return the connection of an ASGI scope; KeyError under a server that is not ours."""
    connection: Connection = scope["extensions"][EXTENSION]
    return connection
