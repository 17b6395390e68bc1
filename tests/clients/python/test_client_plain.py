"""The Python client with servers that are no sidecar, or a bad one: it degrades, but never in silence."""

from itertools import count
from typing import Any

import pytest

from sidecar.client import EventSource, Gap, State, StreamFailed
from tests.kit.fake_network import scripted, source_on, stream
from tests.kit.fake_sidecar import SIDECAR_HEADERS, STREAM, FakeSidecar, end, event
from tests.kit.fake_upstream import SSE_HEADERS, FakeUpstream, UpstreamConnection, plain, sse

QUICK = b"retry: 10\n"
DONE = plain(204)


def numbered(*numbers: int) -> list[bytes]:
    return [b"id: %d\ndata: %d\n\n" % (number, number) for number in numbers]


async def rest(events: EventSource) -> list[str]:
    return [event.data async for event in events]


class TestNoSidecar:
    async def test_a_server_that_resumes_is_asked_behind_the_last_id(self) -> None:
        async with FakeUpstream() as up:
            up.script(sse(QUICK, *numbered(1, 2), then="reset"), sse(*numbered(3)), DONE)
            async with EventSource(f"{up.url}/feed") as events:
                assert await rest(events) == ["1", "2", "3"]
                assert (events.state, events.stream, events.position) == (State.COMPLETED, "", "3")
            asked = [(request.target, request.header("last-event-id")) for request in up.requests]
        assert asked == [("/feed", None), ("/feed", "2"), ("/feed", "3")]

    async def test_a_server_that_begins_again_is_read_on_from_the_first_new_id(self) -> None:
        async with FakeUpstream() as up:
            up.script(sse(QUICK, *numbered(1, 2), then="reset"), sse(*numbered(1, 2, 3)), DONE)
            async with EventSource(up.url) as events:
                assert await rest(events) == ["1", "2", "3"]
                assert (events.received, events.duplicates) == (3, 2)

    async def test_without_ids_what_a_server_repeats_comes_again(self) -> None:
        async with FakeUpstream() as up:
            up.script(
                sse(QUICK, b"data: a\n\n", then="reset"), sse(b"data: a\n\n", b"data: b\n\n"), plain(204)
            )
            async with EventSource(up.url) as events:
                assert await rest(events) == ["a", "a", "b"]

    async def test_a_connection_that_breaks_before_the_answer_is_one_request_and_the_next_one_waits(
        self,
    ) -> None:
        async def reset(connection: UpstreamConnection) -> None:
            await connection.reset()

        asked = count(1)
        async with FakeUpstream() as up:
            up.script(reset, sse(b"data: a\n\n"))
            source = EventSource(
                up.url, headers=lambda: {"x-attempt": str(next(asked))}, on_end="complete", jitter=lambda: 0
            )
            async with source as events:
                assert await rest(events) == ["a"]
            assert [request.header("x-attempt") for request in up.requests] == ["1", "2"]

    async def test_a_clean_end_means_what_the_program_says(self) -> None:
        async with FakeUpstream() as up:
            up.script(sse(b"data: a\n\n"))
            async with EventSource(up.url, on_end="complete") as events:
                assert await rest(events) == ["a"]
                assert events.state is State.COMPLETED

    async def test_the_clean_end_of_a_post_is_its_end(self) -> None:
        async with FakeUpstream() as up:
            up.script(sse(b"data: a\n\n"))
            async with EventSource(up.url, method="POST", body="{}") as events:
                assert await rest(events) == ["a"]

    async def test_a_broken_post_is_not_sent_again_and_says_why(self) -> None:
        async with FakeUpstream() as up:
            up.script(sse(QUICK, b"data: a\n\n", then="reset"))
            async with EventSource(up.url, method="POST", body="{}") as events:
                assert (await anext(events)).data == "a"
                with pytest.raises(StreamFailed) as failed:
                    await anext(events)
            assert len(up.requests) == 1
        assert str(failed.value) == events.reason

    async def test_cancel_can_only_leave(self) -> None:
        async with FakeUpstream() as up:
            up.script(sse(b"data: a\n\n", then="stall"))
            async with EventSource(up.url) as events:
                await anext(events)
                assert not await events.cancel()
                assert events.state is State.CLOSED
            assert len(up.requests) == 1

    async def test_without_control_nothing_is_asked_of_a_sidecar(self) -> None:
        async with FakeUpstream() as up:
            up.script(sse(event(1, "a"), headers=SIDECAR_HEADERS), DONE)
            async with EventSource(up.url, control="") as events:
                assert await rest(events) == ["a"]
            assert {request.header("accept") for request in up.requests} == {"text/event-stream"}


