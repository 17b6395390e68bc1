"""A hostile report changes nothing but the count of those that were rejected; a lying one hardly more."""

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.observability.errors import UpstreamReset
from sidecar.observability.labels import Outcome
from sidecar.proxy.client_reports import ClientReports
from sidecar.proxy.control_api import REPORT_READ_S
from sidecar.proxy.report import GAPS_MAX, OCCASIONS, RECONNECTS_MAX, REPORT_BYTES_MAX, STATES
from sidecar.sse.event_id import HANDLE_CHARS
from tests.kit.deadline import WAIT_S, within
from tests.kit.fake_upstream import sse
from tests.kit.held import Held, HeldReader
from tests.kit.relayed import relayed
from tests.kit.reporting import HONEST, PLAIN, STREAM, post, said
from tests.kit.running import RunningSidecar
from tests.kit.scrape import Scrape

MIB = 1024 * 1024
FIVE = tuple(b"data: %d\n\n" % n for n in range(1, 6))
OF_REQUESTS = {"sse_requests_total", "sse_event_loop_lag_seconds", "sse_watchdog_last_pass_timestamp_seconds"}

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


def with_number(name: str, number: bytes) -> bytes:
    """Return an honest report with literal bytes for a number."""
    before = json.dumps({name: HONEST[name]}).encode()[1:-1]
    return said().replace(before, b'"%b": %b' % (name.encode(), number))


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "1 MB": b"x" * 1_000_000,
    "1 MB of JSON": said() + b" " * 1_000_000,
    "one byte too many": said() + b" " * (REPORT_BYTES_MAX + 1 - len(said())),
    "no JSON": b"received=5",
    "no UTF-8": b"\xff\xfe\x00" + said(),
    "a NaN": with_number("received", b"NaN"),
    "an infinity": with_number("last_seq", b"-Infinity"),
    "1e308": with_number("received", b"1e308"),
    "a duration of 1e308": with_number("reconnects", b"[1e308]"),
    "a duration of 1e999": with_number("reconnects", b"[1e999]"),
    "a number of 3000 digits": with_number("received", b"9" * 3000),
    "a negative number": with_number("received", b"-1"),
    "a float": with_number("received", b"5.0"),
    "a boolean for a number": with_number("received", b"true"),
    "a text for a number": with_number("received", b'"5"'),
    "an object for a number": with_number("received", b'{"$gt": 0}'),
    "lists 1000 deep": with_number("gaps", b"[" * 1000 + b"]" * 1000),
    "objects 600 deep": with_number("gaps", b'{"a":' * 600 + b"0" + b"}" * 600),
    "brackets that never close": b"[" * 4000,
    "a list": b"[%b]" % said(),
    "another version": said(v=2),
    "a state that is none": said(state='completed",verdict="x'),
    "an unknown key": said(verdict="agree"),
    "a key twice": said()[:-1] + b', "received": 5}',
    "a key missing": b'{"v": 1}',
    "a label in the stream": said(stream='"} 1'),
    "a forged token": said(stream=STREAM),
    "a first seq of 0": said(first_seq=0),
    "an end before the start": said(first_seq=9),
}


