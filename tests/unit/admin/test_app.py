"""The admin listener tells what this process holds and why a stream stopped."""

import httpx
import pytest

from sidecar.admin.app import LIMIT_MAX
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.sse.verdict import Ending
from sidecar.streams.states import StreamInput
from tests.kit.held import Held, HeldReader

STATES = "opening or streaming or stalled or reconnecting or ended or expired"


class TestHealth:
    async def test_a_process_whose_loop_turns_is_alive_even_while_it_drains(self) -> None:
        held = Held()
        held.readiness.draining = True
        async with held.client() as client:
            answer = await client.get("/livez")
        assert (answer.status_code, answer.json()) == (200, {"live": True})

    async def test_a_healthy_instance_is_ready_and_has_nothing_to_say(self) -> None:
        async with Held().client() as client:
            answer = await client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json() == {"ready": True, "degraded": False, "reasons": []}

    async def test_a_draining_instance_is_not_ready_and_says_so(self) -> None:
        held = Held()
        held.readiness.draining = True
        async with held.client() as client:
            answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "degraded": False, "reasons": ["draining"]}

    async def test_a_backend_that_refuses_degrades_the_instance_but_keeps_it_ready(self) -> None:
        held = Held()
        held.readiness.upstream_ok = False
        async with held.client() as client:
            answer = await client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json() == {
            "ready": True,
            "degraded": True,
            "reasons": ["the upstream refused the last connection"],
        }


class TestMetrics:
    async def test_a_scraper_gets_the_text_format(self) -> None:
        held = Held()
        held.stream("chat")
        async with held.client() as client:
            answer = await client.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'sse_streams_started_total{route="chat"} 1.0\n' in answer.text

    async def test_a_scraper_that_asks_for_it_gets_openmetrics(self) -> None:
        async with Held().client() as client:
            answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.text.endswith("# EOF\n")


