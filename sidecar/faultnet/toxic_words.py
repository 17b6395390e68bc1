"""Toxics as text (``latency:latency_s=0.2,jitter_s=0.05``) and JSON."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from math import isfinite
from typing import Any, Final, get_args

from sidecar.faultnet.toxics import (
    Bandwidth,
    Direction,
    Down,
    Latency,
    LimitData,
    PacketLoss,
    ResetPeer,
    Slicer,
    SlowClose,
    Timeout,
    Toxic,
)

TYPES: Final[Mapping[str, type[Toxic]]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slow_close": SlowClose,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
    "down": Down,
    "loss": PacketLoss,
}
"""The first eight are Toxiproxy's."""

SHARES = frozenset({"toxicity", "share"})
ABOVE_ZERO = frozenset({"rate_bytes", "average_bytes"})
TRUTHS = {"true": True, "false": False, True: True, False: False}
DIRECTIONS = get_args(Direction)


def toxic_of(type_: str, given: Mapping[str, object]) -> Toxic:
    """Return a toxic; ValueError says what is wrong with its words."""
    if type_ not in TYPES:
        raise ValueError(f"there is no toxic {type_!r}: one of {', '.join(TYPES)}")
    kind = TYPES[type_]
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{type_}: no {unknown[0]!r}: {', '.join(known)}")
    needed = [name for name, field in known.items() if field.default is MISSING]
    if missing := [name for name in needed if name not in given]:
        raise ValueError(f"{type_}: needs {', '.join(missing)}")
    values: dict[str, Any] = {}
    for name, value in given.items():
        try:
            values[name] = _reader(name, known[name].type)(value)
        except ValueError as error:
            raise ValueError(f"{type_}: {name} is {value!r}: {error}") from None
    return kind(**values)


def toxic_of_text(text: str) -> Toxic:
    """Return the toxic of ``type:name=value,name=value``; raise ValueError."""
    type_, _, rest = text.partition(":")
    given: dict[str, object] = {}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise ValueError(f"{type_}: {part!r} is not name=value")
        given[name.strip()] = value.strip()
    return toxic_of(type_.strip(), given)


def words_of(toxic: Toxic) -> dict[str, Any]:
    """Return what JSON has of a toxic."""
    (type_,) = (name for name, kind in TYPES.items() if kind is type(toxic))
    return {"type": type_, **asdict(toxic)}


def _reader(name: str, annotation: object) -> Callable[[object], object]:
    if name == "direction":
        return _direction
    if annotation is bool:
        return _truth
    return lambda value: _number(name, value, whole=annotation is int)


def _direction(value: object) -> object:
    if value not in DIRECTIONS:
        raise ValueError(f"one of {', '.join(DIRECTIONS)}")
    return value


def _truth(value: object) -> object:
    if not isinstance(value, str | bool) or value not in TRUTHS:
        raise ValueError("true or false")
    return TRUTHS[value]


def _number(name: str, value: object, *, whole: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a number")  # noqa: TRY004 - what is wrong with a word is a ValueError
    number = int(value) if whole else float(value)
    most = 1.0 if name in SHARES else float("inf")
    if not (isfinite(number) and 0 <= number <= most) or (name in ABOVE_ZERO and not number):
        allowed = "from 0 to 1" if name in SHARES else "above 0" if name in ABOVE_ZERO else "0 or more"
        raise ValueError(f"a number {allowed}")
    return number
