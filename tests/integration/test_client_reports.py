"""What clients say they received: compared with the log, counted, and believed as far as it can be."""

from typing import Any

import pytest
import structlog.testing

from sidecar.proxy.client_reports import NOTES_PER_STREAM_MAX, REPORTS_PER_STREAM_MAX
from tests.kit.fake_upstream import sse
from tests.kit.protocols import ANTHROPIC, OPENAI
from tests.kit.relayed import relayed
from tests.kit.reporting import post, said
from tests.kit.response import Response
from tests.kit.running import RunningSidecar

FIVE = tuple(b"data: %d\n\n" % n for n in range(1, 6))
EVENT_STREAM = ("Accept", "text/event-stream")
DROPPED = {"stage": "client", "disposition": "suppressed"}


def verdicts(sc: RunningSidecar) -> dict[str, int]:
    samples = [s for s in sc.scrape().samples if s.name == "sse_client_reports_total"]
    return {sample.labels["verdict"]: int(sample.value) for sample in samples if sample.value}


async def tell(sc: RunningSidecar, response: Response, **changed: Any) -> None:
    """Report of the stream of a response, as a client that has all five messages, but for what is changed."""
    answer = await post(sc.client, said(stream=response.header("SSE-Stream"), **changed))
    assert (answer.status, answer.raw) == (204, b"")


async def five(sc: RunningSidecar, method: str = "GET", accept: str = "text/event-stream") -> Response:
    return await sc.client.fetch(method, "/v1/chat", [("Accept", accept)])


