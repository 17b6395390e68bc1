"""``sse-sidecar streams``: list, show and cancel streams."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import click

from sidecar.cli.admin_client import ADMIN_URL_DEFAULT, AdminClient, AdminError
from sidecar.cli.text_table import cell_text, duration_text, table
from sidecar.streams.states import StreamState

COLUMNS = ("id", "route", "state", "audience", "outcome", "age_s", "idle_s", "events", "lag", "readers")
DURATIONS = frozenset({"age_s", "idle_s", "away_s"})
LIMIT_DEFAULT = 100
LIMIT_MAX = 1000

Row = dict[str, Any]
Command = Callable[..., None]


def admin_options(command: Command) -> Command:
    """Decorate a command with what says which listener is asked."""
    token = click.option(
        "--token", envvar="SSE_SIDECAR_ADMIN_TOKEN", show_envvar=True, help="Its admin_token, if it has one."
    )
    url = click.option("--admin", default=ADMIN_URL_DEFAULT, show_default=True, help="The admin listener.")
    return url(token(command))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.group()
def streams() -> None:
    """Look at the streams of a running sidecar."""


@streams.command()
@admin_options
@json_option
@click.option("--route", help="Only streams of this route.")
@click.option(
    "--state", type=click.Choice([state.value for state in StreamState]), help="Only streams in this state."
)
@click.option("--limit", default=LIMIT_DEFAULT, show_default=True, type=click.IntRange(1, LIMIT_MAX))
def ls(  # noqa: PLR0913 - one parameter for each option
    *, admin: str, token: str | None, as_json: bool, route: str | None, state: str | None, limit: int
) -> None:
    """List streams, newest first."""
    wanted = {"route": route, "state": state, "limit": str(limit)}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    rows = _asked(admin, token, lambda client: client.get(f"/streams?{query}"))
    click.echo(_json(rows) if as_json else _list_text(rows))


@streams.command()
@click.argument("stream_id", metavar="ID")
@admin_options
@json_option
def show(stream_id: str, *, admin: str, token: str | None, as_json: bool) -> None:
    """Show a stream and its timeline, which says why it stopped."""
    stream = _asked(admin, token, lambda client: client.get(_path(stream_id)))
    click.echo(_json(stream) if as_json else _stream_text(stream))


@streams.command()
@click.argument("stream_id", metavar="ID")
@admin_options
@json_option
def cancel(stream_id: str, *, admin: str, token: str | None, as_json: bool) -> None:
    """Stop a stream and close its backend's connection.

    A stream that has ended does not change.
    """
    _asked(admin, token, lambda client: client.post(f"{_path(stream_id)}/cancel"))
    click.echo(_json({"id": stream_id, "cancelled": True}) if as_json else f"cancelled {stream_id}")


def _asked(admin: str, token: str | None, ask: Callable[[AdminClient], Any]) -> Any:  # noqa: ANN401 - JSON
    """Query the listener; exit with the next step if it fails."""
    try:
        client = AdminClient(admin, token)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--admin") from None
    try:
        return ask(client)
    except AdminError as error:
        raise click.ClickException(str(error)) from None


def _path(stream_id: str) -> str:
    return f"/streams/{quote(stream_id, safe='')}"


def _json(value: object) -> str:
    return json.dumps(value, indent=2)


def _list_text(rows: list[Row]) -> str:
    if not rows:
        return "no streams"
    head = [column.removesuffix("_s").upper() for column in COLUMNS]
    return table(head, ([_cell(row, column) for column in COLUMNS] for row in rows))


def _cell(row: Row, column: str) -> object:
    value = row.get(column)
    return duration_text(value) if column in DURATIONS and isinstance(value, int | float) else value


def _stream_text(stream: Row) -> str:
    facts = {name: _cell(stream, name) for name in stream if name != "timeline"}
    width = max(map(len, facts), default=0)
    lines = [f"{name.ljust(width)}  {cell_text(value)}" for name, value in facts.items()]
    lines += ["", "timeline"]
    lines += [f"{entry['at_s']:>10.3f} s  {cell_text(entry['what'])}" for entry in stream.get("timeline", [])]
    return "\n".join(lines)
