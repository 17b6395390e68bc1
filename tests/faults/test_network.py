"""Faults of the network between people and the sidecar, made by the kernel: what people get all the same."""

import asyncio
import socket
import time
from itertools import pairwise

import pytest

from sidecar.faultnet.path import FINE, Weather
from sidecar.server.server import TCP_USER_TIMEOUT_MS
from tests.kit.fake_upstream import SSE_HEADERS, ByHand, RecordedRequest, Script, UpstreamConnection, sse
from tests.kit.protocols import OPENAI
from tests.kit.remote_clients import RemoteClients, remote_clients
from tests.kit.remote_server import needs_real_path
from tests.kit.response import Response, read_response

pytestmark = [needs_real_path, pytest.mark.slow]

WAIT_S = 55.0
"""With a tenth of the packets lost, TCP may need half a minute for one of them, once in a long while."""

LATE_S = 10.0
"""What a busy machine may add to a promise of time."""

USER_TIMEOUT_S = TCP_USER_TIMEOUT_MS / 1000


def _paced(count: int, every_s: float) -> Script:
    """Answer with events that carry the time at which they were sent."""

    async def script(connection: UpstreamConnection) -> None:
        await connection.body()
        await connection.send_head(200, SSE_HEADERS)
        for number in range(count):
            await connection.write(b"data: %d %.6f\n\n" % (number, time.monotonic()))
            await asyncio.sleep(every_s)
        await connection.end()

    return script


def _counted(count: int, size: int) -> Script:
    """Answer with so many events of ``size`` bytes, no two alike."""
    return sse(*(b"data: %08d %b\n\n" % (number, b"." * (size - 17)) for number in range(count)))