def numbers(sc: RunningSidecar) -> Numbers:
    """Return every sample but those that any request moves."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for sample in sc.scrape().samples
        if not any(sample.name.startswith(name) for name in (*OF_REQUESTS, "process_", "python_"))
    }


REJECTED = ("sse_client_reports_total", frozenset({("verdict", "rejected")}))


class TestHostile:
    @pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
    async def test_it_is_answered_like_any_other_and_moves_one_number(self, body: bytes) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await sc.client.fetch("GET", "/v1/chat", [("Accept", "text/event-stream")])
            honest = await post(sc.client, said(stream=response.header("SSE-Stream")))
            before = numbers(sc)
            answer = await post(sc.client, body)
            assert (answer.status, answer.raw, answer.ended) == (204, b"", "clean")
            assert answer.headers == honest.headers
            after = numbers(sc)
            assert after.keys() == before.keys()
            assert {key for key in after if after[key] != before[key]} == {REJECTED}
            assert after[REJECTED] == before[REJECTED] + 1
            assert len(up.requests) == 1

    async def test_a_token_that_differs_from_the_streams_own_anywhere_is_nobodys(self) -> None:
        """The handle, which logs and pages show, is its beginning; the rest of it is the proof."""
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await sc.client.fetch("GET", "/v1/chat", [("Accept", "text/event-stream")])
            token = response.header("SSE-Stream") or ""
            before = numbers(sc)
            forged = [
                token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
                for at in range(2, len(token))
            ]
            forged.append(token[:HANDLE_CHARS] + "A" * (len(token) - HANDLE_CHARS))
            for other in forged:
                await post(sc.client, said(stream=other, received=1))
            after = numbers(sc)
            assert {key for key in after if after[key] != before[key]} == {REJECTED}
            assert after[REJECTED] == len(forged)

    async def test_a_body_of_ten_megabytes_is_not_read_to_its_end_and_holds_nothing(self) -> None:
        async with relayed() as (_, sc), sc.client.connect() as connection:
            connection.start_sending(
                sc.client.request_bytes("POST", "/_sse/reports", [PLAIN], b"[" * (10 * MIB))
            )
            answer = await connection.read()
            assert answer.startswith(b"HTTP/1.1 204 ")
            assert sc.metric("sse_client_reports_total", verdict="rejected") == 1

    @pytest.mark.slow
    async def test_a_body_that_never_ends_is_not_waited_for(self) -> None:
        async with relayed() as (_, sc), sc.client.connect() as connection:
            head = b"POST /_sse/reports HTTP/1.1\r\nHost: a\r\nContent-Length: 400\r\n\r\n"
            await connection.send(head + said()[:50])
            async with within(REPORT_READ_S + WAIT_S, lambda: "no answer"):
                assert (await connection.read()).startswith(b"HTTP/1.1 204 ")
            assert sc.metric("sse_client_reports_total", verdict="rejected") == 1

    async def test_a_report_in_pieces_of_one_byte_is_one_report(self) -> None:
        async with relayed() as (up, sc):
            up.script(sse(*FIVE))
            response = await sc.client.fetch("GET", "/v1/chat", [("Accept", "text/event-stream")])
            body = said(stream=response.header("SSE-Stream"))
            chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
            head = b"POST /_sse/reports HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            answer = await sc.client.fetch_raw(head + chunks, method="POST")
            assert answer.status == 204
            assert sc.metric("sse_client_reports_total", verdict="agree") == 1


counts = st.integers(0, 12) | st.integers(0, 10**18 - 1)
pairs = st.tuples(st.integers(1, 30), st.integers(0, 30)).map(lambda pair: [pair[0], pair[0] + pair[1]])
lies = st.fixed_dictionaries(
    {
        "received": counts,
        "first_seq": counts,
        "last_seq": counts,
        "gaps": st.lists(pairs, max_size=8) | st.just([[1, 2]] * GAPS_MAX),
        "duplicates": counts,
        "reconnects": st.lists(st.floats(0, 100), max_size=RECONNECTS_MAX),
        "stalls": counts,
        "state": st.sampled_from(sorted(STATES)),
        "told": st.booleans(),
        "at": st.sampled_from(sorted(OCCASIONS)),
    }
)
ALERTING = ("sse_messages_lost_total", "sse_silent_failures_total", "sse_continuity_unproven_total")


class TestLying:
    """The owner of a token may say whatever fits the form; what is at stake is what others look at."""

    @settings(max_examples=30)  # each of them makes all metrics anew
    @given(st.lists(lies, max_size=40), st.integers(0, 10), st.booleans())
    def test_no_lie_spoils_the_books_or_wakes_anybody(
        self, said_so: list[dict[str, Any]], delivered: int, broken: bool
    ) -> None:
        asyncio.run(_lie(said_so, delivered, broken=broken))

    @settings(max_examples=20)
    @given(st.lists(st.binary(max_size=5000), max_size=30))
    def test_any_bytes_are_rejected_and_nothing_else(self, bodies: list[bytes]) -> None:
        asyncio.run(_babble(bodies))

    @pytest.mark.parametrize("seed", range(5))
    async def test_a_report_with_a_byte_changed_never_raises(self, seed: int) -> None:
        chance = random.Random(seed)
        held = Held()
        stream = held.stream("chat", events=5)
        reports = ClientReports(held.hub, held.metrics.client_reports)
        for body in _changed(said(stream=stream.id), chance):
            reports.take(body)
        verdicts = [s for s in _scrape(held).samples if s.name == "sse_client_reports_total"]
        assert sum(sample.value for sample in verdicts) <= 500


async def _lie(said_so: list[dict[str, Any]], delivered: int, *, broken: bool) -> None:
    held = Held()
    stream = held.stream("chat", events=10)
    stream.join(HeldReader(0))
    stream.ledger.deliver(0, delivered)
    if broken:
        stream.stop(Outcome.UPSTREAM_ERROR, UpstreamReset)
    reports = ClientReports(held.hub, held.metrics.client_reports)
    before = _scrape(held)
    for lie in said_so:
        reports.take(said(stream=stream.id, **lie))
    after = _scrape(held)
    assert after.conservation() == before.conservation() == {"streams": 0, "messages": 0}
    for name in ALERTING:
        assert after.metric(name) == 0
    assert after.metric("sse_messages_duplicated_total", disposition="delivered") == 0
    assert after.metric("sse_messages_duplicated_total") <= stream.log.last_seq
    assert after.metric("sse_client_missed_messages_total") <= stream.log.last_seq
    confirmed, acknowledged, written = after.proof()
    assert confirmed <= acknowledged <= written == delivered
    assert after.outcomes() == before.outcomes()
    assert {sample.name for sample in after.samples} == {sample.name for sample in before.samples}


async def _babble(bodies: list[bytes]) -> None:
    held = Held()
    stream = held.stream("chat", events=3)
    reports = ClientReports(held.hub, held.metrics.client_reports)
    before = _samples(held)
    for body in bodies:
        reports.take(body)
    after = _samples(held)
    assert {key for key in after if after[key] != before.get(key)} == ({REJECTED} if bodies else set())
    assert after[REJECTED] == len(bodies)
    assert stream.ledger.proof.confirmed_seq == 0


def _changed(body: bytes, chance: random.Random) -> Iterator[bytes]:
    for _ in range(500):
        at = chance.randrange(len(body))
        yield body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


def _scrape(held: Held) -> Scrape:
    return Scrape(sample for family in held.metrics.registry.collect() for sample in family.samples)


def _samples(held: Held) -> Numbers:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for sample in _scrape(held).samples
        if not sample.name.startswith(("process_", "python_"))
    }
