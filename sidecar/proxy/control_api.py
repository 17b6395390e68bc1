"""The control API: join or cancel a stream, report, get a script.

Nothing below the prefix is forwarded.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from sidecar.http1 import headers
from sidecar.http1.same_origin import is_same_origin
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.proxy.client_reports import ClientReports
from sidecar.proxy.client_scripts import SCRIPTS, ClientScript, chosen
from sidecar.proxy.exchange import Exchange
from sidecar.proxy.report import REPORT_BYTES_MAX
from sidecar.proxy.resume import Resume
from sidecar.sse import event_id

PREFLIGHT_S = 600
REPORT_READ_BYTES_MAX = 2 * 1024 * 1024
"""So much of a body is read to its end, and all above a report's size thrown away, before it is answered."""

REPORT_READ_S = 5.0
"""A report that is not there by then is answered as it is: it has a few hundred bytes."""

REPORT_FIELDS = [(b"access-control-allow-origin", b"*"), (b"cache-control", b"no-store")]
"""Any page may report: the token in it is the proof, and no cookie or login adds to it."""

REPORT_PREFLIGHT_FIELDS = [
    *REPORT_FIELDS,
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"content-type"),
    (b"access-control-max-age", b"%d" % PREFLIGHT_S),
]


class ControlApi:
    """The resources below ``prefix``.

    Pages of ``allowed_origins`` may change state.
    """

    def __init__(
        self, prefix: str, resume: Resume, reports: ClientReports, allowed_origins: Collection[str]
    ) -> None:
        self._prefix = prefix.encode()
        self._resume = resume
        self._reports = reports
        self._origins = frozenset(allowed_origins)

    def owns(self, path: bytes) -> bool:
        """Return whether a path is below the prefix, in any encoding."""
        if b"%" in path:
            path = unquote_to_bytes(path)
        return path == self._prefix or path.startswith(self._prefix + b"/")

    async def serve(self, exchange: Exchange) -> None:
        """Answer a control request."""
        match exchange.request.path.removeprefix(self._prefix).decode("latin-1").split("/"):
            case ["", "streams", stream_id]:
                await self._stream(exchange, stream_id)
            case ["", "streams", stream_id, "cancel"]:
                await self._cancel_resource(exchange, stream_id)
            case ["", "reports"]:
                await self._report(exchange)
            case ["", name] if name in SCRIPTS:
                await _script(exchange, chosen(name, exchange.request.fields))
            case _:
                raise errors.ControlNotFound

    async def _stream(self, exchange: Exchange, stream_id: str) -> None:
        if exchange.request.method == "GET":
            await self._join(exchange, stream_id)
        elif exchange.request.method == "DELETE":
            await self._cancel(exchange, stream_id)
        elif exchange.request.method == "OPTIONS":
            await self._preflight(exchange)
        else:
            raise errors.MethodNotAllowed("GET, DELETE, OPTIONS")

    async def _cancel_resource(self, exchange: Exchange, stream_id: str) -> None:
        if exchange.request.method == "OPTIONS":
            await self._preflight(exchange)
        elif exchange.request.method == "POST":
            await self._cancel(exchange, stream_id)
        else:
            raise errors.MethodNotAllowed("POST, OPTIONS")

    async def _join(self, exchange: Exchange, stream_id: str) -> None:
        position = self._resume.position_of(exchange.request)
        if position is not None and position.stream != stream_id:
            raise errors.StreamNotFound
        stream = await self._resume.find(exchange, stream_id)
        if stream is None:
            await self._resume.gone(exchange, asked_for_the_rest=position is not None)
        else:
            await self._resume.read(exchange, stream, position.seq if position is not None else 0)

    async def _cancel(self, exchange: Exchange, stream_id: str) -> None:
        """Stop a stream; the same answer whether it still ran or not."""
        if not self._same_site(exchange.request.fields):
            raise errors.CrossSite
        if not event_id.is_stream(stream_id):
            raise errors.StreamNotFound
        stream = await self._resume.find(exchange, stream_id)
        if stream is not None:
            stream.stop(Outcome.CLIENT_CANCELLED, errors.Cancelled)
        await exchange.answer(204, self._cors(exchange.request.fields))

    async def _report(self, exchange: Exchange) -> None:
        """Take a report; every report gets the same answer."""
        if exchange.request.method == "OPTIONS":
            await exchange.answer(204, REPORT_PREFLIGHT_FIELDS)
        elif exchange.request.method == "POST":
            self._reports.take(await _start_of_body(exchange))
            await exchange.answer(204, REPORT_FIELDS)
        else:
            raise errors.MethodNotAllowed("POST, OPTIONS")

    def _same_site(self, fields: headers.Fields) -> bool:
        """Return whether the request is same-origin or from no browser."""
        origin, site, host = (_text(fields, name) for name in (b"origin", b"sec-fetch-site", b"host"))
        return is_same_origin(origin=origin, site=site, host=host, allowed=self._origins)

    async def _preflight(self, exchange: Exchange) -> None:
        cors = self._cors(exchange.request.fields)
        if cors:
            asked = dict.fromkeys([b"authorization", b"last-event-id", *self._resume.vary])
            cors += [
                (b"access-control-allow-methods", b"GET, DELETE, POST"),
                (b"access-control-allow-headers", b", ".join(asked)),
                (b"access-control-max-age", b"%d" % PREFLIGHT_S),
            ]
        await exchange.answer(204, cors)

    def cors_of_problem(self, fields: headers.Fields) -> list[tuple[bytes, bytes]]:
        """Return the fields that let a page read an error and ``Retry-After``.

        Without it an answer that has expired (410) is a network error to the page, which asks again.
        """
        cors = self._cors(fields)
        return [*cors, (b"access-control-expose-headers", b"Retry-After")] if cors else []

    def _cors(self, fields: headers.Fields) -> list[tuple[bytes, bytes]]:
        origin = _text(fields, b"origin")
        if origin is None or origin not in self._origins:
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"vary", b"origin"),
        ]


def _text(fields: headers.Fields, name: bytes) -> str | None:
    value = headers.first(fields, name)
    return None if value is None else value.decode("latin-1")


async def _start_of_body(exchange: Exchange) -> bytes:
    """Return a body, or one byte more than a report may have."""
    start, size = b"", 0
    with suppress(TimeoutError):
        async with asyncio.timeout(REPORT_READ_S):
            async for chunk in exchange.body():
                start += chunk[: REPORT_BYTES_MAX + 1 - len(start)]
                size += len(chunk)
                if size > REPORT_READ_BYTES_MAX:
                    break
    return start


async def _script(exchange: Exchange, script: ClientScript) -> None:
    if exchange.request.method not in ("GET", "HEAD"):
        raise errors.MethodNotAllowed("GET, HEAD")
    fields = script.fields(exchange.request.query)
    if script.known_to(exchange.request.fields):
        await exchange.answer(304, fields)
    else:
        await exchange.answer(200, fields, script.body)
