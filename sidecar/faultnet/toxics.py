"""Toxics, the faults of a network, with the names of Toxiproxy."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down", "both"]
"""Up is from the client to the server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """A fault; it affects each connection with probability ``toxicity``."""

    direction: Direction = "down"
    toxicity: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Toxic):
    """Bytes arrive later by ``latency_s`` +- ``jitter_s``, in order."""

    latency_s: float
    jitter_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth(Toxic):
    """At most ``rate_bytes`` per second, per connection or ``shared``."""

    rate_bytes: float
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketLoss(Toxic):
    """A ``share`` of the bytes arrives late and in order, as after loss.

    Each piece counts as one packet; TCP sends it again after ``again_s``, then after twice that, and so on.
    """

    share: float
    again_s: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose(Toxic):
    """The end of a direction (FIN) arrives ``delay_s`` after its last byte."""

    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout(Toxic):
    """Nothing passes; after ``timeout_s`` the connection is closed, 0: never.

    What was sent is kept and passes when the toxic is gone, as TCP would send it again; Toxiproxy drops it.
    """

    timeout_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer(Toxic):
    """After ``timeout_s`` both peers get a RST; what was under way is lost."""

    timeout_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer(Toxic):
    """Bytes pass in pieces of ``average_bytes``, ``delay_s`` apart."""

    average_bytes: int
    variation_bytes: int = 0
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData(Toxic):
    """The connection is closed once ``limit_bytes`` have passed."""

    limit_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Down(Toxic):
    """No listener, and open connections are reset, in both directions."""
