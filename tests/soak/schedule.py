"""The clients and faults of one round, drawn from a seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from pydantic import TypeAdapter

OnBackend: TypeAlias = Literal[
    "refuse",
    "hang",
    "reset before the head",
    "reset",
    "fin",
    "truncate plain answers",
    "stall",
    "restart the backend",
    "answer 503",
]
OnPath: TypeAlias = Literal["cut", "down", "black hole", "stalled path", "slow path", "latency", "slices"]
OnSidecar: TypeAlias = Literal["storm", "slow heads", "silent readers", "port scan", "freeze"]
OnMortal: TypeAlias = Literal["terminate", "terminate twice", "kill", "kill, with another secret"]
Kind: TypeAlias = OnBackend | OnPath | OnSidecar | OnMortal
Deed: TypeAlias = Literal[
    "reads",
    "is cut off",
    "leaves",
    "comes back late",
    "cancels",
    "asks twice",
    "two devices",
    "many readers",
    "reads slowly",
    "steals",
    "asks what is no stream",
]
Client: TypeAlias = Literal["raw", "product"]
SidecarName: TypeAlias = Literal["steady", "mortal"]
Path: TypeAlias = Literal["/v1/chat", "/feed", "/live"]

ROWS: Mapping[Kind, tuple[int, ...]] = {
    "refuse": (1,),
    "hang": (3,),
    "reset before the head": (4,),
    "reset": (5,),
    "fin": (6,),
    "truncate plain answers": (7,),
    "stall": (8,),
    "restart the backend": (42, 43),
    "answer 503": (34,),
    "cut": (13,),
    "down": (13, 40),
    "black hole": (10,),
    "stalled path": (12,),
    "slow path": (36,),
    "latency": (37,),
    "slices": (39,),
    "storm": (40,),
    "slow heads": (11,),
    "silent readers": (12,),
    "port scan": (46,),
    "freeze": (31,),
    "terminate": (25,),
    "terminate twice": (27,),
    "kill": (26,),
    "kill, with another secret": (26, 44),
}
"""Which kinds of faults of a service in front of event streams each stands for; see ``docs/faults.md``."""

DEED_ROWS: Mapping[Deed, tuple[int, ...]] = {
    "is cut off": (13,),
    "leaves": (14,),
    "comes back late": (14,),
    "cancels": (15,),
    "many readers": (41,),
    "reads slowly": (12,),
}

CHAOS_S = 20.0
"""For how long things go wrong in a round of the full length."""

FAULTS_MIN, FAULTS_MAX = 8, 16
VISITS = 110
"""Of each sidecar in a round of the full length."""

CROWDED_FROM = 1000
CROWD = 2
"""Rounds with a number from there on have so many times the visits: a long run begins with such."""

PEOPLE = 24
CELLS = 3
"""Networks between the people and each sidecar; a fault of a path hits one of them."""

ON_BACKEND: tuple[Kind, ...] = get_args(OnBackend)
ON_PATH: tuple[Kind, ...] = get_args(OnPath)
ON_SIDECAR: tuple[Kind, ...] = get_args(OnSidecar)
ON_MORTAL: tuple[Kind, ...] = get_args(OnMortal)

FOR_S: Mapping[Kind, tuple[float, float]] = {
    "refuse": (0.5, 4),
    "hang": (0.5, 6),
    "reset before the head": (0.2, 1.5),
    "truncate plain answers": (1, 4),
    "stall": (0.5, 8),
    "restart the backend": (0.3, 2),
    "answer 503": (0.3, 3),
    "down": (0.3, 4),
    "black hole": (0.5, 8),
    "stalled path": (0.5, 8),
    "slow path": (1, 6),
    "latency": (1, 6),
    "slices": (1, 6),
    "slow heads": (2, 8),
    "silent readers": (2, 8),
    "freeze": (0.3, 4),
    "terminate": (0, 0.5),
    "kill": (0, 0.5),
    "kill, with another secret": (0, 0.5),
}
"""How long each lasts; what is not here is over at once."""

DEEDS: Mapping[Client, Mapping[Deed, int]] = {
    "raw": {
        "reads": 20,
        "is cut off": 24,
        "leaves": 6,
        "comes back late": 4,
        "cancels": 8,
        "asks twice": 6,
        "two devices": 6,
        "many readers": 1,
        "reads slowly": 4,
        "steals": 3,
        "asks what is no stream": 6,
    },
    "product": {"reads": 12, "leaves": 2, "cancels": 2},
}


@dataclass(frozen=True, slots=True)
class ScheduledFault:
    """``target``: ``backend``, a sidecar's name, or a cell of it: ``steady/0``. Seconds since the start."""

    at_s: float
    kind: Kind
    target: str
    for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ScheduledVisit:
    """One question of one person, and what the person does with the answer; ``seed`` decides the rest."""

    number: int
    at_s: float
    person: int
    sidecar: SidecarName
    client: Client
    deed: Deed
    path: Path
    method: Literal["GET", "POST"]
    seed: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """One round. Deleting from ``faults`` and ``visits`` leaves a schedule."""

    seed: int
    number: int
    faults: tuple[ScheduledFault, ...] = field(default=())
    visits: tuple[ScheduledVisit, ...] = field(default=())

    @classmethod
    def of(cls, seed: int, number: int, *, chaos_s: float = CHAOS_S) -> "Schedule":
        """Make up the round with this number; the same arguments give the same schedule."""
        chance = random.Random(f"{seed}/{number}")
        size, crowd = chaos_s / CHAOS_S, CROWD if number >= CROWDED_FROM else 1
        faults = [_fault(chance, chaos_s) for _ in range(_of(chance.randint(FAULTS_MIN, FAULTS_MAX), size))]
        sidecars: tuple[SidecarName, ...] = ("steady", "mortal")
        visits = [
            _visit(chance, number, sidecar, chaos_s)
            for number, sidecar in enumerate(sidecars * _of(VISITS, size * crowd))
        ]
        return cls(
            seed,
            number,
            tuple(sorted(faults, key=lambda fault: fault.at_s)),
            tuple(sorted(visits, key=lambda visit: visit.at_s)),
        )

    @property
    def chaos_s(self) -> float:
        """When the last fault is over."""
        return max((fault.at_s + fault.for_s for fault in self.faults), default=0.0)

    @property
    def sidecars(self) -> tuple[SidecarName, ...]:
        """Return those that somebody visits."""
        return tuple(dict.fromkeys(visit.sidecar for visit in self.visits))


