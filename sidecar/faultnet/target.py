"""The server at the far end of a path, as its URL names it."""

from typing import NamedTuple, Self
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class PathError(Exception):
    """The path is not possible; the message names reason and remedy."""


class ListenAddress(NamedTuple):
    """Where it listens."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Return host and port of an http or https URL; raise PathError."""
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise PathError(f"{url}: paths lead to http://host[:port] or https://host[:port]")
        try:
            return cls(parts.hostname, DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port)
        except ValueError as error:
            raise PathError(f"{url}: {error}") from None

    def elsewhere(self, url: str, host: str, port: int) -> str:
        """Return ``url`` with another host and port, without TLS.

        Raises PathError if it names another server.
        """
        if (other := ListenAddress.of(url)) != self:
            raise PathError(
                f"{url}: this path leads to {self.host}:{self.port}, not {other.host}:{other.port}"
            )
        return urlsplit(url)._replace(scheme="http", netloc=f"{host}:{port}").geturl()


def wants_tls(url: str) -> bool:
    """Tell whether an address is an https one."""
    return urlsplit(url).scheme == "https"