class TestAnotherStream:
    async def test_a_feed_that_begins_anew_and_breaks_off_before_it_told_the_gap_is_asked_for_it_again(
        self,
    ) -> None:
        other, third = "s1" + "B" * 40, "s1" + "C" * 40
        gap = b'event: sse-gap\ndata: {"missed_from": 3, "missed_through": null, "reason": "expired"}\n\n'
        first = [QUICK, event(1, "a"), event(2, "b")]
        async with FakeSidecar() as up:
            up.script(
                sse(*first, then="reset", headers=SIDECAR_HEADERS),
                sse(then="reset", headers=[*SSE_HEADERS, ("SSE-Stream", other)]),
                sse(gap, event(1, "c", third), end(1), headers=[*SSE_HEADERS, ("SSE-Stream", third)]),
            )
            async with EventSource(f"{up.url}/feed") as events:
                assert await rest(events) == ["a", "b", "c"]
                assert events.gaps == (Gap(3, None, "expired"),)
            asked = [(request.target, request.header("last-event-id")) for request in up.asked]
        assert asked == [("/feed", None), ("/feed", f"{STREAM}.2"), ("/feed", f"{STREAM}.2")]


class TestMisbehaving:
    async def test_what_a_sidecar_sends_twice_is_dropped_counted_and_reported(self) -> None:
        async with FakeSidecar() as up:
            first = [event(1, "a"), event(2, "b"), event(2, "b")]
            again = [event(1, "a"), event(2, "b"), event(3, "c"), end(3)]
            up.script(sse(QUICK, *first, then="reset", headers=SIDECAR_HEADERS))
            up.script(sse(*again, headers=SIDECAR_HEADERS))
            async with EventSource(up.url) as events:
                assert await rest(events) == ["a", "b", "c"]
                assert events.duplicates == 3
            assert up.reports[-1] | {"reconnects": []} == {
                "v": 1,
                "stream": STREAM,
                "received": 3,
                "first_seq": 1,
                "last_seq": 3,
                "gaps": [],
                "duplicates": 3,
                "reconnects": [],
                "stalls": 0,
                "state": "completed",
                "told": True,
                "at": "end",
            }

    async def test_messages_lost_on_the_way_are_asked_for_and_come(self) -> None:
        gaps: list[Gap] = []
        async with FakeSidecar() as up:
            up.script(sse(QUICK, event(1, "a"), event(4, "d"), end(4), headers=SIDECAR_HEADERS))
            up.script(sse(event(2, "b"), event(3, "c"), event(4, "d"), end(4), headers=SIDECAR_HEADERS))
            async with EventSource(up.url, on_gap=gaps.append) as events:
                assert await rest(events) == ["a", "b", "c", "d"]
            assert (gaps, events.duplicates) == ([], 0)
            assert up.asked[-1].header("last-event-id") == f"{STREAM}.1"

    async def test_a_hole_that_stays_is_shown_and_reported_as_loss(self) -> None:
        gaps: list[Gap] = []
        async with FakeSidecar() as up:
            up.script(sse(QUICK, event(1, "a"), event(4, "d"), end(4), headers=SIDECAR_HEADERS))
            up.script(sse(event(4, "d"), end(4), headers=SIDECAR_HEADERS))
            async with EventSource(up.url, on_gap=gaps.append) as events:
                assert await rest(events) == ["a", "d"]
            assert gaps == [Gap(2, 3, "lost on the way")]
            said = up.reports[-1]
        assert (said["received"], said["first_seq"], said["last_seq"], said["gaps"]) == (2, 1, 4, [])

    async def test_a_clean_end_on_the_way_is_no_end_of_the_answer(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(QUICK, event(1, "a"), headers=SIDECAR_HEADERS))
            up.script(sse(event(2, "b"), end(2), headers=SIDECAR_HEADERS))
            async with EventSource(up.url, method="POST", body="{}") as events:
                assert await rest(events) == ["a", "b"]
            assert [request.method for request in up.asked] == ["POST", "GET"]

    async def test_an_end_that_counts_more_than_came_is_no_end(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(QUICK, event(1, "a"), end(2), headers=SIDECAR_HEADERS))
            up.script(sse(event(2, "b"), end(2), headers=SIDECAR_HEADERS))
            async with EventSource(up.url) as events:
                assert await rest(events) == ["a", "b"]

    async def test_an_abort_after_the_last_word_is_no_loss(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(event(1, "a"), end(1), then="reset", headers=SIDECAR_HEADERS))
            async with EventSource(up.url) as events:
                assert await rest(events) == ["a"]
            assert [report["state"] for report in up.reports] == ["completed"]

    async def test_a_server_that_never_closes_after_its_last_word_is_left(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(event(1, "a"), end(1), then="stall", headers=SIDECAR_HEADERS))
            async with EventSource(up.url) as events:
                assert await rest(events) == ["a"]

    async def test_an_error_counts_only_if_nothing_follows_it(self) -> None:
        told = b'event: error\ndata: {"error":{"message":"a hiccup"}}\n\n'
        async with FakeUpstream() as up:
            up.script(sse(told, b"data: on\n\n"))
            async with EventSource(up.url, on_end="complete") as events:
                assert [event.type async for event in events] == ["error", "message"]

    async def test_a_stream_of_which_nothing_came_may_be_begun_anew(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(QUICK, then="reset", headers=SIDECAR_HEADERS), plain(410))
            up.script(sse(event(1, "a"), end(1), headers=SIDECAR_HEADERS))
            async with EventSource(f"{up.url}/feed") as events:
                assert await rest(events) == ["a"]
            asked = [request.target for request in up.asked]
        assert asked == ["/feed", f"/_sse/streams/{STREAM}", "/feed"]

    async def test_a_sidecar_that_could_not_ask_is_sent_the_same_key_again(self) -> None:
        problem = b'{"title":"The backend refused.","code":"err-sidecar-upstream-refused"}'
        async with FakeSidecar() as up:
            up.script(plain(502, [("Retry-After", "0")], problem))
            up.script(sse(event(1, "a"), end(1), headers=SIDECAR_HEADERS))
            async with EventSource(up.url, method="POST", body="{}") as events:
                assert await rest(events) == ["a"]
            keys = [(request.method, request.header("idempotency-key")) for request in up.asked]
        assert keys[0] == keys[1]
        assert len(str(keys[0][1])) == 36

    async def test_a_bad_gateway_that_is_no_sidecar_may_have_begun_a_post(self) -> None:
        async with FakeUpstream() as up:
            up.script(plain(502))
            async with EventSource(up.url, method="POST", body="{}") as events:
                with pytest.raises(StreamFailed, match=r"^The server is not available \(502\)\.$"):
                    await anext(events)
            assert len(up.requests) == 1

    async def test_reports_can_be_turned_off(self) -> None:
        async with FakeSidecar() as up:
            up.script(sse(event(1, "a"), end(1), headers=SIDECAR_HEADERS))
            async with EventSource(up.url, reports=False) as events:
                await rest(events)
            assert up.reports == []

    async def test_a_server_that_takes_no_reports_is_no_trouble(self) -> None:
        async with FakeUpstream() as up:
            up.script(sse(event(1, "a"), end(1), headers=SIDECAR_HEADERS), plain(500))
            async with EventSource(up.url) as events:
                assert await rest(events) == ["a"]
                assert events.state is State.COMPLETED


