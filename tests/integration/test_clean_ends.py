"""An answer that is whole ends cleanly, and only what the backend sent is in it."""

import asyncio
import json
from typing import Any

import pytest

from tests.kit.eventsource import DispatchedEvent
from tests.kit.fake_upstream import literal, sse
from tests.kit.protocols import AI_SDK, KNOWN, OPENAI, UNKNOWN, Protocol
from tests.kit.relayed import relayed

WISH = [("Accept", "text/event-stream; sse-events=1")]
UNFRAMED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
"""A response whose body ends with its connection."""


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("protocol", KNOWN, ids=str)
async def test_a_whole_answer_ends_cleanly_and_counts_as_completed(protocol: Protocol, accept: str) -> None:
    async with relayed() as (up, sc):
        up.script(sse(protocol.first, protocol.terminal))
        async with sc.client.open("POST", "/v1/chat", accept=accept) as response:
            await response.read_to_end()
        assert response.ended == "clean"
        assert [(e.type, e.data) for e in response.seen] == [(e.type, e.data) for e in up.truth[0]]
        assert sc.outcomes() == {"completed": 1}
        async with sc.client.resume(f"{response.header('SSE-Stream')}.2") as again:
            assert again.status == 204
        assert sc.outcomes() == {"completed": 1}


async def test_an_unstamped_answer_is_byte_for_byte_what_the_backend_sent() -> None:
    blocks = [b"data: a\n\n", b": note\n\nevent: x\ndata: b\nid: 7\nunknown\n\n", b"retry: 10\ndata\n\n"]
    async with relayed() as (up, sc):
        up.script(sse(*blocks))
        async with sc.client.open("POST", "/v1/chat", accept=None) as response:
            await response.read_to_end()
        assert response.raw == b"data: a\n\n: note\nevent: x\ndata: b\nid: 7\nunknown\n\nretry: 10\ndata\n\n"


@pytest.mark.parametrize(
    ("kind", "outcome"), [("answer", "completed"), ("live", "completed")], ids=["answer", "live"]
)
async def test_a_clean_end_completes_a_stream_of_an_unknown_protocol(kind: str, outcome: str) -> None:
    async with relayed({"kind": kind}) as (up, sc):
        up.script(sse(UNKNOWN.first))
        async with sc.client.open("GET", "/feed") as response:
            await response.read_to_end()
        assert response.ended == "clean"
        assert sc.outcomes() == {outcome: 1}


async def test_complete_on_eof_takes_any_clean_end_even_an_empty_one() -> None:
    async with relayed({"complete_on": "eof"}) as (up, sc):
        up.script(sse(OPENAI.first), sse())
        for _ in range(2):
            async with sc.client.open("POST", "/v1/chat") as response:
                await response.read_to_end()
            assert response.ended == "clean"
        assert sc.outcomes() == {"completed": 2}


@pytest.mark.parametrize("route", [{}, {"early_start_s": 0.05}], ids=["at once", "after an early start"])
async def test_the_ai_sdk_is_known_by_its_header_before_any_event_of_its_own(route: dict[str, Any]) -> None:
    fields = [
        ("Content-Type", "text/event-stream"),
        ("x-vercel-ai-ui-message-stream", "v1"),
        ("Transfer-Encoding", "chunked"),
    ]
    async with relayed(route) as (up, sc):
        hand = up.by_hand(head=False)
        asking = asyncio.ensure_future(
            sc.client.fetch("POST", "/api/chat", [("Accept", "text/event-stream")])
        )
        upstream = await hand.connection()
        if route:
            await sc.until(lambda: sc.metric("sse_subscribers"))
        await sse(b'data: {"type":"data-weather","data":1}\n\n', headers=fields)(upstream)
        response = await asking
        assert response.ended == "aborted"
        error = AI_SDK.error_of(response.seen[-1], response.header("SSE-Stream") or "")
        assert error["code"] == "err-sidecar-upstream-truncated"


PARTIALS = {
    "in a line": b"data: par",
    "after a line": b"event: x\ndata: par\n",
    "a comment": b": bye\n\n",
}


@pytest.mark.parametrize("partial", PARTIALS.values(), ids=PARTIALS)
async def test_a_partial_block_before_a_clean_end_is_forwarded_and_takes_no_id(partial: bytes) -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\n", partial))
        async with sc.client.open("GET", "/feed") as response:
            await response.read_to_end()
        stream = response.header("SSE-Stream")
        assert response.raw == b"data: 1\nid: %b.1\n\n" % (stream or "").encode() + partial.removesuffix(
            b"\n\n"
        ) + (b"\n" if partial.endswith(b"\n\n") else b"")
        assert response.seen == [DispatchedEvent("message", "1", f"{stream}.1")]
        assert response.ended == "clean"
        async with sc.client.resume(f"{stream}.1") as again:
            assert again.status == 204


