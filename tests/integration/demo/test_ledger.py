"""The demo backend: clients that leave, the feed's own replay, the plain routes, the kill switch."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from sidecar.demo.ledger import GENERATIONS_MAX, DemoGeneration, GenerationLog
from sidecar.demo.supervisor import supervise
from tests.kit.client import SSEClient
from tests.kit.deadline import within
from tests.kit.demo_backend import QUESTIONS, ask, demo_backend, record_of
from tests.kit.user_process import UserProcess, user_process

LINE_S = 10.0


class TestClientsThatLeave:
    @pytest.mark.parametrize("path", [*QUESTIONS, "/notifications"])
    async def test_a_generation_is_closed_within_a_second_after_its_client_left(self, path: str) -> None:
        question = QUESTIONS.get(path, b"")
        async with demo_backend() as client:
            target = f"{path}?interval_ms=10&fault=stall&at=3"
            async with client.open("POST" if question else "GET", target, body=question) as answer:
                for _ in range(3):
                    await answer.event()
                assert await answer.connection.silent_for(0.1)
                await answer.connection.leave()
                async with within(1.0, lambda: "the generation is still open"):
                    record = await record_of(client, answer)
        assert (record["ending"], record["client_disconnected"], record["events_sent"]) == (
            "client_left",
            True,
            3,
        )
        assert record["closed_unix_s"] >= record["started_unix_s"]

    async def test_a_reset_by_the_client_is_noticed_between_two_tokens(self) -> None:
        async with (
            demo_backend() as client,
            client.open("GET", "/api/chat?n=10000&interval_ms=5") as answer,
        ):
            await answer.event()
            await answer.connection.cut()
            record = await record_of(client, answer)
        assert record["client_disconnected"]
        assert 1 <= record["events_sent"] < 1000

    async def test_a_reader_that_takes_nothing_holds_the_generation_back(self) -> None:
        async with demo_backend() as client:
            slow = SSEClient(client.host, client.port, rcvbuf_bytes=4096)
            async with slow.open("GET", "/api/chat?n=10000&interval_ms=0&fault=huge&at=1") as answer:
                assert (await answer.event()).type == "message"
                stats = (await client.fetch("GET", "/api/stats")).json()
                assert (stats["live"], stats["streams"][0]["ending"]) == (1, "live")
                assert stats["streams"][0]["events_sent"] < 10_000
                await answer.connection.cut()
                assert (await record_of(client, answer))["client_disconnected"]

    def test_the_ledger_forgets_the_oldest(self) -> None:
        ledger = GenerationLog()
        for number in range(GENERATIONS_MAX + 1):
            generation = DemoGeneration(str(number), "GET", "/", "", None, None)
            ledger.open(generation)
            ledger.close(generation)
        assert (ledger.find("0"), ledger.started_total) == (None, GENERATIONS_MAX + 1)
        assert len(ledger.as_json()["streams"]) == GENERATIONS_MAX


class TestFeed:
    async def test_ids_go_on_for_every_reader_and_a_resume_gets_exactly_what_it_missed(self) -> None:
        async with demo_backend() as client:
            first = await client.fetch("GET", "/notifications?interval_ms=1&n=3")
            await client.fetch("POST", "/notifications", body=b'{"text": "while away"}')
            async with client.resume("2", target="/notifications?interval_ms=1&n=3") as again:
                events = [event async for event in again.events()]
        assert [event.last_event_id for event in first.seen] == ["1", "2", "3"]
        assert [event.last_event_id for event in events] == ["3", "4", "5"]
        assert (events[0], events[1].data) == (first.seen[2], '{"id": 4, "text": "while away"}')

    async def test_two_readers_see_the_same_events(self) -> None:
        async with demo_backend() as client:
            answers = await asyncio.gather(
                client.fetch("GET", "/notifications?interval_ms=20&n=3"),
                client.fetch("GET", "/notifications?interval_ms=50&n=3"),
            )
        assert answers[0].seen == answers[1].seen

    @pytest.mark.parametrize("foreign", ["99", "abc.4", "-1", "9" * 40])
    async def test_an_id_that_is_not_in_the_past_starts_at_the_newest(self, foreign: str) -> None:
        async with demo_backend() as client:
            await client.fetch("POST", "/notifications", body=b"{}")
            async with client.resume(foreign, target="/notifications?interval_ms=1&n=1") as answer:
                assert (await answer.event()).last_event_id == "2"
                record = await record_of(client, answer)
        assert record["last_event_id"] == foreign

    async def test_the_past_is_a_hundred_long(self) -> None:
        async with demo_backend() as client:
            await client.fetch("GET", "/notifications?interval_ms=0&n=150")
            async with client.resume("0", target="/notifications?interval_ms=0&n=1") as answer:
                assert (await answer.event()).last_event_id == "51"


class TestPlainRoutes:
    async def test_a_login_is_good_until_it_is_revoked(self) -> None:
        async with demo_backend() as client:
            refused = await client.fetch("POST", "/login", body=b'{"user": "alice", "password": "no"}')
            login = await client.fetch("POST", "/login", body=b'{"user": "alice", "password": "demo"}')
            bearer = [("Authorization", f"Bearer {login.json()['token']}")]
            me = await client.fetch("GET", "/api/me", bearer)
            await client.fetch("POST", "/logout", bearer)
            gone = await client.fetch("GET", "/api/me", bearer)
        assert (refused.status, login.status, gone.status) == (401, 200, 401)
        assert me.json() == {"user": "alice"}
        assert gone.header("www-authenticate") == 'Bearer realm="demo"'

    async def test_a_conversation_that_was_started_is_listed(self) -> None:
        async with demo_backend() as client:
            started = await client.fetch("POST", "/api/conversations", body=b'{"title": "Trains"}')
            listed = await client.fetch("GET", "/api/conversations")
        assert started.status == 201
        assert started.header("location") == f"/api/conversations/{started.json()['id']}"
        assert listed.json() == {"conversations": [started.json()]}

    async def test_health_models_and_the_page_answer(self) -> None:
        async with demo_backend() as client:
            health = await client.fetch("GET", "/healthz")
            models = await client.fetch("GET", "/api/models")
            page = await client.fetch("GET", "/")
        assert health.json() == {"status": "ok"}
        assert [model["id"] for model in models.json()["data"]] == ["demo-1"]
        assert page.header("content-type") == "text/html; charset=utf-8"
        assert page.raw.startswith(b"<!doctype html>")

    async def test_echo_answers_while_the_body_is_still_arriving(self) -> None:
        async with demo_backend() as client, client.connect() as connection:
            headers = [("Content-Type", "text/plain"), ("Content-Length", "6")]
            answer = await client.request(connection, "POST", "/api/echo", headers, b"one")
            assert await answer.more() == b"one"
            await connection.send(b"two")
            await answer.read_to_end()
        assert (answer.raw, answer.header("content-type")) == (b"onetwo", "text/plain")

    @pytest.mark.parametrize(
        ("body", "status"),
        [(b"", 400), (b"{", 400), (b"[]", 400), (b"{}", 400), (b"[" * 100_000, 400), (b" " * 1_048_577, 413)],
    )
    async def test_a_question_that_cannot_be_read_is_refused(self, body: bytes, status: int) -> None:
        async with demo_backend() as client:
            assert (await client.fetch("POST", "/v1/messages", body=body)).status == status

    async def test_an_answer_without_a_stream_is_json_and_can_break_in_the_middle(self) -> None:
        question = b'{"messages": [1]}'
        async with demo_backend() as client:
            whole = await client.fetch("POST", "/v1/chat/completions?n=2&seed=a&interval_ms=0", body=question)
            half = await client.fetch(
                "POST", "/v1/chat/completions?fault=truncate&interval_ms=0", body=question
            )
        assert whole.json()["choices"][0]["message"]["content"] == "A heartbeat"
        assert (whole.ended, half.ended, half.connection.closed_with) == ("clean", "aborted", "fin")


class TestKill:
    async def test_embedded_it_resets_the_live_streams_only(self) -> None:
        async with demo_backend() as client, client.open("GET", "/api/chat?n=10000") as answer:
            await answer.event()
            killed = await client.fetch("POST", "/demo/kill")
            await answer.read_to_end()
            assert (await record_of(client, answer))["ending"] == "killed"
            assert (await ask(client, "/api/chat", "n=1")).ended == "clean"
        assert (killed.status, killed.json()) == (202, {"exits": False})
        assert answer.connection.closed_with == "reset"

    async def test_supervised_the_process_ends_with_3(self) -> None:
        async with _process("webapi", "--port", "0", "--supervised") as process:
            client = await _client_of(process)
            reset = await ask(client, "/api/chat", "n=4&fault=reset&at=2")
            async with client.open("GET", "/api/chat?n=10000") as answer:
                await answer.event()
                assert (await client.fetch("POST", "/demo/kill")).json() == {"exits": True}
                await answer.read_to_end()
            async with within(LINE_S, lambda: "the process does not end"):
                assert await process.wait() == 3
        assert (reset.connection.closed_with, len(reset.seen)) == ("reset", 2)
        assert answer.connection.closed_with == "reset"

    @pytest.mark.slow
    async def test_the_supervisor_brings_the_backend_back_on_its_port(self) -> None:
        async with demo_backend() as free:
            port = free.port
        async with _process("supervisor", "--port", str(port)) as process:
            client = await _client_of(process)
            await client.fetch("POST", "/demo/kill")
            again = await _client_of(process)
            assert (again.port, (await again.fetch("GET", "/healthz")).status) == (port, 200)

    async def test_the_supervisor_gives_up_on_any_other_exit(self) -> None:
        async with demo_backend() as taken:
            assert await supervise(taken.host, taken.port) == 1


@asynccontextmanager
async def _process(module: str, *arguments: str) -> AsyncIterator[UserProcess]:
    command = [sys.executable, "-u", "-m", f"sidecar.demo.{module}", *arguments]
    async with user_process(*command) as process:
        try:
            yield process
        finally:
            await process.stop(LINE_S)


async def _client_of(process: UserProcess) -> SSEClient:
    line = await process.line(LINE_S)
    assert line.startswith("demo backend on http://127.0.0.1:"), line
    address = urlsplit(line.split()[-1])
    return SSEClient(str(address.hostname), int(address.port or 0))
