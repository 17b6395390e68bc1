"""LaunchDarkly's SSE contract tests, for both clients."""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from sidecar.client.told import OWN_EVENTS
from tests.clients.js import node
from tests.kit.contract import LONG_S, ROOT, contract, service_process
from tests.kit.eventsource import DispatchedEvent
from tests.kit.fake_upstream import plain, sse
from tests.kit.wire_cases import CASES, WireCase

QUICK = b"retry: 10\n"
BROWSER = ROOT / "tests" / "clients" / "contract" / "browser_service.mjs"
SERVICES = {
    "python": (sys.executable, "-m", "tests.clients.contract.python_service"),
    "browser": ("node", str(BROWSER)),
}
HAVE = {
    "bom",
    "headers",
    "last-event-id",
    "post",
    "read-timeout",
    "report",
    "server-directed-shutdown-request",
}
CANNOT = {
    "comments": "comments are the connection's, not the stream's: a heartbeat is shown as idle seconds",
    "event-type-listeners": "only the browser client has types to listen for; its wrapper iterates",
    "restart": "a program leaves and opens a new client at its position instead",
}
"""What neither client can have, by design."""

SECOND_TRY_S = 2.5
"""A client that wants to come back does so after 1.1 seconds at the latest."""


@pytest.fixture(scope="module", params=("python", pytest.param("browser", marks=pytest.mark.needs("node"))))
def service(request: pytest.FixtureRequest) -> Iterator[str]:
    command = SERVICES[request.param]
    if request.param == "browser":
        command = (node.node(), *command[1:])
    with service_process(*command) as url:
        yield url


async def test_missing_capabilities_have_a_reason(service: str) -> None:
    async with contract(service) as at:
        assert HAVE <= await at.capabilities() <= HAVE | CANNOT.keys()
    assert not HAVE & CANNOT.keys()


def _cut_cases() -> Iterator[tuple[WireCase, int]]:
    """Yield each case whole, and those about line ends and BOMs in the smallest pieces as well."""
    for case in CASES:
        yield case, max(len(case.wire), 1)
        if b"\r" in case.wire or b"\xef\xbb" in case.wire:
            yield case, 1
            yield case, 2


CUT_CASES = list(_cut_cases())


class TestParsing:
    @pytest.mark.parametrize(
        ("case", "size"), CUT_CASES, ids=[f"{case.name}-{size}" for case, size in CUT_CASES]
    )
    async def test_what_is_on_the_wire_is_what_the_standard_makes_of_it(
        self, service: str, case: WireCase, size: int
    ) -> None:
        chunks = [case.wire[at : at + size] for at in range(0, len(case.wire), size)]
        expected = [event for event in case.events if event.type not in OWN_EVENTS]
        async with contract(service) as at:
            at.up.script(sse(*chunks, then="reset"), plain(204))
            await at.client()
            said = await at.says(errors=1)
        assert said.events == expected

    @pytest.mark.parametrize("chunks", [1, 2])
    async def test_five_megabytes_of_data_are_one_event(self, service: str, chunks: int) -> None:
        text = b"0123456789abcdef" * 327_680
        size = len(text) // chunks
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        async with contract(service) as at:
            at.up.script(sse(b"data: ", *pieces, b"\n\n", then="stall"))
            await at.client()
            said = await at.says(events=1)
        assert said.events[0].data == text.decode()

    async def test_many_messages_come_in_their_order(self, service: str) -> None:
        async with contract(service) as at:
            at.up.script(sse(b"".join(b"data: %d\n\n" % n for n in range(200)), then="stall"))
            await at.client()
            said = await at.says(events=200)
        assert [event.data for event in said.events] == [str(n) for n in range(200)]


