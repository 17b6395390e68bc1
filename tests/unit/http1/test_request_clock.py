"""Whoever holds a connection without asking is sent away in time; whoever asks, however slowly, is served."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

import pytest
import uvicorn
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from sidecar.http1.problem import told
from sidecar.http1.request_clock import BODY_BYTES_MIN, BODY_S, HEAD_S_MAX, ClockedProtocol
from sidecar.observability import errors
from tests.kit.virtual_time import run_virtually

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n"
CHUNKED = HEAD.replace(b"Content-Length: 9000", b"Transfer-Encoding: chunked")
TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\n"


class ClientEnd(asyncio.Transport):
    """The client's end of a connection: what it was written, and when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed_at: float | None = None
        self.paused = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()

    abort = close

    def is_closing(self) -> bool:
        return self.closed_at is not None

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class App:
    """Reads the body unless it ``holds``, and answers 204 when it is whole."""

    def __init__(self, *, holds: bool = False, answers_early: bool = False) -> None:
        self._holds = holds
        self._answers_early = answers_early

    async def __call__(
        self, _: object, receive: Callable[[], Any], send: Callable[[MutableMapping[str, Any]], Any]
    ) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
        if self._answers_early:
            await send(start)
        if self._holds:
            await asyncio.sleep(10 * BODY_S)
        while (await receive()).get("more_body"):
            pass
        if not self._answers_early:
            await send(start)
        await send({"type": "http.response.body", "body": b"ok"})


def connected(app: App) -> tuple[ClientEnd, ClockedProtocol]:
    config = uvicorn.Config(app, interface="asgi3", lifespan="off", log_config=None, ws="none")
    wire, protocol = ClientEnd(), ClockedProtocol(config, ServerState(), {})
    protocol.connection_made(wire)
    return wire, protocol


class ClientView(NamedTuple):
    """What a client saw."""

    written: bytes
    closed_at: float | None


async def sent(app: App, *pieces: tuple[float, bytes], until_s: float = 100.0) -> ClientView:
    """Send pieces at their times, in seconds, and look at the wire at the end."""
    wire, protocol = connected(app)
    loop = asyncio.get_running_loop()
    for at, piece in pieces:
        await asyncio.sleep(at - loop.time())
        if not wire.is_closing():
            protocol.data_received(piece)
    await asyncio.sleep(until_s - loop.time())
    return ClientView(wire.written, wire.closed_at)


def test_who_says_nothing_is_closed_without_a_word() -> None:
    wire = run_virtually(sent(App()))
    assert (wire.written, wire.closed_at) == (b"", HEAD_S_MAX)
    assert HEAD_S_MAX == 10


def test_a_head_that_comes_byte_by_byte_is_408_at_its_time_whatever_came_last() -> None:
    pieces = [(float(at), HEAD[at : at + 1]) for at in range(30)]
    wire = run_virtually(sent(App(), *pieces))
    assert wire.written.startswith(TIMEOUT)
    assert b"\r\nConnection: close\r\n" in wire.written
    assert wire.written.endswith(b"\r\n\r\n" + told(errors.RequestTooSlow))
    assert wire.closed_at == HEAD_S_MAX


def test_a_head_just_in_time_is_served() -> None:
    wire = run_virtually(
        sent(App(), (0, b"GET / HT"), (HEAD_S_MAX - 0.1, b"TP/1.1\r\nHost: a\r\n\r\n"), until_s=12)
    )
    assert wire.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert wire.closed_at is None


def test_the_head_of_a_further_request_has_its_time_from_its_first_byte() -> None:
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    wire = run_virtually(sent(App(), (0, get), (3, get[:9]), (5, get[9:12])))
    assert wire.written.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert TIMEOUT in wire.written
    assert wire.closed_at == 3 + HEAD_S_MAX


def test_an_upload_of_a_byte_per_second_is_408() -> None:
    pieces = [(0.0, HEAD), *((float(at), b"a") for at in range(1, 60))]
    wire = run_virtually(sent(App(), *pieces))
    assert wire.written.startswith(TIMEOUT)
    assert wire.closed_at == BODY_S


@pytest.mark.parametrize("app", [App(holds=True), App(answers_early=True)], ids=["held back", "answered"])
def test_an_upload_that_is_held_back_or_answered_already_may_take_its_time(app: App) -> None:
    whole = b"a" * 200_000
    head = HEAD.replace(b"9000", b"999999")
    wire = run_virtually(sent(app, (0, head + whole), until_s=3 * BODY_S))
    assert wire.closed_at is None


def test_a_slow_upload_that_goes_on_is_taken_whole() -> None:
    each = BODY_BYTES_MIN // 2
    pieces = [
        (0.0, HEAD),
        *((5.0 + 10 * n, b"a" * each) for n in range(17)),
        (180.0, b"a" * (9000 - 17 * each)),
    ]
    wire = run_virtually(sent(App(), *pieces, until_s=181))
    assert wire.written.startswith(b"HTTP/1.1 200 OK\r\n")


def test_between_two_requests_a_connection_may_be_idle_for_as_long_as_it_is_kept() -> None:
    get = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    wire = run_virtually(sent(App(), (0, get), (4.9, get), until_s=5))  # uvicorn keeps it for 5 s by itself
    assert wire.written.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert wire.closed_at is None


def test_what_is_no_http_is_400_and_never_written_into_an_answer_that_has_begun() -> None:
    wire = run_virtually(sent(App(), (0, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), until_s=1))
    assert wire.written.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert wire.written.endswith(b"\r\n\r\n" + told(errors.NotHTTP))
    assert wire.closed_at == 0
    begun = run_virtually(sent(App(answers_early=True), (0, CHUNKED), (1, b"not a size\r\n"), until_s=2))
    assert begun.written.count(b"HTTP/1.1 ") == 1
    assert begun.closed_at == 1


def test_a_refusal_is_a_line_for_debugging_and_no_warning() -> None:
    with capture_logs() as lines:
        run_virtually(sent(App(), (0, b"SSH-2.0-OpenSSH_9.2\r\n"), until_s=1))
    assert [(line["log_level"], line["event"], line["code"]) for line in lines] == [
        ("debug", "request refused", "err-sidecar-not-http")
    ]
