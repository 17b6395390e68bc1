"""The Python client with the real sidecar on real sockets: each message once, and told how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from sidecar.client import EventSource, Gap, Recovery, State, StreamFailed
from sidecar.faultnet.network import FaultyNetwork
from tests.kit.deadline import within
from tests.kit.fake_upstream import FakeUpstream, RecordedRequest, literal, plain, sse
from tests.kit.relayed import relayed
from tests.kit.running import RunningSidecar

QUICK = b"retry: 10\n"
FIVE = [b"data: %d\n\n" % n for n in range(1, 6)]
LONG_S = 20.0
"""Longest wait for anything here; the machine may have other things to do."""


class PythonScene(NamedTuple):
    """A backend, the sidecar, and the network that the client reaches it by."""

    up: FakeUpstream
    sc: RunningSidecar
    network: FaultyNetwork

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.network.port}/v1/chat"

    def reports(self, verdict: str) -> float:
        return self.sc.metric("sse_client_reports_total", verdict=verdict)


@asynccontextmanager
async def scene(route: dict[str, Any] | None = None, **settings: Any) -> AsyncIterator[PythonScene]:
    async with (
        relayed(route, **settings) as (up, sc),
        FaultyNetwork("127.0.0.1", sc.port) as network,
        within(LONG_S * 2, lambda: "the scene did not end"),
    ):
        yield PythonScene(up, sc, network)


async def rest(events: EventSource) -> list[str]:
    return [event.data async for event in events]


class TestResume:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_a_cut_connection_is_resumed_where_it_broke(self, method: str) -> None:
        go_on = asyncio.Event()
        recovered: list[Recovery] = []
        async with scene() as at:
            at.up.script(sse(QUICK, *FIVE[:2], go_on, *FIVE[2:]))
            body = b"" if method == "GET" else b"{}"
            async with EventSource(at.url, method=method, body=body, on_recovered=recovered.append) as events:
                seen = [(await anext(events)).data, (await anext(events)).data]
                at.network.cut()
                go_on.set()
                seen += await rest(events)
                assert (events.state, events.received, events.duplicates) == (State.COMPLETED, 5, 0)
                assert events.last_event_id == f"{events.stream}.5"
            assert seen == ["1", "2", "3", "4", "5"]
            assert [request.method for request in at.up.requests] == [method]
            assert [recovery.attempts for recovery in recovered] == [1]
            assert all(0 <= (recovery.replayed or 0) <= 3 for recovery in recovered)
            assert recovered[0].replayed is not None
            await at.sc.until(lambda: at.reports("agree") == 2)
            assert at.reports("lost") + at.reports("rejected") + at.reports("unfinished") == 0

    @pytest.mark.parametrize("own", [b"", b"id: 7\n"], ids=["no-ids", "the-backend-s-ids"])
    async def test_what_is_never_stamped_is_resumed_by_counting(self, own: bytes) -> None:
        go_on = asyncio.Event()
        five = [own + block for block in FIVE]
        async with scene({"stamp": "never"}) as at:
            at.up.script(sse(QUICK, *five[:2], go_on, *five[2:]))
            async with EventSource(at.url) as events:
                seen = [(await anext(events)).data, (await anext(events)).data]
                at.network.cut()
                go_on.set()
                assert seen + await rest(events) == ["1", "2", "3", "4", "5"]
                assert events.position == f"{events.stream}.5"
            assert len(at.up.requests) == 1
            await at.sc.until(lambda: at.reports("agree") == 2)

    async def test_a_message_that_the_network_swallowed_whole_is_asked_for_and_comes(self) -> None:
        third, others = asyncio.Event(), asyncio.Event()
        gaps: list[Gap] = []
        async with scene() as at:
            at.up.script(sse(QUICK, *FIVE[:2], third, FIVE[2], others, *FIVE[3:]))
            async with EventSource(at.url, on_gap=gaps.append) as events:
                seen = [(await anext(events)).data, (await anext(events)).data]
                event = FIVE[2][:-1] + f"id: {events.stream}.3\n\n".encode()
                at.network.drop_bytes(len(b"%x\r\n%s\r\n" % (len(event), event)))
                third.set()
                await at.sc.until(lambda: not at.network.losing)
                others.set()
                seen += await rest(events)
            assert (seen, gaps, events.duplicates) == (["1", "2", "3", "4", "5"], [], 0)
            await at.sc.until(lambda: at.reports("agree") == 2)
            assert at.reports("lost") == 0

    async def test_a_silent_connection_is_replaced_and_back_in_less_than_five_seconds(self) -> None:
        go_on = asyncio.Event()
        states: list[State] = []
        recovered: list[Recovery] = []
        async with scene({"heartbeat_s": 0.2}) as at:
            at.up.script(sse(*FIVE[:2], go_on, *FIVE[2:]))

            def tell(state: State, _reason: str) -> None:
                states.append(state)
                if state is State.STALLED:
                    at.network.clear()
                    go_on.set()

            async with EventSource(
                at.url, stall_s=2.0, on_state=tell, on_recovered=recovered.append
            ) as events:
                seen = [(await anext(events)).data, (await anext(events)).data]
                at.network.stall()
                seen += await rest(events)
            assert seen == ["1", "2", "3", "4", "5"]
            assert states[:3] == [State.OPEN, State.STALLED, State.RECONNECTING]
            assert states[-1] is State.COMPLETED
            assert recovered[0].seconds < 5

    async def test_heartbeats_keep_a_thinking_stream_open_and_say_so(self) -> None:
        go_on = asyncio.Event()
        beats: list[int] = []
        states: list[State] = []

        def hear(idle_s: int) -> None:
            beats.append(idle_s)
            if len(beats) == 12:
                go_on.set()

        async with scene({"heartbeat_s": 0.2}) as at:
            at.up.script(sse(FIVE[0], go_on, FIVE[1]))
            async with EventSource(
                at.url, stall_s=LONG_S, on_heartbeat=hear, on_state=lambda state, _: states.append(state)
            ) as events:
                assert await rest(events) == ["1", "2"]
            assert states == [State.OPEN, State.COMPLETED]
            assert beats[-1] >= 1

    async def test_another_program_goes_on_where_the_first_one_left(self) -> None:
        go_on = asyncio.Event()
        async with scene() as at:
            at.up.script(sse(*FIVE[:2], go_on, *FIVE[2:]))
            async with EventSource(at.url, method="POST", body="{}") as events:
                await anext(events)
                stream, position = events.stream, events.position
            go_on.set()
            async with EventSource(at.url, join=stream, position=position) as events:
                assert await rest(events) == ["2", "3", "4", "5"]
            async with EventSource(at.url, join=stream) as events:
                assert await rest(events) == ["1", "2", "3", "4", "5"]
            assert len(at.up.requests) == 1
            await at.sc.until(lambda: at.reports("agree") == 3)


class TestAsking:
    async def test_the_same_question_under_the_same_key_is_asked_once(self) -> None:
        key = {"Idempotency-Key": "k-1", "Content-Type": "application/json"}
        async with scene() as at:
            at.up.script(sse(*FIVE))
            for _ in range(2):
                async with EventSource(at.url, method="POST", body=b"{}", headers=key) as events:
                    assert await rest(events) == ["1", "2", "3", "4", "5"]
            assert len(at.up.requests) == 1

    async def test_a_login_is_renewed_once_it_is_refused(self) -> None:
        asked: list[str] = []

        async def headers() -> dict[str, str]:
            asked.append(f"Bearer {len(asked)}")
            return {"Authorization": asked[-1]}

        async with scene() as at:
            at.up.script(plain(401), sse(*FIVE))
            async with EventSource(at.url, method="POST", body=b"{}", headers=headers) as events:
                assert await rest(events) == ["1", "2", "3", "4", "5"]
            assert (
                [request.header("authorization") for request in at.up.requests]
                == asked
                == [
                    "Bearer 0",
                    "Bearer 1",
                ]
            )

    async def test_every_connection_asks_for_the_login_anew(self) -> None:
        go_on = asyncio.Event()
        asked: list[str] = []

        def headers() -> dict[str, str]:
            asked.append(f"Bearer {len(asked)}")
            return {"Authorization": asked[-1]}

        async with scene(principal=["capability"]) as at:
            at.up.script(sse(QUICK, *FIVE[:2], go_on, *FIVE[2:]))
            async with EventSource(at.url, headers=headers) as events:
                seen = [(await anext(events)).data, (await anext(events)).data]
                at.network.cut()
                go_on.set()
                assert seen + await rest(events) == ["1", "2", "3", "4", "5"]
            assert len(asked) == 2

    async def test_a_login_that_is_refused_twice_is_a_failure(self) -> None:
        async with scene() as at:
            at.up.script(plain(403), plain(403))
            with pytest.raises(StreamFailed, match=r"^The server refused the request \(403\)\.$"):
                async with EventSource(at.url, headers=dict) as events:
                    await rest(events)
            assert len(at.up.requests) == 2


class TestStreamFailures:
    async def test_a_backend_that_breaks_off_is_told_with_its_code(self) -> None:
        async with scene() as at:
            at.up.script(sse(*FIVE[:2], then="reset"))
            async with EventSource(at.url) as events:
                seen = [(await anext(events)).data, (await anext(events)).data]
                with pytest.raises(StreamFailed) as failed:
                    await anext(events)
                assert (seen, events.received) == (["1", "2"], 2)
                assert (events.state, events.reason) == (State.FAILED, str(failed.value))
                assert failed.value.code == "err-sidecar-upstream-reset"
            await at.sc.until(lambda: at.reports("agree") == 1)

    async def test_a_family_s_own_error_is_a_failure_with_its_words(self) -> None:
        told = b'data: {"error":{"message":"Too many people ask.","code":"overloaded"}}\n\n'
        async with scene() as at:
            at.up.script(sse(FIVE[0], told))
            async with EventSource(at.url) as events:
                with pytest.raises(StreamFailed, match=r"^Too many people ask\.$") as failed:
                    await rest(events)
            assert failed.value.code == "overloaded"
            await at.sc.until(lambda: at.reports("agree") == 1)

    async def test_an_answer_that_is_no_longer_kept_is_a_failure_told_by_the_sidecar(self) -> None:
        async with scene({"retain_s": 0, "linger_s": 0}) as at:
            at.up.script(sse(*FIVE))
            async with EventSource(at.url, method="POST", body=b"{}") as events:
                await rest(events)
            await at.sc.until(lambda: not at.sc.parts.hub.streams)
            async with EventSource(at.url, join=events.stream, position=f"{events.stream}.3") as late:
                with pytest.raises(StreamFailed) as failed:
                    await rest(late)
            assert failed.value.code == "err-sidecar-resume-expired"
            assert late.detail == "the server answered 410"

    async def test_what_the_log_no_longer_holds_is_a_gap_that_is_shown_and_reported(self) -> None:
        go_on = asyncio.Event()
        gaps: list[Gap] = []
        route = {"kind": "live", "log_events_max": 3}
        async with scene(route) as at:
            at.up.script(
                sse(QUICK, *FIVE[:2], go_on, *[b"data: %d\n\n" % n for n in range(3, 11)], then="stall")
            )
            async with EventSource(at.url, on_gap=gaps.append) as events:
                seen = [(await anext(events)).data, (await anext(events)).data]
                at.network.cut()
                go_on.set()
                await at.sc.until(lambda: at.sc.metric("sse_messages_received_total") == 10)
                seen += [(await anext(events)).data for _ in range(3)]
                assert seen == ["1", "2", "8", "9", "10"]
                assert gaps == list(events.gaps) == [Gap(3, 7, "trimmed")]
            await at.sc.until(lambda: at.reports("agree") == 2)


class TestLeaving:
    async def test_cancel_stops_the_generation_and_says_so(self) -> None:
        async with scene() as at:
            by_hand = at.up.by_hand()
            async with EventSource(at.url, method="POST", body=b"{}") as events:
                first = asyncio.create_task(anext(events))
                connection = await by_hand.connection(LONG_S)
                await connection.write(FIVE[0])
                assert (await first).data == "1"
                assert await events.cancel()
                assert (events.state, events.reason) == (State.CLOSED, "You stopped this.")
                assert [event.type for event in [event async for event in events]] == []
            await at.up.requests[0].closed_by_peer(LONG_S)
            await at.sc.until(lambda: at.sc.outcomes().get("client_cancelled") == 1)

    async def test_cancel_from_another_task_ends_the_iteration(self) -> None:
        async with scene() as at:
            by_hand = at.up.by_hand()
            async with EventSource(at.url) as events:
                reading = asyncio.create_task(rest(events))
                connection = await by_hand.connection(LONG_S)
                await connection.write(FIVE[0])
                await at.sc.until(lambda: events.received == 1)
                assert await events.cancel()
                assert await reading == ["1"]

    async def test_leaving_the_block_leaves_the_stream_and_reports_what_was_handed_out(self) -> None:
        async with scene({"linger_s": 60}) as at:
            at.up.script(sse(*FIVE, then="stall"))
            async with EventSource(at.url) as events:
                async for event in events:
                    if event.data == "3":
                        break
            assert (events.state, events.received) == (State.CLOSED, 3)
            await at.sc.until(lambda: at.reports("agree") == 1)

    async def test_close_from_another_task_ends_the_iteration(self) -> None:
        async with scene() as at:
            at.up.script(sse(FIVE[0], then="stall"))
            async with EventSource(at.url) as events:
                reading = asyncio.create_task(rest(events))
                await at.sc.until(lambda: events.received == 1)
                events.close()
                assert await reading == ["1"]

    async def test_close_before_an_answer_ends_the_iteration(self) -> None:
        async with scene() as at:
            at.up.script(literal(b"", then="stall"))
            async with EventSource(at.url) as events:
                reading = asyncio.create_task(rest(events))
                asked: RecordedRequest = await at.up.request(0, LONG_S)
                assert asked.method == "GET"
                events.close()
                assert await reading == []