class TestStreamList:
    async def test_a_stream_is_listed_with_all_its_numbers(self) -> None:
        held = Held()
        stream = held.stream("chat", events=5)
        stream.join(HeldReader(4))
        stream.join(HeldReader(2))
        stream.ledger.deliver(0, 4)
        stream.describe([], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        held.now += 12.5
        async with held.client() as client:
            rows = (await client.get("/streams")).json()
        assert rows == [
            {
                "id": stream.handle,
                "route": "chat",
                "kind": "answer",
                "state": "streaming",
                "audience": "attached",
                "outcome": None,
                "age_s": 12.5,
                "idle_s": 12.5,
                "events": 5,
                "delivered_seq": 4,
                "readers": 2,
                "away_s": None,
                "lag": 3,
                "log_bytes": 40,
                "trace": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            }
        ]

    async def test_without_a_reader_nobody_lags(self) -> None:
        held = Held()
        held.stream(events=5)
        async with held.client() as client:
            assert (await client.get("/streams")).json()[0]["lag"] is None

    async def test_the_newest_stream_comes_first(self) -> None:
        held = Held()
        ids = [held.stream().handle for _ in range(3)]
        assert await _ids(held, "/streams") == ids[::-1]

    async def test_a_list_is_cut_at_its_limit_and_says_how_many_there_are(self) -> None:
        held = Held()
        ids = [held.stream().handle for _ in range(3)]
        async with held.client() as client:
            answer = await client.get("/streams?limit=2")
        assert [row["id"] for row in answer.json()] == [ids[2], ids[1]]
        assert answer.headers["x-total-count"] == "3"

    async def test_a_list_without_a_limit_is_bounded_all_the_same(self) -> None:
        held = Held()
        for _ in range(101):
            held.stream()
        assert len(await _ids(held, "/streams")) == 100

    async def test_streams_are_found_by_route_and_by_state(self) -> None:
        held = Held()
        chat, other = held.stream("chat"), held.stream("default")
        done = held.stream("chat")
        done.advance(StreamInput.END, Ending(Outcome.COMPLETED, None))
        assert await _ids(held, "/streams?route=default") == [other.handle]
        assert await _ids(held, "/streams?state=ended") == [done.handle]
        assert await _ids(held, "/streams?route=chat&state=streaming") == [chat.handle]

    @pytest.mark.parametrize(
        ("query", "detail"),
        [
            ("limit=0", "limit: got '0'; allowed: 1 to 1000"),
            (f"limit={LIMIT_MAX + 1}", "limit: got '1001'; allowed: 1 to 1000"),
            ("limit=ten", "limit: got 'ten'; allowed: 1 to 1000"),
            ("limit=%C2%B2", "limit: got '²'; allowed: 1 to 1000"),
            (f"limit={'9' * 5000}", f"limit: got '{'9' * 5000}'; allowed: 1 to 1000"),
            ("route=chatt", "route: got 'chatt'; there is no such route"),
            (
                "state=endet",
                f"state: got 'endet'; allowed: {STATES}",
            ),
        ],
        ids=lambda text: text[:12],
    )
    async def test_a_filter_that_means_nothing_is_refused_not_ignored(self, query: str, detail: str) -> None:
        async with Held().client() as client:
            answer = await client.get(f"/streams?{query}")
        assert (answer.status_code, answer.json()["detail"]) == (400, detail)


class TestOneStream:
    async def test_its_timeline_says_why_it_stopped(self) -> None:
        held = Held()
        stream = held.stream("chat", events=2)
        held.now += 1.25
        stream.advance(StreamInput.LOST, stream.verdict.broken(errors.UpstreamReset))
        async with held.client() as client:
            told = (await client.get(f"/streams/{stream.handle}")).json()
        assert told["timeline"] == [
            {"at_s": 0.0, "what": "started"},
            {"at_s": 0.0, "what": "bytes"},
            {"at_s": 1.25, "what": "lost: err-sidecar-upstream-reset"},
            {"at_s": 1.25, "what": "outcome: upstream_truncated"},
        ]
        assert told["id"] == stream.handle
        assert (told["state"], told["code"]) == ("ended", "err-sidecar-upstream-reset")
        assert told["reason"] == errors.UpstreamReset.message

    async def test_one_that_is_not_held_is_not_found(self) -> None:
        async with Held().client() as client:
            _assert_problem(await client.get("/streams/s1unknown"), 404, "err-sidecar-stream-not-found")


class TestAdminCancel:
    async def test_a_cancelled_stream_ends_and_closes_its_backend(self) -> None:
        held = Held()
        stream = held.stream(events=1)
        upstream: list[str] = []
        stream.feed_from(reopen=lambda: upstream.append("reopened"), close=lambda: upstream.append("closed"))
        async with held.client() as client:
            answer = await client.post(f"/streams/{stream.handle}/cancel")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (stream.outcome, stream.state, upstream) == (Outcome.CLIENT_CANCELLED, "ended", ["closed"])

    async def test_cancelling_twice_is_cancelling_once(self) -> None:
        held = Held()
        stream = held.stream()
        async with held.client() as client:
            answers = [await client.post(f"/streams/{stream.handle}/cancel") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [204, 204]
        finished = held.metrics.registry.get_sample_value(
            "sse_streams_finished_total", {"route": "default", "outcome": "client_cancelled"}
        )
        assert finished == 1

    async def test_a_link_cannot_cancel(self) -> None:
        held = Held()
        stream = held.stream()
        async with held.client() as client:
            answer = await client.get(f"/streams/{stream.handle}/cancel")
        _assert_problem(answer, 405, "err-sidecar-method-not-allowed")
        assert (answer.headers["allow"], stream.outcome) == ("POST", None)

    async def test_one_that_is_not_held_is_not_found(self) -> None:
        async with Held().client() as client:
            _assert_problem(await client.post("/streams/s1x/cancel"), 404, "err-sidecar-stream-not-found")


@pytest.mark.parametrize("path", ["/overview", "/metrics", "/livez", "/readyz", "/streams"])
async def test_no_answer_is_kept_by_a_cache(path: str) -> None:
    async with Held().client() as client:
        assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_what_does_not_exist_is_told_as_a_problem() -> None:
    async with Held().client() as client:
        _assert_problem(await client.get("/nothing"), 404, "err-sidecar-control-not-found")


async def _ids(held: Held, target: str) -> list[str]:
    async with held.client() as client:
        return [row["id"] for row in (await client.get(target)).json()]


def _assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)