async def test_streams_stay_whole_with_a_tenth_of_packets_lost() -> None:
    people, events = 10, 60
    async with remote_clients({"heartbeat_s": 1}) as far:
        far.up.route(lambda _: _paced(events, 0.03))
        everybody = asyncio.Barrier(people)

        async def one(number: int) -> tuple[list[str], list[float]]:
            delays_s: list[float] = []
            async with far.client.open("GET", f"/feed/{number}") as response:
                await response.event()
                if await everybody.wait() == 0:
                    await far.here(far.path.set(Weather(loss=0.1)))
                while event := await response._next_event(WAIT_S):
                    delays_s.append(time.monotonic() - float(event.data.split()[1]))
                assert response.ended == "clean"
                return [event.data for event in response.seen], delays_s

        async def all_of_them() -> list[tuple[list[str], list[float]]]:
            return await asyncio.gather(*map(one, range(people)))

        heard = await far.run(all_of_them)
        truth = {request.target: [event.data for event in request.truth] for request in far.up.requests}
        assert {f"/feed/{number}": data for number, (data, _) in enumerate(heard)} == truth
        delays_s = sorted(delay_s for _, each in heard for delay_s in each)
        assert delays_s[len(delays_s) * 99 // 100] < 20, delays_s[-10:]
        assert len(far.up.requests) == people
        await far.sc.until(lambda: far.sc.outcomes() == {"completed": people}, WAIT_S)
        assert far.sc.metric("sse_resumes_total", result="replayed") == 0


async def test_a_400_kbit_s_client_delays_no_other_client() -> None:
    events, size = 300, 500
    async with remote_clients({"heartbeat_s": 0.5}) as far:
        far.up.route(lambda request: _by_target(request, events, size))
        await far.path.set(Weather(rate_bytes=50_000))
        loop = asyncio.get_running_loop()

        async def slow() -> float:
            began = time.monotonic()
            response = await far.client.fetch("GET", "/big", within_s=WAIT_S)
            assert (len(response.seen), response.ended) == (events, "clean")
            return time.monotonic() - began

        async def quiet(until: asyncio.Task[float]) -> list[float]:
            async with far.client.open("GET", "/quiet") as response:
                beats: list[float] = []
                while not until.done() or len(beats) < 3:
                    heard = len(response.comments)
                    await response.read_until(lambda r, n=heard: len(r.comments) > n)  # type: ignore[misc]
                    beats.append(time.monotonic())
                return beats

        async def people() -> tuple[float, list[float]]:
            reading = asyncio.ensure_future(slow())
            beats = await quiet(reading)
            return await reading, beats

        there = asyncio.ensure_future(far.run(people))
        began = loop.time()
        near = await far.sc.client.fetch("GET", "/big")
        near_s = loop.time() - began
        slow_s, beats = await there
        assert len(near.seen) == events
        assert near_s < slow_s > events * size / 50_000 * 0.8
        assert max(late - early for early, late in pairwise(beats)) < 0.5 * 2 + LATE_S


def _by_target(request: RecordedRequest, events: int, size: int) -> Script:
    return sse(then="stall") if request.target == "/quiet" else _counted(events, size)


async def test_a_resume_takes_one_round_trip_of_400_ms() -> None:
    async with remote_clients({"heartbeat_s": 0.2}) as far:
        far.up.script(sse(*[OPENAI.first] * 20, OPENAI.terminal))
        await far.path.set(Weather(delay_s=0.2))

        async def people() -> float:
            async with far.client.open("POST", "/v1/chat") as response:
                await response.take(3)
                last = response.seen[2].last_event_id
            return min([await _resumed_s(far, last, 18) for _ in range(3)])

        took_s = await far.run(people)
        assert 0.39 <= took_s < 0.8
        assert len(far.up.requests) == 1
        assert far.sc.outcomes() == {"completed": 1}


async def _resumed_s(far: RemoteClients, last: str, count: int) -> float:
    """Return the time from asking, over a connection that is there, to the last event of the replay."""
    async with far.client.connect() as connection:
        began = time.monotonic()
        headers = [("Accept", "text/event-stream"), ("Last-Event-ID", last)]
        response = await far.client.request(connection, "GET", "/v1/chat", headers)
        await response.take(count)
        return time.monotonic() - began


@pytest.mark.timeout(150)
async def test_a_new_address_resumes_and_a_lost_one_goes_within_30_s() -> None:
    """A phone that moved, one that never comes back: the same to TCP, which is all that the sidecar sees."""
    async with remote_clients({"heartbeat_s": 0.5, "linger_s": 3600}) as far:
        mover, vanished = far.up.by_hand(), far.up.by_hand()

        async def people() -> float:
            async with (
                far.client.open("POST", "/v1/chat") as old,
                far.client.open("POST", "/v1/chat") as gone,
            ):
                for response, hand in ((old, mover), (gone, vanished)):
                    await far.here(_say(hand))
                    await response.event()
                await far.here(far.path.hand_off())
                since = time.monotonic()
                await far.here(_say(mover))
                async with far.client.resume(old.last_event_id, "GET", "/v1/chat") as new:
                    assert (await new.event()).last_event_id.endswith(".2")
                    assert [_address(each) == far.path.address for each in (old, new)] == [False, True]
                    assert await old.silent_for(1.0)
                    await far.here(far.sc.until(lambda: far.sc.metric("sse_subscribers") == 1, 60))
                    return time.monotonic() - since

        let_go_s = await far.run(people)
        assert USER_TIMEOUT_S - 5 <= let_go_s <= USER_TIMEOUT_S + LATE_S
        await far.sc.until(lambda: far.sc.metric("sse_streams_detached") == 2)
        for hand in (mover, vanished):
            assert (await hand.connection()).fate == "open"
        assert (len(far.up.requests), far.sc.outcomes()) == (2, {})


async def _say(hand: ByHand) -> None:
    await (await hand.connection()).write(OPENAI.first)


def _address(response: Response) -> str:
    """Return where people's end of a connection is."""
    return str(response.connection._socket.getsockname()[0])


async def test_duplicated_reordered_and_tiny_packets_change_no_stream() -> None:
    async with remote_clients({"heartbeat_s": 1}) as far:
        far.up.route(lambda _: _counted(200, 200))
        clamp = "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 88"
        await far.path.router.namespace.command(clamp)
        await far.path.set(Weather(duplicate=0.1, reorder=0.1))

        async def people() -> list[str]:
            request = far.client.request_bytes("GET", "/feed", [("Accept", "text/event-stream")])
            async with far.client.connect() as connection:
                assert connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 88
                for at in range(len(request)):
                    await connection.send(request[at : at + 1])
                response = await read_response(connection, "GET", WAIT_S)
                await response.read_to_end(WAIT_S)
                assert response.ended == "clean"
                return [event.data for event in response.seen]

        heard = await far.run(people)
        (request,) = far.up.requests
        assert heard == [event.data for event in request.truth]
        assert len(heard) == 200
        out_of_order = await far.path.people.command("nstat -asz TcpExtTCPOFOQueue")
        assert int(out_of_order.split()[-2]) > 0


async def test_a_silence_of_a_moment_costs_nothing() -> None:
    async with remote_clients({"heartbeat_s": 0.2}) as far:
        hand = far.up.by_hand()

        async def people() -> list[str]:
            async with far.client.open("POST", "/v1/chat") as response:
                await far.here(_say(hand))
                await response.event()
                await far.here(far.path.set(Weather(silent=True)))
                await far.here(_say(hand))
                assert await response.silent_for(1.0)
                await far.here(far.path.set(FINE))
                await response.event(WAIT_S)
                return [event.last_event_id.rpartition(".")[2] for event in response.seen]

        assert await far.run(people) == ["1", "2"]
        assert len(far.up.requests) == 1
