"""Silence is filled, never an event cut in two; and what the backend's silence means is measured."""

import asyncio
import itertools
import json
import re
import statistics

import pytest

from sidecar.streams.timer_wheel import TICK_S
from tests.kit.eventsource import DispatchedEvent
from tests.kit.fake_upstream import FakeUpstream, UpstreamConnection, literal, plain, sse
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

HEARTBEAT_S = 0.3
BEAT = {"stamped": re.compile(rb": hb idle=(\d+)\n"), "unstamped": re.compile(rb": hb\n\n")}
ACCEPTS = {"stamped": "text/event-stream", "unstamped": "application/json"}
STALLS = {"stall_s": 0.2, "upstream_idle_s": 5}


async def beats(response: Response, count: int) -> list[float]:
    """Wait for so many comments, each a piece of the body of its own; return the gaps between the pieces."""
    await response.read_until(lambda so_far: len(so_far.comments) >= count)
    return [later - earlier for (earlier, _), (later, _) in itertools.pairwise(response.arrivals)]


@pytest.mark.parametrize("form", BEAT)
async def test_a_silent_stream_beats_in_time_and_in_the_form_that_the_client_bears(form: str) -> None:
    async with relayed({"heartbeat_s": HEARTBEAT_S}) as (up, sc):
        up.script(sse(b"data: 1\n\n", then="stall"))
        async with sc.client.open("POST", "/v1/chat", accept=ACCEPTS[form]) as response:
            gaps = await beats(response, 5)
        assert min(gaps) >= HEARTBEAT_S * 0.9, gaps
        assert statistics.median(gaps) <= HEARTBEAT_S * 1.1 + TICK_S, gaps
        first, *rest = (piece for _, piece in response.arrivals)
        assert first.startswith(b"data: 1\n")
        assert all(BEAT[form].fullmatch(piece) for piece in rest), rest
        assert len(response.seen) == 1
        assert sc.metric("sse_heartbeats_total") == 5


async def test_a_heartbeat_tells_for_how_many_seconds_the_backend_has_been_silent() -> None:
    async with relayed({"heartbeat_s": 0.5}) as (up, sc):
        up.script(sse(b"data: 1\n\n", then="stall"))
        async with sc.client.open("POST", "/v1/chat") as response:
            await beats(response, 4)
        (said, _), *later = response.arrivals
        for number, (arrived, _) in enumerate(later):
            silent_s = arrived - said
            lately = {int(silent_s), int(silent_s - 4 * TICK_S)}
            assert response.comments[number] in {f"hb idle={seconds}" for seconds in lately}
        assert response.comments[0] != response.comments[3]


async def gone(up: FakeUpstream, sc: RunningSidecar) -> tuple[str, UpstreamConnection]:
    """Read the first event of a stream that goes on and lose the connection; return its name and upstream."""
    hand = up.by_hand()
    async with sc.client.open("POST", "/v1/chat") as response:
        upstream = await hand.connection()
        await upstream.write(b"data: 1\n\n")
        await response.event()
        await response.cut()
    await sc.until(lambda: not sc.metric("sse_subscribers"))
    return response.header("SSE-Stream") or "", upstream


def back(sc: RunningSidecar) -> float:
    return sc.metric("sse_reconnect_duration_seconds_count", side="client", outcome="resumed")


@pytest.mark.parametrize("form", BEAT)
async def test_who_comes_back_and_has_missed_nothing_gets_a_heartbeat_at_once_and_is_back(form: str) -> None:
    async with relayed({"heartbeat_s": 3600}) as (up, sc):
        stream, _ = await gone(up, sc)
        fields = [("Last-Event-ID", f"{stream}.1"), ("Accept", ACCEPTS[form])]
        async with sc.client.open("GET", f"/_sse/streams/{stream}", fields) as response:
            await beats(response, 1)
            assert BEAT[form].fullmatch(response.arrivals[0][1])
            await sc.until(lambda: back(sc) == 1)
            assert sc.metric("sse_heartbeats_total") == 1


