"""Published EventSource clients resume, without loss, until 204."""

import asyncio

import pytest

from tests.clients.sdk import node_sdks
from tests.clients.sdk.cut import beaten, cut, delivered
from tests.clients.sdk.node_sdks import case
from tests.clients.sdk.seen import SdkResult
from tests.kit.fake_upstream import Ending, FakeUpstream, sse
from tests.kit.relayed import relayed

pytestmark = [pytest.mark.sdk, pytest.mark.needs("npm")]

CLIENTS = (
    "eventsource",
    "eventsource-client",
    "event-source-polyfill",
    "launchdarkly-eventsource",
    "fetch-event-source",
)
ROUTE = {"heartbeat_s": 0.05, "linger_s": 5}
EVENTS = 9
DONE = b"event: done\ndata: {}\n\n"


def _events(first: int, last: int) -> bytes:
    retry = "retry: 50\n" if first == 1 else ""
    return b"".join(f'{retry}data: {{"text": " {n}"}}\n\n'.encode() for n in range(first, last + 1))


def _text(last: int) -> str:
    return "".join(f" {n}" for n in range(1, last + 1))


def _ids(up: FakeUpstream, stream: str, last: int) -> list[str]:
    assert len(up.requests) == 1
    return [f"{stream}.{n}" for n in range(1, last + 1)]


def _stream_of(seen: SdkResult) -> str:
    return seen.ids[0].rpartition(".")[0]


WAYS = [*((client, "GET") for client in CLIENTS), ("fetch-event-source", "POST")]


@pytest.mark.parametrize(("client", "method"), WAYS)
async def test_lost_connection_resumes_until_204(client: str, method: str) -> None:
    async with relayed(ROUTE) as (up, sc):
        gates = [asyncio.Event(), asyncio.Event()]
        up.script(sse(_events(1, 3), gates[0], _events(4, 6), gates[1], _events(7, EVENTS) + DONE))
        asked = case(f"http://127.0.0.1:{sc.port}", method=method)
        reading = asyncio.create_task(node_sdks.run(client, asked))
        for events, gate in zip((3, 6), gates, strict=True):
            stream = await delivered(sc, events)
            await beaten(sc)
            await cut(sc, stream)
            await beaten(sc)
            gate.set()
        (seen,) = await reading
        assert (seen.text, seen.error) == (_text(EVENTS), "")
        assert seen.kinds == ["message"] * EVENTS + ["done"]
        assert seen.ids == _ids(up, stream.id, EVENTS + 1)
        assert sc.outcomes() == {"completed": 1}
        assert sc.metric("sse_messages_lost_total") == 0


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("then", ["reset", "fin", "bad_chunk"])
async def test_a_failure_arrives_as_an_event_and_is_not_tried_again(client: str, then: Ending) -> None:
    async with relayed(ROUTE) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(_events(1, 3), gate, then=then))
        reading = asyncio.create_task(node_sdks.run(client, case(f"http://127.0.0.1:{sc.port}")))
        await delivered(sc, 3)
        gate.set()
        (seen,) = await reading
        assert (seen.text, seen.error) == (_text(3), "")
        assert seen.kinds == ["message", "message", "message", "sse-error"]
        assert seen.ids == _ids(up, _stream_of(seen), 4)


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_backends_own_error_event_arrives_once(client: str) -> None:
    async with relayed(ROUTE) as (up, sc):
        up.script(sse(_events(1, 2), b'event: error\ndata: {"text": "!"}\n\n'))
        (seen,) = await node_sdks.run(client, case(f"http://127.0.0.1:{sc.port}"))
        assert (seen.text, seen.error) == (_text(2) + "!", "")
        assert seen.kinds == ["message", "message", "error"]
        assert seen.ids == _ids(up, _stream_of(seen), 3)
        assert sc.outcomes() == {"upstream_error": 1}