class TestHttp:
    async def test_a_client_asks_with_get_for_an_event_stream_past_all_caches(self, service: str) -> None:
        async with contract(service) as at:
            at.up.script(sse(b"data: a\n\n", then="stall"))
            await at.client()
            await at.says(events=1)
            request = at.up.requests[0]
        assert request.method == "GET"
        assert request.header("accept") == "text/event-stream"
        assert request.header("cache-control") == "no-cache"
        assert request.header("last-event-id") is None

    async def test_204_ends_it_for_good(self, service: str) -> None:
        async with contract(service) as at:
            at.up.script(plain(204))
            await at.client()
            await at.up.request(0, LONG_S)
            await asyncio.sleep(SECOND_TRY_S)  # that nothing comes can only be waited for
            assert len(at.up.requests) == 1

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_a_redirect_is_followed(self, service: str, status: int) -> None:
        async with contract(service) as at:
            at.up.script(
                plain(status, [("Location", f"{at.up.url}/there")]), sse(b"data: a\n\n", then="stall")
            )
            await at.client()
            assert (await at.says(events=1)).events == [DispatchedEvent("message", "a")]
            assert [request.target for request in at.up.requests] == ["/", "/there"]

    @pytest.mark.parametrize("status", [301, 307])
    @pytest.mark.parametrize("fields", [[], [("Location", "")]], ids=["missing", "empty"])
    async def test_a_redirect_to_nowhere_is_an_error(
        self, service: str, status: int, fields: list[tuple[str, str]]
    ) -> None:
        async with contract(service) as at:
            at.up.route(lambda _: plain(status, fields))
            await at.client()
            assert (await at.says(errors=1)).errors[0]

    @pytest.mark.parametrize(
        ("status", "fields"),
        [(200, [("Content-Type", "text/html")]), (200, []), (400, []), (404, []), (410, [])],
        ids=["html", "no-type", "400", "404", "410"],
    )
    async def test_what_is_no_event_stream_is_an_error_and_not_asked_for_again(
        self, service: str, status: int, fields: list[tuple[str, str]]
    ) -> None:
        async with contract(service) as at:
            at.up.script(plain(status, fields, b"data: no\n\n"))
            await at.client()
            said = await at.says(errors=1)
            assert (said.events, len(at.up.requests)) == ([], 1)

    @pytest.mark.parametrize("content_type", ["text/event-stream; charset=utf-8", "TEXT/EVENT-STREAM"])
    async def test_an_event_stream_is_known_by_its_type_alone(self, service: str, content_type: str) -> None:
        headers = [("Content-Type", content_type), ("Transfer-Encoding", "chunked")]
        async with contract(service) as at:
            at.up.script(sse(b"data: a\n\n", then="stall", headers=headers))
            await at.client()
            assert (await at.says(events=1)).events == [DispatchedEvent("message", "a")]

    async def test_headers_of_the_program_are_sent(self, service: str) -> None:
        async with contract(service) as at:
            at.up.script(sse(QUICK, b"data: a\n\n", then="reset"), sse(b"data: b\n\n", then="stall"))
            await at.client(headers={"x-one": "1", "x-two": "2"})
            await at.says(events=2)
            sent = [(request.header("x-one"), request.header("x-two")) for request in at.up.requests]
        assert sent == [("1", "2"), ("1", "2")]

    @pytest.mark.parametrize("method", ["POST", "REPORT"])
    async def test_method_and_body_of_the_program_are_sent(self, service: str, method: str) -> None:
        json_type = "application/json; charset=utf-8"
        async with contract(service) as at:
            at.up.script(sse(b"data: a\n\n", then="stall"))
            await at.client(method=method, body='{"hello":"€"}', headers={"content-type": json_type})
            await at.says(events=1)
            request = at.up.requests[0]
        assert (request.method, request.body.decode()) == (method, '{"hello":"€"}')
        assert request.header("content-type") == json_type

    async def test_a_program_can_begin_behind_an_id(self, service: str) -> None:
        async with contract(service) as at:
            at.up.script(sse(b"data: a\n\n", then="stall"))
            await at.client(lastEventId="abc")
            said = await at.says(events=1)
            assert at.up.requests[0].header("last-event-id") == "abc"
        assert said.events == [DispatchedEvent("message", "a", "abc")]


