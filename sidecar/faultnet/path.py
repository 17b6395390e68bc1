"""The way from people to a server, and what can be ordered of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol, TypeVar

Outcome = TypeVar("Outcome")
PathKind = Literal["real", "userspace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The impairments of a path in both directions; by default none."""

    rate_bytes: float = inf
    """Per second, of all connections together."""

    delay_s: float = 0.0
    """One way: half of the round trip."""

    loss: float = 0.0
    """Share of the packets that never arrive."""

    duplicate: float = 0.0
    """Share of the packets that arrive twice; on real paths only."""

    reorder: float = 0.0
    """Share of the packets that are overtaken by those after them; on real paths only."""

    silent: bool = False
    """Nothing passes, and nobody is told: no FIN, no RST."""


FINE = Weather()


class Path(Protocol):
    """A path to one server: by the kernel, or through a TCP proxy."""

    @property
    def kind(self) -> PathKind:
        """Return which of the two it is."""
        ...

    @property
    def pieces(self) -> Mapping[str, str]:
        """Return the mechanism of each impairment.

        For example ``{"loss": "iptables statistic (real)"}``.
        """
        ...

    def url(self, url: str) -> str:
        """Return the address of ``url`` as seen from the path."""
        ...

    async def set(self, weather: Weather) -> None:
        """Change the impairments, for open connections and new ones."""
        ...

    async def cut(self) -> None:
        """Reset every open connection; new ones can be made."""
        ...

    async def hand_off(self) -> None:
        """Change the clients' address.

        Open connections stop without FIN or RST; new ones pass.
        """
        ...

    async def run(self, people: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """Run clients on this path; their loop may be another one."""
        ...
