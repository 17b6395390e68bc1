"""What happened in a run, as those who took part recorded it.

A history is a list of records: the backend's (``Opened``, ``Sent``, ``Finished``) and, in the order in which
each client saw them, the clients' (``Attached``, ``Received``, ``HistoryEvent``, ``Left``). The recorder
names the streams; a stream's entries count 1, 2, 3 ..., a terminal entry included. Times are seconds of one
clock for the whole history; NaN means not recorded.
"""

from dataclasses import dataclass
from math import nan
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["gap", "terminal", "abort", "no_content", "clean_end"]


@dataclass(frozen=True, slots=True)
class Opened:
    """The backend got a request for this stream."""

    stream: str
    principal: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The backend sent this event: the truth."""

    stream: str
    seq: int
    data_hash: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The backend's response ended: ``whole`` if that was its proper end."""

    stream: str
    whole: bool = True
    at_s: float = nan


@dataclass(frozen=True, slots=True)
class Attached:
    """A client requested the events after ``after``."""

    client: str
    stream: str
    after: int = 0
    principal: str = ""
    at_s: float = nan


@dataclass(frozen=True, slots=True)
class Received:
    """A client received this event."""

    client: str
    stream: str
    seq: int
    data_hash: str


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """A client received a control event.

    A gap has the first and the last missed entry.
    """

    client: str
    stream: str
    kind: Kind
    missed_from: int = 0
    missed_through: int = 0
    at_s: float = nan


@dataclass(frozen=True, slots=True)
class Left:
    """A client left on purpose; it expects nothing until it returns."""

    client: str
    stream: str


Record: TypeAlias = Opened | Sent | Finished | Attached | Received | HistoryEvent | Left