class TestReconnection:
    @pytest.mark.parametrize("then", ["end", "fin", "reset"])
    async def test_after_any_end_it_comes_back_with_its_last_id(self, service: str, then: str) -> None:
        ends = {"end": sse(QUICK, b"id: abc\ndata: a\n\n", then="end")}
        ends["fin"] = sse(QUICK, b"id: abc\ndata: a\n\n", then="fin")
        ends["reset"] = sse(QUICK, b"id: abc\ndata: a\n\n", then="reset")
        async with contract(service) as at:
            at.up.script(ends[then], sse(b"id: def\ndata: b\n\n", then="stall"))
            await at.client()
            said = await at.says(events=2)
            ids = [request.header("last-event-id") for request in at.up.requests]
        assert said.events == [DispatchedEvent("message", "a", "abc"), DispatchedEvent("message", "b", "def")]
        assert ids == [None, "abc"]

    @pytest.mark.parametrize(
        ("later", "sent"),
        [(b"data: b\n\n", "abc"), (b"id:\ndata: b\n\n", None), (b"id: def\n\ndata: b\n\n", "def")],
        ids=["no-id", "empty-id", "lone-id"],
    )
    async def test_the_last_id_is_the_stream_s_last_word_on_it(
        self, service: str, later: bytes, sent: str | None
    ) -> None:
        async with contract(service) as at:
            at.up.script(sse(QUICK, b"id: abc\ndata: a\n\n", later, then="reset"), sse(then="stall"))
            await at.client()
            request = await at.up.request(1, LONG_S)
        assert request.header("last-event-id") == sent

    async def test_half_an_event_is_forgotten_with_its_id(self, service: str) -> None:
        async with contract(service) as at:
            half = b"id: def\nevent: no\ndata: half\n"
            at.up.script(sse(QUICK, b"id: abc\ndata: a\n\n", half, then="reset"))
            at.up.script(sse(b"data: again\n\n", then="stall"))
            await at.client()
            said = await at.says(events=2)
            assert at.up.requests[1].header("last-event-id") == "abc"
        assert said.events == [
            DispatchedEvent("message", "a", "abc"),
            DispatchedEvent("message", "again", "abc"),
        ]

    async def test_silence_beyond_the_read_timeout_reconnects(self, service: str) -> None:
        async with contract(service) as at:
            at.up.script(sse(QUICK, b"data: a\n\n", then="stall"))
            at.up.route(lambda _: sse(b"data: b\n\n", then="stall"))
            await at.client(readTimeoutMs=1500)
            said = await at.says(events=2, errors=1)
        assert [event.data for event in said.events[:2]] == ["a", "b"]

    async def test_a_server_that_fails_is_asked_again(self, service: str) -> None:
        busy = plain(503, [("Retry-After", "0")])
        async with contract(service) as at:
            at.up.script(busy, plain(500, [("Retry-After", "0")]), sse(b"data: a\n\n", then="stall"))
            await at.client()
            said = await at.says(events=1, errors=2)
        assert said.events == [DispatchedEvent("message", "a")]

    async def test_a_program_that_wants_it_has_its_post_sent_again(self, service: str) -> None:
        async with contract(service) as at:
            at.up.script(sse(QUICK, b"data: a\n\n", then="reset"), sse(b"data: b\n\n", then="stall"))
            await at.client(method="POST", body='{"n":1}', headers={"content-type": "application/json"})
            await at.says(events=2)
            sent = [(request.method, request.body) for request in at.up.requests]
        assert sent == [("POST", b'{"n":1}')] * 2

    async def test_a_bom_is_dropped_at_the_start_of_every_connection(self, service: str) -> None:
        bom = b"\xef\xbb\xbf"
        async with contract(service) as at:
            at.up.script(
                sse(bom + QUICK + b"data: a\n\n", then="reset"), sse(bom + b"data: b\n\n", then="stall")
            )
            await at.client()
            said = await at.says(events=2)
        assert [event.data for event in said.events] == ["a", "b"]
