"""``sse-sidecar serve`` and ``sse-sidecar check-config``."""

import json
import os
import sys
from pathlib import Path

import click

from sidecar.cli.text_table import table
from sidecar.config.load import FILE_VARIABLE, ConfigError, Settings, load, schema, with_setting_flags
from sidecar.config.routes import RoutePolicy

EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2

ROUTE_COLUMNS = ("name", "methods", "path", "kind", "stamp", "on_disconnect", "linger_s", "retain_s")

config_option = click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    envvar=FILE_VARIABLE,
    show_envvar=True,
    help="YAML file with settings.",
)


@click.command()
@config_option
@with_setting_flags
def serve(file: Path | None, **flags: str | None) -> None:
    """Stand in front of a backend until SIGTERM.

    Flags win over the environment (SSE_SIDECAR_...), that over the file, that over the defaults.
    """
    sys.exit(_run(_settings(file, flags)))


@click.command()
@config_option
@click.option("--schema", "wants_schema", is_flag=True, help="Print the JSON schema of the file instead.")
@with_setting_flags
def check_config(file: Path | None, *, wants_schema: bool, **flags: str | None) -> None:
    """Check the settings that `serve` would use, without starting."""
    if wants_schema:
        click.echo(json.dumps(schema(), indent=2))
        return
    settings = _settings(file, flags)
    click.echo("ok")
    click.echo(f"{settings.listen} -> {settings.upstream}, admin on {settings.admin_listen}\n")
    click.echo(_routes_text(settings))


def _settings(file: Path | None, flags: dict[str, str | None]) -> Settings:
    """Return the settings, or leave with one line per fault."""
    try:
        return load(file, os.environ, flags)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        sys.exit(EXIT_MISCONFIGURED)


def _run(settings: Settings) -> int:
    """Serve; report a listener that cannot be opened in one line."""
    from sidecar.server.app import run  # noqa: PLC0415 - the whole server, which the other commands do without

    try:
        return run(settings)
    except OSError as error:
        place = error.filename or f"{settings.listen} or {settings.admin_listen}"
        click.echo(f"cannot start on {place}: {error.strerror or error}", err=True)
        return EXIT_FAILED


def _routes_text(settings: Settings) -> str:
    policies = [route.policy() for route in settings.routes]
    default = settings.route_table().default
    if default not in policies:
        policies.append(default)
    return table([column.upper() for column in ROUTE_COLUMNS], map(_route_row, policies))


def _route_row(policy: RoutePolicy) -> list[object]:
    shown = {"methods": ",".join(policy.methods) or "any"}
    times = {name: f"{getattr(policy, name):g}" for name in ("linger_s", "retain_s")}
    return [(shown | times).get(column, getattr(policy, column)) for column in ROUTE_COLUMNS]