async def test_a_terminal_without_its_blank_line_still_completes_the_answer() -> None:
    async with relayed() as (up, sc):
        up.script(sse(OPENAI.first, b"data: [DONE]"))
        async with sc.client.open("POST", "/v1/chat", accept=None) as response:
            await response.read_to_end()
        assert response.ended == "clean"
        assert response.raw == OPENAI.first + b"data: [DONE]"
        assert sc.outcomes() == {"completed": 1}


@pytest.mark.parametrize("partial", [b"", *PARTIALS.values()], ids=["none", *PARTIALS])
async def test_sse_end_goes_to_a_client_that_asks_and_to_no_other(partial: bytes) -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(b"data: 1\n\ndata: 2\n\n", gate, partial))
        async with sc.client.open("GET", "/feed", WISH) as asked:
            stream = asked.header("SSE-Stream")
            await asked.take(2)
            async with sc.client.open("GET", f"/_sse/streams/{stream}") as silent:
                await silent.take(2)
                gate.set()
                await asyncio.gather(asked.read_to_end(), silent.read_to_end())
        assert (asked.ended, silent.ended) == ("clean", "clean")
        assert [event.data for event in silent.seen] == ["1", "2"]
        assert [event.data for event in asked.seen[:2]] == ["1", "2"]
        (end,) = asked.seen[2:]
        assert end.type == "sse-end"
        assert json.loads(end.data) == {"events": 2, "last_seq": 2}
        assert end.last_event_id == f"{stream}.2"
        assert asked.raw.count(b"\nid: ") == 2
        forwarded = partial.replace(b"\n\n", b"\n")
        assert asked.raw.endswith(b'"last_seq":2}\n\n' + forwarded)
        assert silent.raw.endswith(b".2\n\n" + forwarded)


async def test_a_failed_stream_has_no_sse_end() -> None:
    async with relayed() as (up, sc):
        up.script(sse(OPENAI.first))
        async with sc.client.open("POST", "/v1/chat", WISH) as response:
            await response.read_to_end()
        assert (response.ended, b"sse-end" in response.raw) == ("aborted", False)


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("text/event-stream; sse-events=1", "text/event-stream"),
        ("text/event-stream;sse-events=1", "text/event-stream"),
        ('text/event-stream; sse-events="1"; q=0.9, */*;q=0.1', "text/event-stream; q=0.9, */*;q=0.1"),
    ],
)
async def test_the_parameter_that_asks_for_sse_end_never_reaches_the_backend(
    sent: str, forwarded: str
) -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\n"))
        async with sc.client.open("GET", "/feed", [("Accept", sent)]) as response:
            await response.read_to_end()
        assert up.requests[0].header("Accept") == forwarded
        assert response.seen[-1].type == "sse-end"


async def test_an_http_1_0_client_gets_a_body_that_ends_with_the_connection() -> None:
    async with relayed() as (up, sc):
        up.script(sse(OPENAI.first, OPENAI.terminal))
        async with sc.client.open("GET", "/v1/chat", accept=None, version="HTTP/1.0") as response:
            await response.read_to_end()
        assert response.header("Transfer-Encoding") is None
        assert response.header("Content-Length") is None
        assert response.raw == OPENAI.first + OPENAI.terminal
        assert (response.ended, response.connection.closed_with) == ("clean", "fin")


async def test_an_http_1_0_client_of_a_failed_stream_gets_a_reset() -> None:
    async with relayed() as (up, sc):
        up.script(sse(OPENAI.first))
        async with sc.client.open("GET", "/v1/chat", accept=None, version="HTTP/1.0") as response:
            await response.read_to_end()
        assert response.header("Transfer-Encoding") is None
        assert b'"code":"err-sidecar-upstream-truncated"' in response.raw
        assert (response.ended, response.connection.closed_with) == ("aborted", "reset")


async def test_a_close_delimited_answer_of_the_backend_completes_at_fin() -> None:
    async with relayed() as (up, sc):
        up.script(literal(UNFRAMED + b"data: 1\n\n", then="fin"))
        async with sc.client.open("GET", "/feed") as response:
            await response.read_to_end()
        assert (response.ended, [event.data for event in response.seen]) == ("clean", ["1"])
        assert sc.outcomes() == {"completed": 1}


async def test_a_close_delimited_answer_of_the_backend_that_is_reset_is_a_failure() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand(head=False)
        opening = asyncio.ensure_future(sc.client.fetch("GET", "/feed", [("Accept", "text/event-stream")]))
        upstream = await hand.connection()
        await upstream.send(UNFRAMED + b"data: 1\n\n")
        await sc.until(lambda: sc.metric("sse_messages_received_total"))
        await upstream.reset()
        response = await opening
        assert (response.ended, [event.type for event in response.seen]) == (
            "aborted",
            ["message", "sse-error"],
        )
        assert sc.outcomes() == {"upstream_truncated": 1}
