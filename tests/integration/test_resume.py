"""Who brings a position gets what comes after it, is told what is missing, or that there is no more."""

import asyncio
import json

import pytest

from tests.kit.eventsource import DispatchedEvent
from tests.kit.fake_upstream import SSE_HEADERS, FakeUpstream, plain, sse
from tests.kit.relayed import relayed
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

FIVE = tuple(b"data: %d\n\n" % n for n in range(1, 6))
STREAM = [("Accept", "text/event-stream")]
AT_ONCE = {"linger_s": 0, "retain_s": 0}
"""A stream that ends without a reader is gone the same moment."""


async def whole(up: FakeUpstream, sc: RunningSidecar, *blocks: bytes, method: str = "POST") -> str:
    """Let the sidecar relay a whole answer; return the name of its stream."""
    up.script(sse(*blocks))
    async with sc.client.open(method, "/v1/chat", body=b"{}" if method == "POST" else b"") as response:
        await response.read_to_end()
    return response.header("SSE-Stream") or ""


async def get(sc: RunningSidecar, target: str, headers: list[tuple[str, str]] = []) -> Response:  # noqa: B006
    return await sc.client.fetch("GET", target, [*STREAM, *headers])


def data(response: Response) -> list[str]:
    return [event.data for event in response.seen]


def gap(event: DispatchedEvent) -> dict[str, object]:
    assert event.type == "sse-gap"
    body: dict[str, object] = json.loads(event.data)
    return body


WAYS = {
    "the header": ("/v1/chat", True),
    "the header, on another target": ("/elsewhere", True),
    "last_event_id": ("/v1/chat?last_event_id={id}", False),
    "lastEventId": ("/v1/chat?a=1&lastEventId={id}", False),
    "join with the header": ("/_sse/streams/{stream}", True),
    "join with last_event_id": ("/_sse/streams/{stream}?last_event_id={id}", False),
}


@pytest.mark.parametrize(("target", "by_header"), WAYS.values(), ids=WAYS)
async def test_a_position_is_resolved_however_it_is_brought(target: str, by_header: bool) -> None:
    async with relayed() as (up, sc):
        stream = await whole(up, sc, *FIVE)
        position = f"{stream}.2"
        response = await get(
            sc,
            target.format(id=position, stream=stream),
            [("Last-Event-ID", position)] if by_header else [],
        )
        assert response.status == 200
        assert response.seen == [DispatchedEvent("message", str(n), f"{stream}.{n}") for n in (3, 4, 5)]
        assert (response.ended, response.header("SSE-Stream")) == ("clean", stream)
        assert len(up.requests) == 1
        assert sc.metric("sse_resumes_total", result="resumed") == 1
        assert sc.metric("sse_generations_saved_total") == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
async def test_no_resume_reaches_the_backend_whatever_its_method(method: str) -> None:
    async with relayed() as (up, sc):
        stream = await whole(up, sc, *FIVE)
        async with sc.client.open(
            method, "/v1/chat", [("Last-Event-ID", f"{stream}.4")], body=b"{}" if method != "GET" else b""
        ) as response:
            await response.read_to_end()
        assert data(response) == ["5"]
        assert len(up.requests) == 1


async def test_a_resume_gets_the_entries_after_its_position_once_and_then_what_is_live() -> None:
    async with relayed() as (up, sc):
        gate = asyncio.Event()
        up.script(sse(*FIVE[:3], gate, *FIVE[3:]))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.take(3)
            await first.cut()
        stream = first.header("SSE-Stream")
        async with sc.client.resume(f"{stream}.1") as second:
            assert [event.data for event in await second.take(2)] == ["2", "3"]
            gate.set()
            await second.read_to_end()
        assert second.seen == [DispatchedEvent("message", str(n), f"{stream}.{n}") for n in (2, 3, 4, 5)]
        assert sc.outcomes() == {"completed": 1}
        assert sc.metric("sse_messages_delivered_total") == 5
        assert sc.metric("sse_messages_replayed_total") == 2
        assert sc.metric("sse_reconnect_duration_seconds_count", side="client", outcome="resumed") == 1


async def test_an_unstamped_stream_is_resumed_by_its_name() -> None:
    async with relayed({"stamp": "never"}) as (up, sc):
        stream = await whole(up, sc, *FIVE)
        response = await get(sc, "/v1/chat", [("Last-Event-ID", f"{stream}.3")])
        assert response.raw == b"data: 4\n\ndata: 5\n\n"