class TestVerdicts:
    async def test_a_client_that_has_everything_agrees_and_confirms_all_that_was_delivered(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            assert sc.proof()[0] == 0
            await tell(sc, response)
            assert (verdicts(sc), sc.proof()) == ({"agree": 1}, (5, 5, 5))

    async def test_a_report_in_the_middle_confirms_up_to_there(self) -> None:
        async with relayed() as (up, sc):
            hand = up.by_hand()
            async with sc.client.open("GET", "/v1/chat") as response:
                upstream = await hand.connection()
                await upstream.write(b"".join(FIVE))
                await response.take(5)
                await tell(sc, response, received=3, last_seq=3, state="open", at="recovery")
                assert (verdicts(sc), sc.proof()[0]) == ({"agree": 1}, 3)
                await upstream.end()
                await response.read_to_end()

    async def test_an_unstamped_stream_is_reported_like_any_other(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc, "POST", "*/*")
            assert b"id:" not in response.raw
            await tell(sc, response)
            assert (verdicts(sc), sc.proof()[0]) == ({"agree": 1}, 5)

    async def test_a_loss_confirms_nothing_and_its_messages_are_counted_for_their_route(self) -> None:
        async with relayed({}) as (up, sc):
            up.script(sse(*FIVE))
            await tell(sc, await five(sc), received=3)
            assert (verdicts(sc), sc.proof()[0]) == ({"lost": 1}, 0)
            assert sc.metric("sse_client_missed_messages_total", route="all") == 2

    async def test_what_is_said_again_is_not_counted_again(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            for duplicates, received in ((1, 5), (3, 4), (2, 2), (3, 3)):
                await tell(sc, response, duplicates=duplicates, received=received)
            assert sc.metric("sse_messages_duplicated_total", **DROPPED) == 3
            assert sc.metric("sse_client_missed_messages_total") == 3

    async def test_dropped_duplicates_are_counted_and_delivered_ones_are_left_to_the_verdict(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            await tell(sc, response, duplicates=2)
            await tell(sc, response, received=7)
            assert verdicts(sc) == {"agree": 1, "duplicated": 1}
            assert sc.metric("sse_messages_duplicated_total", **DROPPED) == 2
            assert sc.metric("sse_messages_duplicated_total", disposition="delivered") == 0

    @pytest.mark.parametrize(("blocks", "family"), [(OPENAI.first, OPENAI), (ANTHROPIC.first, ANTHROPIC)])
    async def test_a_broken_answer_that_a_client_takes_for_whole_is_unfinished(
        self, blocks: bytes, family: Any
    ) -> None:
        async with relayed() as (up, sc):
            up.script(sse(blocks, then="fin"))
            response = await five(sc)
            messages = int(sc.metric("sse_messages_received_total"))
            told = {"received": messages, "last_seq": messages}
            await tell(sc, response, **told)
            await tell(sc, response, **told, state="failed")
            await tell(sc, response, received=messages + 1, last_seq=messages + 1, state="failed")
            assert verdicts(sc) == {"unfinished": 1, "agree": 2}
            assert sc.proof()[0] == messages

    async def test_an_answer_that_is_still_coming_is_not_complete(self) -> None:
        async with relayed() as (up, sc):
            hand = up.by_hand()
            async with sc.client.open("GET", "/v1/chat") as response:
                upstream = await hand.connection()
                await upstream.write(b"".join(FIVE))
                await response.take(5)
                await tell(sc, response)
                await upstream.end()
                await response.read_to_end()
            assert verdicts(sc) == {"unfinished": 1}

    async def test_a_gap_of_a_feed_that_the_client_was_told_is_no_loss(self) -> None:
        async with relayed({"kind": "live", "log_events_max": 16}) as (up, sc):
            hand = up.by_hand()
            async with sc.client.open("GET", "/feed") as first:
                upstream = await hand.connection()
                await upstream.write(b"".join(b"data: %d\n\n" % n for n in range(40)))
                await first.take(40)
                async with sc.client.resume(f"{first.header('SSE-Stream')}.2") as second:
                    gap = (await second.event()).data
                    assert '"missed_from": 3' in gap or '"missed_from":3' in gap
                    start = next(iter(sc.parts.hub.streams.values())).log.first_seq
                    told = {"first_seq": 3, "last_seq": 40, "state": "open", "at": "recovery"}
                    await tell(sc, first, **told, received=41 - start, gaps=[[3, start - 1]])
                    await tell(sc, first, **told, received=41 - start, gaps=[])
                await upstream.end()
                await first.read_to_end()
            assert verdicts(sc) == {"agree": 1, "lost": 1}

    async def test_a_finished_stream_is_reconciled_while_it_is_retained_and_rejected_after(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            await tell(sc, response)
            (stream,) = sc.parts.hub.streams.values()
            stream.expire()
            await tell(sc, response)
            assert verdicts(sc) == {"agree": 1, "rejected": 1}

    async def test_a_stream_with_an_event_too_large_to_keep_is_not_judged_by_seqs(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(FIVE[0], b"data: " + b"x" * (1024 * 1024 + 1) + b"\n\n", FIVE[1]))
            response = await five(sc)
            await tell(sc, response, received=3, last_seq=3)
            assert verdicts(sc) == {"agree": 1}
            assert sc.proof()[0] <= 1


class TestBounds:
    async def test_no_more_reports_of_a_stream_are_counted_than_the_bound(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            take = sc.parts.reports.take
            for _ in range(REPORTS_PER_STREAM_MAX + 9):
                take(said(stream=response.header("SSE-Stream"), received=4))
            await tell(sc, response)
            assert verdicts(sc) == {"lost": REPORTS_PER_STREAM_MAX}
            assert sc.metric("sse_client_missed_messages_total") == 1
            assert sc.proof()[0] == 5

    async def test_the_history_of_a_stream_keeps_what_the_sidecar_wrote(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            for _ in range(70):
                sc.parts.reports.take(said(stream=response.header("SSE-Stream"), received=4, told=False))
            (stream,) = sc.parts.hub.streams.values()
            lines = [line for _, line in stream.timeline]
            assert lines[0] == "started"
            assert lines.count(
                "client reports completed, its user was not told: 4 received, seq 1 to 5: lost"
            ) == (NOTES_PER_STREAM_MAX)

    async def test_recoveries_that_agree_are_not_worth_a_line_of_the_history(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            await tell(sc, response, received=2, last_seq=2, state="open", at="recovery")
            await tell(sc, response, received=2, last_seq=3, state="open", at="recovery")
            await tell(sc, response)
            (stream,) = sc.parts.hub.streams.values()
            lines = [line for _, line in stream.timeline if line.startswith("client reports")]
            assert lines == [
                "client reports open: 2 received, seq 1 to 3: lost",
                "client reports completed: 5 received, seq 1 to 5: agree",
            ]

    async def test_nothing_is_confirmed_that_was_not_delivered(self) -> None:
        async with relayed() as (up, sc):
            hand = up.by_hand()
            async with sc.client.open("GET", "/v1/chat") as response:
                upstream = await hand.connection()
                await upstream.write(FIVE[0])
                await response.event()
                await response.leave()
                await sc.until(lambda: sc.metric("sse_streams_detached") == 1)
                await upstream.write(b"".join(FIVE[1:]))
                await upstream.end()
                await sc.until(lambda: sc.metric("sse_messages_received_total") == 5)
                await tell(sc, response)
            assert (verdicts(sc), sc.proof()) == ({"agree": 1}, (1, 1, 1))

    async def test_who_claims_to_have_begun_where_nobody_was_confirms_nothing(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            await tell(sc, response, received=1, first_seq=5)
            assert (verdicts(sc), sc.proof()[0]) == ({"agree": 1}, 0)

    async def test_who_began_at_a_position_confirms_from_there(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            await sc.client.fetch(
                "GET", "/", [EVENT_STREAM, ("Last-Event-ID", f"{response.header('SSE-Stream')}.3")]
            )
            await tell(sc, response, received=2, first_seq=4)
            assert sc.proof()[0] == 5


class TestGoodbye:
    @pytest.mark.parametrize(
        ("changed", "outcome"),
        [
            ({"at": "pagehide"}, "client_left"),
            ({"state": "closed"}, "client_left"),
            ({"state": "open", "at": "recovery"}, "client_abandoned"),
            ({"state": "failed"}, "client_abandoned"),
        ],
    )
    @pytest.mark.parametrize("when", ["before the connection breaks", "after it broke"])
    async def test_who_says_that_it_leaves_has_not_abandoned(
        self, changed: dict[str, str], outcome: str, when: str
    ) -> None:
        told = {"received": 1, "last_seq": 1, "state": "open", **changed}
        async with relayed() as (up, sc):
            up.script(sse(FIVE[0], then="stall"))
            async with sc.client.open("GET", "/v1/chat") as response:
                await response.event()
                if when == "before the connection breaks":
                    await tell(sc, response, **told)
                await response.cut()
            await sc.until(lambda: sc.metric("sse_streams_detached") == 1)
            if when == "after it broke":
                await tell(sc, response, **told)
            (stream,) = sc.parts.hub.streams.values()
            stream.visit(stream.clock() + stream.policy.linger_s)
            assert sc.outcomes() == {outcome: 1}
            abandoned = int(outcome == "client_abandoned")
            assert sc.metric("sse_continuity_unproven_total", reason="client_never_returned") == abandoned

    async def test_a_goodbye_stops_nothing_the_client_may_be_back(self) -> None:
        async with relayed() as (up, sc):
            hand = up.by_hand()
            async with sc.client.open("GET", "/v1/chat") as response:
                upstream = await hand.connection()
                await upstream.write(FIVE[0])
                await response.event()
                await tell(sc, response, received=1, last_seq=1, state="open", at="pagehide")
                await response.cut()
            async with sc.client.resume(f"{response.header('SSE-Stream')}.1") as again:
                await upstream.write(FIVE[1])
                await upstream.end()
                await again.read_to_end()
            assert sc.outcomes() == {"completed": 1}


class TestFromPages:
    @pytest.mark.parametrize(
        "fields",
        [
            [("Origin", "https://app.test"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")],
            [("Origin", "null")],
            [("Content-Type", "application/json")],
            [("Cookie", "login=another"), ("Authorization", "Bearer another")],
        ],
    )
    async def test_the_token_is_the_proof_wherever_a_report_comes_from(
        self, fields: list[tuple[str, str]]
    ) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            answer = await post(sc.client, said(stream=response.header("SSE-Stream")), *fields)
            assert answer.header("Access-Control-Allow-Origin") == "*"
            assert (answer.status, verdicts(sc)) == (204, {"agree": 1})
            assert len(up.requests) == 1

    async def test_a_preflight_allows_any_page_to_report_json(self) -> None:
        async with relayed() as (up, sc):
            asked = [("Origin", "https://app.test"), ("Access-Control-Request-Method", "POST")]
            answer = await sc.client.fetch("OPTIONS", "/_sse/reports", asked)
            assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (204, "*")
            assert answer.header("Access-Control-Allow-Methods") == "POST"
            assert answer.header("Access-Control-Allow-Headers") == "content-type"
            assert (verdicts(sc), up.requests) == ({}, [])

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    async def test_a_report_is_posted(self, method: str) -> None:
        async with relayed() as (_, sc):
            answer = await sc.client.fetch(method, "/_sse/reports", [], said())
            assert (answer.status, answer.header("Allow"), verdicts(sc)) == (405, "POST, OPTIONS", {})

    async def test_a_client_that_breaks_off_its_report_is_not_counted(self) -> None:
        async with relayed() as (_, sc):
            async with sc.client.connect() as connection:
                head = b"POST /_sse/reports HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n"
                await connection.send(head + said()[:50])
                await connection.cut()
            await sc.until(lambda: sc.metric("sse_requests_total", code_class="aborted") == 1)
            assert verdicts(sc) == {}

    async def test_what_a_client_disagrees_with_is_logged_once(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await five(sc)
            with structlog.testing.capture_logs() as lines:
                for received in (4, 4, 4, 5):
                    await tell(sc, response, received=received)
        (line,) = [line for line in lines if line["event"] == "client disagrees"]
        assert (line["verdict"], line["received"], line["messages"], line["route"]) == (
            "lost",
            4,
            5,
            "default",
        )