class TestUse:
    @pytest.mark.parametrize(
        "url", ["ftp://a/", "/path", "http://", "http://a:99999/", "http://a/\n", "http://ä/"]
    )
    def test_what_cannot_be_asked_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(ValueError):
            EventSource(url)

    @pytest.mark.parametrize("options", [{"stall_s": 0}, {"stall_s": -1}, {"attempts_max": -1}])
    def test_options_out_of_range_are_refused_at_once(self, options: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            EventSource("http://a/", **options)  # type: ignore[arg-type]

    @pytest.mark.parametrize("options", [{"redirects": True}, {"session": object()}])
    def test_options_of_the_default_transport_are_refused_with_another(self, options: Any) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            EventSource("http://a/", transport=scripted(), **options)

    async def test_a_given_transport_is_closed_with_the_block(self) -> None:
        network = scripted(stream(b"data: 1\n\n"))
        async with source_on(network) as events:
            await anext(events)
            assert not network.closed
        assert network.closed

    async def test_it_is_used_in_a_block(self) -> None:
        with pytest.raises(RuntimeError, match="async with"):
            await anext(EventSource("http://a/"))

    async def test_an_event_without_end_is_given_up(self) -> None:
        network = scripted(stream(b"data: ", *[b"x" * 1024 * 1024] * 65))
        async with source_on(network) as events:
            with pytest.raises(StreamFailed, match=r"^The server sent an event that is too large\.$"):
                await anext(events)