async def test_who_comes_back_to_what_was_missed_gets_that_and_no_heartbeat() -> None:
    async with relayed({"heartbeat_s": 3600}) as (up, sc):
        stream, upstream = await gone(up, sc)
        await upstream.write(b"data: 2\n\n")
        await sc.until(lambda: sc.metric("sse_messages_received_total") == 2)
        async with sc.client.resume(f"{stream}.1") as response:
            assert (await response.event()).data == "2"
            await upstream.write(b"data: 3\n\n")
            assert (await response.event()).data == "3"
        assert (response.comments, back(sc), sc.metric("sse_heartbeats_total")) == ([], 1, 0)


async def test_a_stream_that_speaks_has_no_heartbeats() -> None:
    async with relayed({"heartbeat_s": 2 * HEARTBEAT_S}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("POST", "/v1/chat") as response:
            upstream = await hand.connection()
            for number in range(8):
                await upstream.write(b"data: %d\n\n" % number)
                await response.event()
                await asyncio.sleep(HEARTBEAT_S / 3)
            await upstream.end()
            await response.read_to_end()
        assert response.comments == []


@pytest.mark.parametrize("form", BEAT)
async def test_a_heartbeat_is_never_inside_an_event(form: str) -> None:
    async with relayed({"heartbeat_s": 0.1}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("POST", "/v1/chat", accept=ACCEPTS[form]) as response:
            upstream = await hand.connection()
            for piece in (b"ev", b"ent: x\ndata: a", b"b\ndata", b": c\n", b"\ndata: d\n\n"):
                await upstream.write(piece)
                count = len(response.comments)
                await beats(response, count + 1)
            await upstream.end()
            await response.read_to_end()
        assert [(event.type, event.data) for event in response.seen] == [("x", "ab\nc"), ("message", "d")]
        blocks = BEAT[form].sub(b"", response.raw)
        stamp = b"id: %b.%%d\n" % (response.header("SSE-Stream") or "").encode() if form == "stamped" else b""
        expected = b"event: x\ndata: ab\ndata: c\n%b\ndata: d\n%b\n" % (
            (stamp % 1, stamp % 2) if stamp else (b"", b"")
        )
        assert blocks == expected


async def test_with_heartbeats_off_silence_is_silent() -> None:
    async with relayed({"heartbeat_s": 0}) as (up, sc):
        up.script(sse(b"data: 1\n\n", then="stall"))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.event()
            assert await response.silent_for(0.4)


async def test_a_plain_answer_has_no_heartbeats() -> None:
    async with relayed({"heartbeat_s": 0.05}) as (up, sc):
        up.script(plain(200, [("Content-Length", "6")], b"abc", then="stall"))
        async with sc.client.open("GET", "/file", accept="*/*") as response:
            await response.read_until(b"abc")
            assert await response.silent_for(0.3)


async def test_every_reader_has_its_own_heartbeats() -> None:
    async with relayed({"heartbeat_s": 0.2}) as (up, sc):
        up.script(sse(b"data: 1\n\n", then="stall"))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.event()
            target = f"/_sse/streams/{first.header('SSE-Stream')}"
            async with sc.client.open("GET", target, accept="application/json") as second:
                await asyncio.gather(beats(first, 2), beats(second, 2))
        assert first.raw.count(b": hb idle=0\n") >= 2
        assert second.raw.count(b": hb\n\n") >= 2


EARLY = {"heartbeat_s": 0.1, "early_start_s": 0.1}


async def test_an_early_start_beats_before_the_backends_head_and_then_relays() -> None:
    async with relayed(EARLY) as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.open("POST", "/v1/chat", body=b"{}") as response:
            await beats(response, 2)
            assert response.header("Content-Type") == "text/event-stream; charset=utf-8"
            await sse(b"data: 1\n\n")(await hand.connection())
            await response.read_to_end()
        stream = response.header("SSE-Stream")
        assert (response.ended, response.seen) == ("clean", [DispatchedEvent("message", "1", f"{stream}.1")])
        assert sc.outcomes() == {"completed": 1}


async def test_an_early_start_is_only_for_those_who_accept_a_stream() -> None:
    async with relayed(EARLY) as (up, sc):
        hand = up.by_hand(head=False)
        asking = asyncio.ensure_future(sc.client.fetch("POST", "/v1/chat", body=b"{}"))
        upstream = await hand.connection()
        await asyncio.sleep(0.3)  # three times the early start, which must not happen
        await plain(503, body=b"busy")(upstream)
        assert ((await asking).status, (await asking).raw) == (503, b"busy")


async def test_a_head_before_the_early_start_is_relayed_as_it_is() -> None:
    async with relayed({"heartbeat_s": 5, "early_start_s": 5}) as (up, sc):
        up.script(plain(401, [("WWW-Authenticate", "Basic")], b"who"))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.read_to_end()
        assert (response.status, response.raw) == (401, b"who")


LATE_FAILURES = {
    "a plain answer": (
        b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
        "err-sidecar-upstream-not-a-stream",
    ),
    "no answer": (b"", "err-sidecar-upstream-reset"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "err-sidecar-upstream-bad-response"),
}


@pytest.mark.parametrize(("answer", "code"), LATE_FAILURES.values(), ids=LATE_FAILURES)
async def test_a_failure_after_an_early_start_is_told_in_band(answer: bytes, code: str) -> None:
    async with relayed(EARLY) as (up, sc):
        hand = up.by_hand(head=False)
        async with sc.client.open("POST", "/v1/chat") as response:
            await beats(response, 1)
            upstream = await hand.connection()
            await literal(answer, then="fin")(upstream)
            await response.read_to_end()
        assert (response.status, response.ended) == (200, "aborted")
        assert json.loads(response.seen[-1].data)["error"]["code"] == code
        assert list(sc.outcomes().values()) == [1]
        async with sc.client.resume(f"{response.header('SSE-Stream')}.1") as again:
            assert again.status == 204


@pytest.mark.alone  # it measures time
async def test_a_stall_is_measured_when_declared_and_when_it_was_none() -> None:
    async with relayed(STALLS) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("POST", "/v1/chat") as response:
            upstream = await hand.connection()
            await upstream.write(b"data: 1\n\n")
            await sc.until(lambda: sc.metric("sse_stall_detection_seconds_count") == 1)
            await upstream.write(b"data: 2\n\n")
            await response.take(2)
            detected = sc.metric("sse_stall_detection_seconds_sum")
            assert 0.2 <= detected <= 0.8
            assert sc.metric("sse_stall_recovery_seconds_count", outcome="false_alarm") == 1
            await sc.until(lambda: sc.metric("sse_stall_detection_seconds_count") == 2)
            await upstream.write(b"data: 3\n\n")
            await upstream.end()
            await response.read_to_end()
        assert sc.metric("sse_stall_recovery_seconds_count", outcome="false_alarm") == 2
        assert sc.metric("sse_stall_recovery_seconds_count", outcome="failed") == 0
        assert sc.outcomes() == {"completed": 1}


async def test_a_stall_that_ends_in_giving_up_has_failed_and_heartbeats_go_on_until_then() -> None:
    async with relayed({"heartbeat_s": 0.1, "stall_s": 0.2, "upstream_idle_s": 0.6}) as (up, sc):
        up.script(sse(b"data: 1\n\n", then="stall"))
        async with sc.client.open("POST", "/v1/chat") as response:
            await response.read_to_end()
        assert len(response.comments) >= 3
        assert sc.metric("sse_stall_detection_seconds_count") == 1
        assert sc.metric("sse_stall_recovery_seconds_count", outcome="failed") == 1
        assert 0.3 <= sc.metric("sse_stall_recovery_seconds_sum", outcome="failed") <= 1.5
        assert sc.metric("sse_silent_failures_total", kind="hung", disposition="surfaced") == 1
        assert up.connections[0].closed_by_peer_at is not None
        assert sc.outcomes() == {"stall_unrecovered": 1}


async def test_with_both_limits_off_a_feed_may_be_silent_for_ever() -> None:
    async with relayed({"kind": "live", "heartbeat_s": 0.1}) as (up, sc):
        up.script(sse(b"data: 1\n\n", then="stall"))
        async with sc.client.open("GET", "/feed") as response:
            await beats(response, 6)
        assert sc.metric("sse_stall_detection_seconds_count") == 0
