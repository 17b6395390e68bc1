"""``sse-sidecar tail``: print a stream and reconnect to its end."""

import asyncio
import re
import sys

import click

from sidecar.cli.follow import Failed, FollowRequest, Tail
from sidecar.cli.text_table import cell_text
from sidecar.client import Event
from sidecar.client.options import ATTEMPTS_DEFAULT, STALL_S_DEFAULT, check_url

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
ATTEMPTS_MAX = 1_000_000
STALL_S_MAX = 86_400.0

_field_form = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
"""A header field (RFC 9110 section 5): a token, a colon, and no line break."""


@click.command()
@click.argument("url")
@click.option("-H", "--header", "fields", multiple=True, metavar="'NAME: VALUE'", help="Send this header.")
@click.option("-X", "--method", help="Method; GET, or POST if there is a body.")
@click.option("-d", "--data", "body", help="Body of the request; JSON unless a Content-Type is given.")
@click.option("--raw", is_flag=True, help="Print whole events, not only their data.")
@click.option(
    "--max-attempts",
    default=ATTEMPTS_DEFAULT,
    show_default=True,
    type=click.IntRange(0, ATTEMPTS_MAX),
    help="Give up after so many connections without an event; 0: never.",
)
@click.option(
    "--stall-s",
    default=STALL_S_DEFAULT,
    show_default=True,
    type=click.FloatRange(0, STALL_S_MAX, min_open=True),
    help="Reconnect after so many seconds without a byte.",
)
def tail(  # noqa: PLR0913 - one parameter for each option
    *,
    url: str,
    fields: tuple[str, ...],
    method: str | None,
    body: str | None,
    raw: bool,
    max_attempts: int,
    stall_s: float,
) -> None:
    """Print the events of URL, and resume after a broken connection.

    Exit code 0: the stream is complete. 1: it failed, or was given up. Notices go to stderr.
    A POST is sent once, with an Idempotency-Key; its rest is asked for by the sidecar's SSE-Stream header.
    """
    question = _question(url, fields, method, body)
    following = Tail(
        question,
        write=_print_raw if raw else _print_data,
        say=_say,
        attempts_max=max_attempts,
        stall_s=stall_s,
    )
    try:
        asyncio.run(following.follow())
    except Failed as failed:
        _say(str(failed))
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _question(url: str, fields: tuple[str, ...], method: str | None, body: str | None) -> FollowRequest:
    try:
        check_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="URL") from None
    headers = dict(map(header_field, fields))
    if body is not None:
        headers.setdefault("content-type", "application/json")
    method = (method or ("GET" if body is None else "POST")).upper()
    return FollowRequest(url.partition("#")[0], method, headers, (body or "").encode())


def header_field(text: str) -> tuple[str, str]:
    """Read a header field; raises click.BadParameter."""
    match = _field_form.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{cell_text(text)!r} is no 'Name: value'", param_hint="-H")
    return match[1].lower(), match[2].strip()


def _print_data(event: Event) -> None:
    _print(event.data + "\n")


def _print_raw(event: Event) -> None:
    _print(event.block + "\n")


def _print(text: str) -> None:
    sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


def _say(notice: str) -> None:
    click.echo(f"sse-sidecar: {cell_text(notice)}", err=True)
