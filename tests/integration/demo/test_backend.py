"""The demo backend: what each dialect and each fault looks like on the wire."""

import re
import zlib
from itertools import pairwise

import pytest

from sidecar.demo.words import tokens
from tests.kit.body import Body
from tests.kit.client import Response
from tests.kit.demo_backend import QUESTIONS, ask, demo_backend, record_of

CHAT = "/api/chat"
TERMINALS = {
    CHAT: b"event: done\n",
    "/v1/chat/completions": b'"finish_reason":"stop"',
    "/v1/responses": b"event: response.completed\n",
    "/v1/messages": b"event: message_stop\n",
    "/api/ai-sdk": b'{"type":"finish"}',
}
OPENING_EVENTS = {
    CHAT: 0,
    "/v1/chat/completions": 1,
    "/v1/responses": 4,
    "/v1/messages": 3,
    "/api/ai-sdk": 2,
}
PATHS = list(QUESTIONS)


class TestDialects:
    async def test_the_demo_s_own_form_is_a_plain_event_per_token_and_a_named_event_at_the_end(self) -> None:
        async with demo_backend() as client:
            answer = await ask(client, CHAT, "n=3&seed=a")
        assert answer.raw == (
            b'data: {"text": "A", "index": 1}\n\n'
            b'data: {"text": " heartbeat", "index": 2}\n\n'
            b'data: {"text": " says:", "index": 3}\n\n'
            b'event: done\ndata: {"tokens": 3, "model": "demo-1"}\n\n'
        )

    async def test_openai_chat_ends_with_a_finish_reason_and_done(self) -> None:
        async with demo_backend() as client:
            answer = await ask(client, "/v1/chat/completions", "n=1&seed=a")
        head = (
            b'data: {"id":"chatcmpl-*","object":"chat.completion.chunk","created":*,'
            b'"model":"demo-1","choices":'
        )
        assert _masked(answer) == (
            head + b'[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,'
            b'"finish_reason":null}]}\n\n' + head + b'[{"index":0,"delta":{"content":"A"},"logprobs":null,'
            b'"finish_reason":null}]}\n\n' + head + b'[{"index":0,"delta":{},"logprobs":null,'
            b'"finish_reason":"stop"}]}\n\n'
            b"data: [DONE]\n\n"
        )

    async def test_anthropic_goes_from_message_start_to_message_stop(self) -> None:
        async with demo_backend() as client:
            answer = await ask(client, "/v1/messages", "n=1&seed=a")
        assert _masked(answer) == (
            b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_*","type":"message",'
            b'"role":"assistant","model":"demo-1","content":[],"stop_reason":null,"stop_sequence":null,'
            b'"usage":{"input_tokens":4,"output_tokens":1}}}\n\n'
            b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
            b'"content_block":{"type":"text","text":""}}\n\n'
            b'event: ping\ndata: {"type":"ping"}\n\n'
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
            b'"delta":{"type":"text_delta","text":"A"}}\n\n'
            b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
            b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
            b'"stop_sequence":null},"usage":{"output_tokens":1}}\n\n'
            b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
        )

    async def test_the_ai_sdk_s_stream_is_marked_by_its_header(self) -> None:
        async with demo_backend() as client:
            answer = await ask(client, "/api/ai-sdk", "n=1&seed=a")
        assert answer.header("x-vercel-ai-ui-message-stream") == "v1"
        assert _masked(answer) == (
            b'data: {"type":"start","messageId":"msg-*"}\n\n'
            b'data: {"type":"text-start","id":"text-1"}\n\n'
            b'data: {"type":"text-delta","id":"text-1","delta":"A"}\n\n'
            b'data: {"type":"text-end","id":"text-1"}\n\n'
            b'data: {"type":"finish"}\n\n'
            b"data: [DONE]\n\n"
        )

    async def test_openai_responses_are_numbered_without_a_hole(self) -> None:
        async with demo_backend() as client:
            answer = await ask(client, "/v1/responses", "n=2&seed=a")
        numbers = re.findall(
            rb'^data: \{"type":"([a-z._]+)","sequence_number":(\d+)', answer.raw, re.MULTILINE
        )
        assert [(name.decode(), int(number)) for name, number in numbers] == [
            ("response.created", 0),
            ("response.in_progress", 1),
            ("response.output_item.added", 2),
            ("response.content_part.added", 3),
            ("response.output_text.delta", 4),
            ("response.output_text.delta", 5),
            ("response.output_text.done", 6),
            ("response.content_part.done", 7),
            ("response.output_item.done", 8),
            ("response.completed", 9),
        ]

    @pytest.mark.parametrize("path", PATHS)
    async def test_every_answer_is_an_event_stream_that_ends_with_its_terminal(self, path: str) -> None:
        async with demo_backend() as client:
            answer = await ask(client, path, "n=5")
            record = await record_of(client, answer)
        assert (answer.status, answer.ended) == (200, "clean")
        assert answer.header("content-type") == "text/event-stream; charset=utf-8"
        assert TERMINALS[path] in answer.raw
        assert (record["ending"], record["events_sent"]) == ("completed", len(answer.seen))

    def test_the_same_seed_gives_the_same_tokens(self) -> None:
        assert list(tokens("a", 6)) == ["A", " heartbeat", " says:", " I", " am", " here,"]
        assert list(tokens("a", 500)) == list(tokens("a", 500)) != list(tokens("b", 500))