async def test_a_join_without_a_position_reads_from_the_start() -> None:
    async with relayed() as (up, sc):
        stream = await whole(up, sc, *FIVE)
        for target in (f"/_sse/streams/{stream}", f"/_sse/streams/{stream}?last_event_id={stream}.0"):
            assert data(await get(sc, target)) == ["1", "2", "3", "4", "5"]


async def test_a_finished_stream_that_was_read_to_its_end_is_204() -> None:
    async with relayed() as (up, sc):
        stream = await whole(up, sc, *FIVE)
        response = await get(sc, "/v1/chat", [("Last-Event-ID", f"{stream}.5")])
        assert (response.status, response.raw, response.header("SSE-Stream")) == (204, b"", stream)
        assert sc.metric("sse_resumes_total", result="no_content") == 1


async def test_what_was_trimmed_is_told_as_a_gap_and_the_rest_follows() -> None:
    async with relayed({"log_events_max": 2}) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(*FIVE[:4], gate, FIVE[4]))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.take(4)
            gate.set()
            await first.read_to_end()
        stream = first.header("SSE-Stream")
        response = await get(sc, "/v1/chat", [("Last-Event-ID", f"{stream}.1")])
        assert gap(response.seen[0]) == {"missed_from": 2, "missed_through": 3, "reason": "trimmed"}
        assert response.seen[0].last_event_id == ""
        assert response.seen[1:] == [DispatchedEvent("message", str(n), f"{stream}.{n}") for n in (4, 5)]
        assert sc.metric("sse_resumes_total", result="gap") == 1


async def test_a_position_beyond_the_log_is_told_as_a_gap_and_the_log_follows() -> None:
    async with relayed() as (up, sc):
        stream = await whole(up, sc, *FIVE[:2])
        response = await get(sc, "/v1/chat", [("Last-Event-ID", f"{stream}.7")])
        assert gap(response.seen[0]) == {"missed_from": 3, "missed_through": 7, "reason": "beyond"}
        assert data(response)[1:] == ["1", "2"]
        assert (response.ended, sc.metric("sse_resumes_total", result="gap")) == ("clean", 1)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_expired_answer_is_410_and_never_asked_for_again(method: str) -> None:
    async with relayed(AT_ONCE) as (up, sc):
        stream = await whole(up, sc, *FIVE)
        response = await sc.client.fetch(method, "/v1/chat", [*STREAM, ("Last-Event-ID", f"{stream}.2")])
        assert (response.status, response.json()["code"]) == (410, "err-sidecar-resume-expired")
        assert response.header("Content-Type") == "application/problem+json"
        assert len(up.requests) == 1
        assert sc.metric("sse_resumes_total", result="expired") == 1
        assert sc.outcomes() == {"completed": 1, "resume_expired": 1}


async def test_an_expired_answer_is_counted_also_for_whoever_comes_back_to_it_by_its_name() -> None:
    async with relayed(AT_ONCE) as (up, sc):
        stream = await whole(up, sc, *FIVE)
        response = await get(sc, f"/_sse/streams/{stream}", [("Last-Event-ID", f"{stream}.2")])
        assert (response.status, response.json()["code"]) == (410, "err-sidecar-resume-expired")
        assert sc.metric("sse_resumes_total", result="expired") == 1
        assert sc.outcomes() == {"completed": 1, "resume_expired": 1}


async def test_an_expired_answer_is_no_failure_for_whoever_asks_for_no_rest_of_it() -> None:
    async with relayed(AT_ONCE) as (up, sc):
        stream = await whole(up, sc, *FIVE)
        response = await get(sc, f"/_sse/streams/{stream}")
        assert (response.status, response.json()["code"]) == (410, "err-sidecar-resume-expired")
        assert sc.outcomes() == {"completed": 1}


LIVE_WAYS = {"the header": "/feed?a=1", "the query": "/feed?a=1&last_event_id={id}"}


@pytest.mark.parametrize("target", LIVE_WAYS.values(), ids=LIVE_WAYS)
async def test_an_expired_feed_is_asked_for_anew_behind_a_gap(target: str) -> None:
    async with relayed({"kind": "live", **AT_ONCE}) as (up, sc):
        old = await whole(up, sc, *FIVE, method="GET")
        up.script(sse(b"data: new\n\n"))
        position = f"{old}.3"
        header = [] if "{id}" in target else [("Last-Event-ID", position)]
        response = await get(sc, target.format(id=position), header)
        new = response.header("SSE-Stream")
        assert new != old
        assert gap(response.seen[0]) == {"missed_from": 4, "missed_through": None, "reason": "expired"}
        assert response.seen[1:] == [DispatchedEvent("message", "new", f"{new}.1")]
        assert up.requests[1].target == "/feed?a=1"
        assert up.requests[1].header("Last-Event-ID") is None
        assert sc.metric("sse_resumes_total", result="gap") == 1


