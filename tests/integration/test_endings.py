"""A failure never looks like an end: the client is told in band and the connection is aborted."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.kit.fake_upstream import Ending, Script, sse
from tests.kit.protocols import ANTHROPIC, KNOWN, OPENAI, PROTOCOLS, UNKNOWN, Protocol
from tests.kit.relayed import Relayed, relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

QUICK_IDLE = {"stall_s": 0.1, "upstream_idle_s": 0.3}
ACCEPTS = {"stamped": "text/event-stream", "unstamped": "application/json"}


@dataclass(frozen=True)
class Failure:
    """One way for a backend to fail after its first event, and what has to come of it."""

    name: str
    then: Ending
    outcome: str
    code: str
    silent: str = ""
    half_event: bytes = b""
    route: dict[str, Any] = field(default_factory=dict)

    def script(self, protocol: Protocol, go_on: asyncio.Event) -> Script:
        return sse(protocol.first, go_on, *filter(None, [self.half_event]), then=self.then)


RESET = Failure("reset", "reset", "upstream_truncated", "err-sidecar-upstream-reset")
FAILURES = (
    RESET,
    Failure(
        "fin in mid-event",
        "fin",
        "upstream_truncated",
        "err-sidecar-upstream-reset",
        half_event=b"data: ~half~",
    ),
    Failure("bad chunk", "bad_chunk", "upstream_error", "err-sidecar-upstream-bad-response"),
    Failure("stall", "stall", "stall_unrecovered", "err-sidecar-upstream-idle", "hung", route=QUICK_IDLE),
)
NO_TERMINAL = Failure(
    "no terminal", "end", "upstream_truncated", "err-sidecar-upstream-truncated", silent="truncated"
)
CASES = [(failure, protocol) for failure in FAILURES for protocol in PROTOCOLS] + [
    (NO_TERMINAL, protocol) for protocol in KNOWN
]


async def break_after_the_first(
    relay: Relayed, failure: Failure, protocol: Protocol, accept: str
) -> Response:
    up, sc = relay
    go_on = asyncio.Event()
    up.script(failure.script(protocol, go_on))
    async with sc.client.open("POST", "/v1/chat", body=b"{}", accept=accept) as response:
        await response.event()
        go_on.set()
        await response.read_to_end()
    return response


async def resume(sc: RunningSidecar, response: Response, after: int) -> Response:
    async with sc.client.resume(f"{response.header('SSE-Stream')}.{after}") as again:
        await again.read_to_end()
    return again


@pytest.mark.parametrize("accept", ACCEPTS.values(), ids=ACCEPTS)
@pytest.mark.parametrize(("failure", "protocol"), CASES, ids=[f"{f.name}-{p}" for f, p in CASES])
async def test_a_failure_is_told_in_the_protocols_own_form_aborted_counted_once_and_replayed(
    failure: Failure, protocol: Protocol, accept: str
) -> None:
    async with relayed(failure.route) as relay:
        response = await break_after_the_first(relay, failure, protocol, accept)
        up, sc = relay
        stream = response.header("SSE-Stream") or ""
        first, told = response.seen
        assert (response.status, response.ended) == (200, "aborted")
        assert [first.data] == [event.data for event in up.truth[0]]
        assert protocol.error_of(told, stream)["code"] == failure.code
        assert b"[DONE]" not in response.raw
        assert b"~half~" not in response.raw
        assert (b"\nid: " in response.raw) is (accept == ACCEPTS["stamped"])
        await sc.until(sc.outcomes)
        again = await resume(sc, response, 1)
        assert [(event.type, event.data) for event in again.seen] == [(told.type, told.data)]
        assert (again.status, again.ended, again.last_event_id) == (200, "aborted", f"{stream}.2")
        assert (await resume(sc, response, 2)).status == 204
        assert sc.outcomes() == {failure.outcome: 1}
        assert len(up.requests) == 1
        for kind in ("truncated", "empty", "hung", "wrong_content_type"):
            surfaced = sc.metric("sse_silent_failures_total", disposition="surfaced", kind=kind)
            assert surfaced == (kind == failure.silent)


EMPTY = {
    "no chunk": sse(),
    "no length": sse(headers=[("Content-Type", "text/event-stream"), ("Content-Length", "0")]),
    "only comments": sse(b": hello\n\n"),
}


@pytest.mark.parametrize("accept", ACCEPTS.values(), ids=ACCEPTS)
@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
async def test_an_empty_200_is_a_failure_that_the_client_is_told(empty: Script, accept: str) -> None:
    async with relayed() as (up, sc):
        up.script(empty)
        async with sc.client.open("POST", "/v1/chat", accept=accept) as response:
            await response.read_to_end()
        stream = response.header("SSE-Stream") or ""
        (told,) = response.seen
        assert response.ended == "aborted"
        assert UNKNOWN.error_of(told, stream)["code"] == "err-sidecar-upstream-empty"
        assert (await resume(sc, response, 0)).seen[0].data == told.data
        assert (await resume(sc, response, 1)).status == 204
        assert sc.outcomes() == {"upstream_truncated": 1}
        assert sc.metric("sse_silent_failures_total", disposition="surfaced", kind="empty") == 1


ERROR_EVENTS = {
    "openai": (OPENAI, b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'),
    "anthropic": (
        ANTHROPIC,
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n',
    ),
    "unknown": (UNKNOWN, b"event: error\ndata: it broke\n\n"),
}


@pytest.mark.parametrize("then", ["end", "reset"])
@pytest.mark.parametrize(("protocol", "error"), ERROR_EVENTS.values(), ids=ERROR_EVENTS)
async def test_the_backends_own_error_event_is_passed_on_unchanged_and_is_the_only_one(
    protocol: Protocol, error: bytes, then: Ending
) -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(protocol.first, error, gate, then=then))
        async with sc.client.open("POST", "/v1/chat", accept="application/json") as response:
            await response.take(2)
            gate.set()
            await response.read_to_end()
        assert response.raw == protocol.first + error
        assert response.ended == "aborted"
        again = await resume(sc, response, 1)
        assert ([e.data for e in again.seen], again.ended) == ([response.seen[1].data], "aborted")
        assert (await resume(sc, response, 2)).status == 204
        assert sc.outcomes() == {"upstream_error": 1}


async def test_a_failure_after_the_terminal_is_a_completed_answer_and_ends_cleanly() -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(OPENAI.first, OPENAI.terminal, gate, then="reset"))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.take(2)
            gate.set()
            await response.read_to_end()
        assert (response.ended, response.seen[-1].data) == ("clean", "[DONE]")
        assert sc.outcomes() == {"completed": 1}


async def test_every_reader_of_a_broken_stream_is_told() -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(OPENAI.first, gate, then="reset"))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.event()
            async with sc.client.open("GET", f"/_sse/streams/{first.header('SSE-Stream')}") as second:
                await second.event()
                gate.set()
                await asyncio.gather(first.read_to_end(), second.read_to_end())
        assert (first.ended, second.ended) == ("aborted", "aborted")
        assert first.raw == second.raw
        assert sc.outcomes() == {"upstream_truncated": 1}