class TestFaults:
    @pytest.mark.parametrize("path", PATHS)
    async def test_reset_is_a_tcp_reset_after_so_many_whole_events(self, path: str) -> None:
        async with demo_backend() as client:
            answer = await ask(client, path, "n=9&fault=reset&at=5")
            record = await record_of(client, answer)
        assert (answer.ended, answer.connection.closed_with, len(answer.seen)) == ("aborted", "reset", 5)
        assert answer.raw.endswith(b"\n\n")
        assert (record["ending"], record["client_disconnected"]) == ("reset", False)

    @pytest.mark.parametrize("path", PATHS)
    async def test_truncate_is_half_an_event_and_a_close_without_the_last_chunk(self, path: str) -> None:
        async with demo_backend() as client:
            answer = await ask(client, path, "n=9&fault=truncate&at=5")
        assert (answer.ended, answer.connection.closed_with, len(answer.seen)) == ("aborted", "fin", 5)
        assert answer.defect == ""
        assert not answer.raw.endswith(b"\n")

    @pytest.mark.parametrize(
        ("path", "event"),
        [
            (CHAT, b'event: error\ndata: {"error": {"code": "model_failed", "message": "*"}}'),
            (
                "/v1/chat/completions",
                b'data: {"error":{"message":"*","type":"server_error","param":null,"code":"model_failed"}}',
            ),
            (
                "/v1/responses",
                (
                    b'event: error\ndata: {"type":"error","sequence_number":5,"code":"server_error",'
                    b'"message":"*","param":null}'
                ),
            ),
            (
                "/v1/messages",
                b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"*"}}',
            ),
            ("/api/ai-sdk", b'data: {"type":"error","errorText":"*"}'),
        ],
    )
    async def test_error_is_the_family_s_own_event_and_then_a_clean_end(
        self, path: str, event: bytes
    ) -> None:
        async with demo_backend() as client:
            answer = await ask(client, path, "n=9&fault=error&at=5")
        masked = answer.raw.replace(b"The model stopped unexpectedly.", b"*")
        assert masked.endswith(b"\n\n" + event + b"\n\n")
        assert (answer.ended, len(answer.seen)) == ("clean", 6)

    @pytest.mark.parametrize("path", PATHS)
    async def test_repeat_sends_one_event_twice_under_one_id_of_the_backend(self, path: str) -> None:
        async with demo_backend() as client:
            whole = await ask(client, path, "n=9&seed=1")
            answer = await ask(client, path, "n=9&seed=1&fault=repeat&at=5")
        first, second = answer.seen[5:7]
        assert first == second
        assert first.last_event_id.startswith("req_")
        assert answer.seen[4].last_event_id == ""
        assert len(answer.seen) == len(whole.seen) + 1

    @pytest.mark.parametrize("path", PATHS)
    async def test_no_terminal_is_a_clean_end_after_the_last_token(self, path: str) -> None:
        async with demo_backend() as client:
            answer = await ask(client, path, "n=4&fault=no_terminal")
        assert answer.ended == "clean"
        assert len(answer.seen) >= OPENING_EVENTS[path] + 4
        assert TERMINALS[path] not in answer.raw
        assert b"[DONE]" not in answer.raw

    @pytest.mark.parametrize("path", PATHS)
    async def test_huge_makes_the_first_token_from_there_on_2_mib_long(self, path: str) -> None:
        async with demo_backend() as client, client.connect() as connection:
            question = QUESTIONS[path]
            target = f"{path}?interval_ms=0&n=9&fault=huge&at=2"
            method = "POST" if question else "GET"
            connection.start_sending(
                client.request_bytes(method, target, [("Connection", "close")], question)
            )
            wire = await connection.read_to_close()
        body = Body("chunked")
        events = body.feed(wire.partition(b"\r\n\r\n")[2]).split(b"\n\n")
        first_huge = next(i for i, event in enumerate(events) if event.count(b"x") >= 2 * 1024 * 1024)
        assert first_huge == max(2, OPENING_EVENTS[path])
        assert body.complete
        assert any(TERMINALS[path].strip() in event for event in events)

    @pytest.mark.parametrize(
        ("fault", "wire"),
        [
            ("crlf", b'data: {"text": "A", "index": 1}\r\n\r\nevent: done\r\ndata: {"tok'),
            ("cr", b'data: {"text": "A", "index": 1}\r\revent: done\rdata: {"tok'),
            ("bom", b'\xef\xbb\xbfdata: {"text": "A", "index": 1}\n\nevent: done\ndata: {"tok'),
        ],
    )
    async def test_another_line_form_is_the_same_events_in_other_bytes(self, fault: str, wire: bytes) -> None:
        async with demo_backend() as client:
            answer = await ask(client, CHAT, f"n=1&seed=a&fault={fault}")
        assert answer.raw.startswith(wire)
        assert [event.type for event in answer.seen] == ["message", "done"]

    async def test_gzip_is_flushed_after_each_event(self) -> None:
        async with (
            demo_backend() as client,
            client.open("GET", "/api/chat?n=3&seed=a&interval_ms=50&fault=gzip") as answer,
        ):
            unpacking = zlib.decompressobj(wbits=31)
            first = unpacking.decompress(await answer.more())
            await answer.read_to_end()
        assert answer.header("content-encoding") == "gzip"
        assert first == b'data: {"text": "A", "index": 1}\n\n'
        assert zlib.decompress(answer.raw, wbits=31).endswith(b'"model": "demo-1"}\n\n')

    async def test_slow_is_ten_times_the_interval(self) -> None:
        async with (
            demo_backend() as client,
            client.open("GET", "/api/chat?n=3&interval_ms=10&fault=slow") as answer,
        ):
            await answer.read_to_end()
        first, second, *_ = [at for at, _ in answer.arrivals]
        assert second - first >= 0.09

    async def test_a_stall_goes_on_after_its_time(self) -> None:
        async with demo_backend() as client:
            answer = await ask(client, CHAT, "n=4&fault=stall&at=2&stall_s=1")
        times = [at for at, _ in answer.arrivals]
        assert max(later - earlier for earlier, later in pairwise(times)) >= 0.95
        assert (answer.ended, len(answer.seen)) == ("clean", 5)

    @pytest.mark.parametrize("path", PATHS)
    async def test_the_faults_of_the_head(self, path: str) -> None:
        async with demo_backend() as client:
            failed = await ask(client, path, "fault=status&status=529")
            empty = await ask(client, path, "fault=empty")
            page = await ask(client, path, "fault=wrong_type")
        assert (failed.status, failed.header("content-type")) == (529, "application/json")
        assert failed.json()["error"]["message"] == "The model stopped unexpectedly."
        assert (empty.status, empty.raw, empty.ended) == (200, b"", "clean")
        assert empty.header("content-type") == "text/event-stream; charset=utf-8"
        assert (page.status, page.header("content-type")) == (200, "text/html; charset=utf-8")

    @pytest.mark.parametrize(
        ("query", "complaint"),
        [
            ("n=0", "n='0': a whole number from 1 to 10000 is allowed"),
            ("n=10001", "n='10001': a whole number from 1 to 10000 is allowed"),
            ("n=%D9%A3", "n='\u0663': a whole number from 1 to 10000 is allowed"),
            ("at=-1", "at='-1': a whole number from 0 to 20000 is allowed"),
            ("fault=fire", "fault='fire': one of slow, stall, reset, truncate, error, no_terminal, "),
            ("status=200", "status='200': a whole number from 400 to 599 is allowed"),
        ],
    )
    async def test_a_parameter_that_cannot_be_used_is_named(self, query: str, complaint: str) -> None:
        async with demo_backend() as client:
            refusal = await client.fetch("GET", f"/api/chat?{query}")
        assert refusal.status == 400
        assert refusal.json()["error"]["message"].startswith(complaint)


def _masked(answer: Response) -> bytes:
    return re.sub(rb'(chatcmpl-|msg_|msg-|"created":)([0-9a-f]{24}|\d+)', rb"\1*", answer.raw)