async def test_a_post_is_never_repeated_even_on_a_live_route() -> None:
    async with relayed({"kind": "live", **AT_ONCE}) as (up, sc):
        stream = await whole(up, sc, *FIVE)
        response = await sc.client.fetch(
            "POST", "/v1/chat", [*STREAM, ("Last-Event-ID", f"{stream}.2")], b"{}"
        )
        assert response.status == 410
        assert len(up.requests) == 1


FOREIGN = [
    "42",
    "s1tooshort.1",
    "a" * 300,
    "caf\xc3\xa9",
]


@pytest.mark.parametrize("position", FOREIGN)
async def test_an_id_of_the_backends_own_reaches_it_untouched(position: str) -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\nid: 43\n\n"))
        response = await get(sc, "/feed?x=1", [("Last-Event-ID", position)])
        assert data(response) == ["1"]
        assert up.requests[0].headers.all("Last-Event-ID") == [position]
        assert sc.metric("sse_resumes_total", result="foreign") == 1


async def test_a_position_of_the_backends_own_in_the_query_reaches_it_untouched() -> None:
    async with relayed() as (up, sc):
        up.script(sse(b"data: 1\n\n"))
        await get(sc, "/feed?lastEventId=42&x=1")
        assert up.requests[0].target == "/feed?lastEventId=42&x=1"


async def test_the_header_wins_over_the_query() -> None:
    async with relayed() as (up, sc):
        stream = await whole(up, sc, *FIVE)
        response = await get(sc, f"/v1/chat?last_event_id={stream}.1", [("Last-Event-ID", f"{stream}.4")])
        assert data(response) == ["5"]


async def test_two_differing_headers_are_refused_and_two_equal_ones_are_one() -> None:
    async with relayed() as (up, sc):
        stream = await whole(up, sc, *FIVE)
        four, three = (("Last-Event-ID", f"{stream}.{n}") for n in (4, 3))
        assert data(await get(sc, "/v1/chat", [four, four])) == ["5"]
        response = await get(sc, "/v1/chat", [four, three])
        assert (response.status, response.json()["code"]) == (400, "err-sidecar-two-positions")
        assert sc.metric("sse_resumes_total", result="bad_request") == 1
        assert len(up.requests) == 1


async def test_a_joined_stream_and_its_position_must_be_the_same() -> None:
    async with relayed() as (up, sc):
        one = await whole(up, sc, *FIVE)
        two = await whole(up, sc, *FIVE)
        response = await get(sc, f"/_sse/streams/{one}", [("Last-Event-ID", f"{two}.1")])
        assert response.status == 404


async def test_the_backends_own_ids_do_not_leak_into_stamped_output() -> None:
    async with relayed() as (up, sc):
        stream = await whole(
            up, sc, b"id: 7\ndata: 1\n\n", b"data: 2\nid\nid: x\n\n", b"id: 9\n\ndata: 3\n\n"
        )
        response = await get(sc, f"/_sse/streams/{stream}")
        assert response.raw == b"".join(
            b"data: %d\nid: %b.%d\n\n" % (n, stream.encode(), n) for n in (1, 2, 3)
        )


async def test_a_replay_says_the_backends_fields_again_but_no_cookie_and_no_date() -> None:
    async with relayed() as (up, sc):
        once = [("Set-Cookie", "a=1"), ("Date", "Sun, 01 Jan 2023 00:00:00 GMT"), ("X-Model", "m")]
        up.script(sse(*FIVE, headers=[*SSE_HEADERS, *once]))
        async with sc.client.open("POST", "/v1/chat") as first:
            await first.read_to_end()
        again = await get(sc, "/v1/chat", [("Last-Event-ID", f"{first.header('SSE-Stream')}.1")])
        assert [first.header(name) for name, _ in once] == [value for _, value in once]
        assert [again.header(name) for name, _ in once] == [None, None, "m"]
        for response in (first, again):
            assert response.header("Cache-Control") == "no-store, no-transform"
            assert response.header("X-Accel-Buffering") == "no"
            assert response.header("Vary") == "last-event-id, authorization"


async def test_an_empty_position_is_none() -> None:
    async with relayed() as (up, sc):
        up.script(plain(200, body=b"ok"))
        response = await get(sc, "/v1/models", [("Accept", "*/*"), ("Last-Event-ID", "")])
        assert (response.status, response.raw) == (200, b"ok")
        assert up.requests[0].headers.all("Last-Event-ID") == [""]
