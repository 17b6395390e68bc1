"""The table of settings, from which flags, docs and messages derive."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from sidecar.config.bounds import Bounds, size_text
from sidecar.config.field_types import Allowed
from sidecar.config.route_settings import RouteSettings
from sidecar.config.settings import Settings

ENV_PREFIX = "SSE_SIDECAR_"
FILE_ONLY = frozenset({"routes"})
"""Settings that do not fit into one line of text."""

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting; ``env`` and ``flag`` are empty if only the file sets it."""

    name: str
    kind: str
    default: str
    allowed: str
    help: str
    env: str = ""
    flag: str = ""
    secret: bool = False


def _row(name: str, field: FieldInfo, *, in_file_only: bool) -> SettingRow:
    return SettingRow(
        name=name,
        kind=_kind(field),
        default=_default(field),
        allowed=_allowed(field),
        help=field.description or "",
        env="" if in_file_only else ENV_PREFIX + name.upper(),
        flag="" if in_file_only else "--" + name.replace("_", "-"),
        secret=SecretStr in get_args(field.annotation),
    )


def _bounds(field: FieldInfo) -> Bounds | None:
    return next((entry for entry in field.metadata if isinstance(entry, Bounds)), None)


def _kind(field: FieldInfo) -> str:
    """Return the name of a type for the docs."""
    bounds = _bounds(field)
    if bounds:
        return bounds.unit or "number"
    if field.annotation in {int, bool}:
        return "number" if field.annotation is int else "boolean"
    if field.annotation is not str and getattr(field.annotation, "__origin__", None) is tuple:
        return "list"
    return "secret" if SecretStr in get_args(field.annotation) else "text"


def _default(field: FieldInfo) -> str:
    """Return the default as the file writes it, or an empty text."""
    bounds, value = _bounds(field), field.default
    if field.is_required() or value is None or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if bounds and bounds.unit == "bytes":
        return size_text(value).replace(" ", "")
    if bounds:
        return f"{value:.15g}"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _allowed(field: FieldInfo) -> str:
    stated = [entry.allowed for entry in field.metadata if isinstance(entry, Bounds | Allowed)]
    if stated:
        return stated[0]
    return "true or false" if field.annotation is bool else " or ".join(get_args(field.annotation))


def _rows(model: type[BaseModel], file_only: frozenset[str]) -> tuple[SettingRow, ...]:
    fields = model.model_fields.items()
    return tuple(_row(name, field, in_file_only=name in file_only) for name, field in fields)


SETTINGS: tuple[SettingRow, ...] = _rows(Settings, FILE_ONLY)
ROUTE_SETTINGS: tuple[SettingRow, ...] = _rows(RouteSettings, frozenset(RouteSettings.model_fields))


def find_row(path: tuple[str | int, ...]) -> SettingRow | None:
    """Return the row of a path like ``("routes", 1, "linger_s")``, or None."""
    depth = 2 if path[:1] == ("routes",) and len(path) > 2 else 0  # noqa: PLR2004 - routes, index, name
    rows = ROUTE_SETTINGS if depth else SETTINGS
    return next((row for row in rows if path[depth : depth + 1] == (row.name,)), None)


def with_setting_flags(command: Command) -> Command:
    """Decorate a click command so that it takes every setting as a keyword.

    Values stay text, so that flags and environment are read alike; None means not given.
    """
    for row in reversed(SETTINGS):
        if row.flag:
            default = f"  [default: {row.default}]" if row.default else ""
            command = click.option(row.flag, metavar=row.kind.upper(), help=f"{row.help}{default}")(command)
    return command
