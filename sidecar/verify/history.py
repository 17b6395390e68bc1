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
    """A client asked for what comes after ``after``; it has seen, or does not want, what is before."""

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
    """A client was told something other than an event; a gap says which entries are missed, both included."""

    client: str
    stream: str
    kind: Kind
    missed_from: int = 0
    missed_through: int = 0
    at_s: float = nan


@dataclass(frozen=True, slots=True)
class Left:
    """A client went away by itself, and is owed nothing until it attaches again."""

    client: str
    stream: str


Record: TypeAlias = Opened | Sent | Finished | Attached | Received | HistoryEvent | Left
