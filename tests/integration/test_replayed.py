"""``SSE-Replayed``: whoever comes back or joins is told how much of what follows comes out of the log."""

from tests.kit.fake_upstream import SSE_HEADERS, sse
from tests.kit.relayed import relayed
from tests.kit.running import RunningSidecar

STREAM = [("Accept", "text/event-stream")]
FIVE = tuple(b"data: %d\n\n" % n for n in range(1, 6))


async def _replayed(sc: RunningSidecar, target: str) -> str | None:
    response = await sc.client.fetch("GET", target, STREAM)
    return response.header("SSE-Replayed")


async def test_a_resume_and_a_join_say_how_many_entries_they_replay_and_a_first_answer_does_not() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*FIVE))
        first = await sc.client.fetch("GET", "/v1/chat", STREAM)
        stream = first.header("SSE-Stream")
        assert first.header("SSE-Replayed") is None
        assert await _replayed(sc, f"/v1/chat?last_event_id={stream}.2") == "3"
        assert await _replayed(sc, f"/_sse/streams/{stream}") == "5"
        assert await _replayed(sc, f"/_sse/streams/{stream}?last_event_id={stream}.4") == "1"


async def test_what_comes_after_the_attach_is_live_and_not_counted() -> None:
    async with relayed() as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("GET", "/v1/chat") as first:
            upstream = await hand.connection()
            await upstream.write(b"".join(FIVE[:3]))
            await first.take(3)
            async with sc.client.resume(f"{first.header('SSE-Stream')}.1") as second:
                await upstream.write(b"".join(FIVE[3:]))
                await upstream.end()
                await second.read_to_end()
            await first.read_to_end()
        assert second.header("SSE-Replayed") == "2"
        assert [event.data for event in second.seen] == ["2", "3", "4", "5"]


async def test_a_position_beyond_the_log_is_given_the_whole_log_and_told_its_length() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*FIVE))
        first = await sc.client.fetch("GET", "/v1/chat", STREAM)
        beyond = f"{first.header('SSE-Stream')}.9"
        response = await sc.client.fetch("GET", f"/v1/chat?last_event_id={beyond}", STREAM)
        assert response.header("SSE-Replayed") == "5"
        assert [event.type for event in response.seen] == ["sse-gap", *["message"] * 5]


async def test_of_a_feeds_window_what_was_trimmed_is_not_counted() -> None:
    async with relayed({"kind": "live", "log_events_max": 16}) as (up, sc):
        hand = up.by_hand()
        async with sc.client.open("GET", "/feed") as first:
            upstream = await hand.connection()
            await upstream.write(b"".join(b"data: %d\n\n" % n for n in range(40)))
            await first.take(40)
            held = len(next(iter(sc.parts.hub.streams.values())).log)
            async with sc.client.resume(f"{first.header('SSE-Stream')}.1") as second:
                assert second.header("SSE-Replayed") == str(held)
                assert (await second.event()).type == "sse-gap"
            await upstream.end()
            await first.read_to_end()


async def test_the_count_of_a_sidecar_behind_this_one_does_not_cross() -> None:
    async with relayed() as (up, sc):
        up.script(sse(*FIVE, headers=[*SSE_HEADERS, ("SSE-Replayed", "99")]))
        first = await sc.client.fetch("GET", "/v1/chat", STREAM)
        assert first.header("SSE-Replayed") is None
