"""Load the configuration: flags, environment, file, defaults."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sidecar.config.file import read_file
from sidecar.config.messages import ABSENT_SETTINGS, ConfigError, Problem, did_you_mean, problems_of, unknown
from sidecar.config.route_settings import RouteSettings
from sidecar.config.settings import Settings
from sidecar.config.table import ENV_PREFIX, SETTINGS, with_setting_flags

__all__ = [
    "FILE_VARIABLE",
    "ConfigError",
    "Problem",
    "RouteSettings",
    "Settings",
    "load",
    "schema",
    "with_setting_flags",
]

FILE_VARIABLE = f"{ENV_PREFIX}CONFIG"
"""The variable that names the configuration file; the command line reads it."""

_SERVICE_LINK = re.compile(
    r"(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP)\w*)?)"
)
"""Variables of a Kubernetes Service whose name begins with `sse-sidecar`."""


def load(file: Path | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """Return the settings, or raise ConfigError with every fault.

    ``flags`` maps setting names to values; None and empty collections mean not given. An empty
    variable means not set, since that is what compose files make of an absent one.
    """
    from_file: dict[Any, Any] = read_file(file) if file else {}
    from_env = {row.name: environ[row.env] for row in SETTINGS if row.env and environ.get(row.env)}
    from_flags = {name: value for name, value in flags.items() if value not in (None, (), [])}
    origins = {name: ENV_PREFIX + name.upper() for name in from_env}
    origins |= {name: "--" + name.replace("_", "-") for name in from_flags}
    values: dict[object, object] = from_file | from_env | from_flags
    return _check(values, origins, _unknown_variables(environ))


def schema() -> dict[str, Any]:
    """Return the JSON schema (2020-12) of the configuration file, for editors."""
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**title, **Settings.model_json_schema(), "title": "sse-sidecar"}


def _check(values: Mapping[object, object], origins: Mapping[str, str], faults: list[Problem]) -> Settings:
    known = {key: value for key, value in values.items() if isinstance(key, str)}
    faults += [unknown((str(key),)) for key in values if not isinstance(key, str)]
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        # Not chained: the cause holds every value, the secrets too.
        raise ConfigError([*faults, *problems_of(error, origins)]) from None
    if faults:
        raise ConfigError(faults)
    return settings


def _unknown_variables(environ: Mapping[str, str]) -> list[Problem]:
    """Return a problem for each unknown variable with the sidecar's prefix."""
    known = [row.env for row in SETTINGS if row.env]
    ours = (name for name in environ if name.startswith(ENV_PREFIX) and environ[name])
    strays = (name for name in ours if name not in {*known, FILE_VARIABLE} and not _is_service_link(name))
    return [Problem(name, f"unknown setting{_advice(name, known)}") for name in sorted(strays)]


def _advice(variable: str, known: Sequence[str]) -> str:
    absent = ABSENT_SETTINGS.get(variable.removeprefix(ENV_PREFIX).lower())
    return f"; {absent}" if absent else did_you_mean(variable, known)


def _is_service_link(name: str) -> bool:
    return _SERVICE_LINK.fullmatch(name.removeprefix(ENV_PREFIX)) is not None
