"""The messages of an invalid configuration, without secrets."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from sidecar.config.table import ROUTE_SETTINGS, SETTINGS, SettingRow, find_row

HIDDEN = "(hidden)"
SHOWN_CHARS_MAX = 80
FAULTS_MAX = 100

ABSENT_SETTINGS = {"workers": "a sidecar is one process; to scale, run more replicas"}
"""Settings that other servers have and this one does not, with what to do instead."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting and what is wrong with it."""

    setting: str
    problem: str

    def __str__(self) -> str:
        """Return the line that the operator reads."""
        return f"{self.setting}: {self.problem}"


class ConfigError(Exception):
    """The configuration is invalid; the text has a line for each fault."""

    def __init__(self, faults: Iterable[Problem]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def problems_of(error: ValidationError, origins: Mapping[str, str]) -> list[Problem]:
    """Turn pydantic's errors into problems.

    ``origins`` names the flag or the variable that a setting came from.
    """
    details = error.errors(include_url=False)[:FAULTS_MAX]
    return list(dict.fromkeys(_fault(detail, origins) for detail in details))


def unknown(path: Path) -> Problem:
    """Return the problem of an unknown setting, without its value.

    The value may be a secret.
    """
    name, in_route = str(path[-1]), len(path) > 1
    if name in ABSENT_SETTINGS:
        return Problem(path_text(path), f"unknown setting; {ABSENT_SETTINGS[name]}")
    own, other = (ROUTE_SETTINGS, SETTINGS) if in_route else (SETTINGS, ROUTE_SETTINGS)
    if name in {row.name for row in other}:
        place = "it belongs to the top level" if in_route else "it belongs to a route, below routes:"
        return Problem(path_text(path), f"unknown setting here; {place}")
    return Problem(path_text(path), "unknown setting" + did_you_mean(name, [row.name for row in own]))


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a suggestion, with its punctuation, or nothing."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def path_text(path: Path) -> str:
    """Return a path as text: ``routes[1].linger_s``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{clean(part)}" for part in path)
    return "".join(parts).removeprefix(".") or "configuration"


def shown(value: object, row: SettingRow | None) -> str:
    """Return a value on one line, without a secret, also inside a URL."""
    if isinstance(value, SecretStr) or (row and row.secret):
        return HIDDEN
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        # No deeper than one level: nested YAML aliases can stand for more text than there is memory.
        return "[" + clean(", ".join(_scalar(part) for part in value[:FAULTS_MAX])) + "]"
    return clean(_scalar(value))


def clean(text: object) -> str:
    """Return text on one line, cut to length.

    Control characters and the credentials of a URL are replaced.
    """
    line = "".join(char if char.isprintable() else "?" for char in str(text)[: SHOWN_CHARS_MAX * 8])
    line = re.sub(r"(?<=://).*@", "…@", line)
    line = re.sub(r"(?<=\?).+", "…", line) if "://" in line else line
    return line if len(line) <= SHOWN_CHARS_MAX else line[: SHOWN_CHARS_MAX - 1] + "…"


def _scalar(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, str):
        return value if value.strip() == value != "" else f"'{value}'"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, int) and value.bit_length() > SHOWN_CHARS_MAX:
        return "a huge number"  # Python refuses to write a number of more than 4,300 digits
    return type(value).__name__ if isinstance(value, dict | list | tuple | set | bytes) else str(value)


def _fault(detail: ErrorDetails, origins: Mapping[str, str]) -> Problem:
    context = detail.get("ctx", {})
    path: Path = detail["loc"]
    if detail["type"] == "refused":
        return _refused(path, context, origins)
    if detail["type"] == "extra_forbidden":
        return unknown(path)
    row = find_row(path)
    allowed = f"; allowed: {row.allowed}" if row else f"; {detail['msg']}"
    if detail["type"] == "missing":
        return Problem(path_text(path), f"missing{allowed}")
    if detail["type"] == "model_type":
        allowed = "; allowed: a mapping of settings"
    return Problem(path_text(path), f"got {shown(detail['input'], row)}{_origin(path, origins)}{allowed}")


def _refused(path: Path, context: Mapping[str, object], origins: Mapping[str, str]) -> Problem:
    setting = str(context["setting"])
    place = f"{path_text(path)}.{setting}" if path else setting
    row = find_row((*path, setting))
    value = shown(context["value"], row)
    return Problem(place, f"got {value}{_origin((*path, setting), origins)}; {context['reason']}")


def _origin(path: Path, origins: Mapping[str, str]) -> str:
    origin = origins.get(str(path[0])) if path else None
    return f" from {origin}" if origin else ""