SCHEDULE = TypeAdapter(Schedule)


def _of(count: int, size: float) -> int:
    return max(1, round(count * size))


def _fault(chance: random.Random, chaos_s: float) -> ScheduledFault:
    on = chance.choices((ON_BACKEND, ON_PATH, ON_SIDECAR, ON_MORTAL), (40, 35, 15, 10))[0]
    kind = chance.choice(on)
    sidecar = chance.choice(("steady", "mortal"))
    if kind in ON_BACKEND:
        target = "backend"
    elif kind in ON_MORTAL:
        target = "mortal"
    else:
        target = sidecar if kind in ON_SIDECAR else f"{sidecar}/{chance.randrange(CELLS)}"
    at_s, for_s = chance.uniform(0, chaos_s), chance.uniform(*FOR_S.get(kind, (0, 0)))
    return ScheduledFault(round(at_s, 2), kind, target, round(for_s, 2))


def _visit(chance: random.Random, number: int, sidecar: SidecarName, chaos_s: float) -> ScheduledVisit:
    client: Client = "product" if chance.random() < 0.4 else "raw"
    weights = DEEDS[client]
    (deed,) = chance.choices([*weights], [*weights.values()])
    path: Path = chance.choice(("/v1/chat", "/v1/chat", "/feed", "/feed", "/live"))
    if client == "product" and path == "/live":
        path = "/feed"
    method: Literal["GET", "POST"] = "POST" if path == "/v1/chat" or deed == "asks twice" else "GET"
    path = "/v1/chat" if method == "POST" else path
    at_s = round(chance.uniform(0, chaos_s), 2)
    person, seed = chance.randrange(PEOPLE), chance.randrange(1, 10**9)
    return ScheduledVisit(number, at_s, person, sidecar, client, deed, path, method, seed)
