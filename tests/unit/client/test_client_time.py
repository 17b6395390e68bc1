"""Waits, stalls and reconnects of the Python client on a clock that jumps."""

import asyncio
import itertools
import random
from itertools import pairwise

import pytest

from sidecar.client import EventSource, Recovery, State, StreamFailed
from sidecar.client.course import ConnectionLoss
from sidecar.client.request import Request
from tests.kit.fake_network import (
    REFUSED,
    RESET,
    SSE,
    FakeAnswer,
    FakeNetwork,
    Step,
    scripted,
    source_on,
    status,
    stream,
)
from tests.kit.virtual_time import run_virtually

STREAM = "s1" + "A" * 40
SIDECAR = SSE | {"sse-stream": STREAM}
DONE = status(204)
END = b'event: sse-end\ndata: {"events":%d,"last_seq":%d}\n\n'
HB = b": hb idle=%d\n"


def event(seq: int) -> bytes:
    return b"data: %d\nid: %b.%d\n\n" % (seq, STREAM.encode(), seq)


def _sidecar(*steps: Step) -> FakeAnswer:
    return stream(*steps, headers=SIDECAR)


async def _texts(source: EventSource) -> list[str]:
    async with source as events:
        return [event.data async for event in events]


class TestStall:
    def test_after_30_silent_seconds_it_reconnects_at_its_position(self) -> None:
        network = scripted(
            stream(event(1), 1e9, headers=SIDECAR), stream(event(2), END % (2, 2), headers=SIDECAR)
        )
        states: list[tuple[State, str]] = []
        recovered: list[Recovery] = []

        async def test() -> None:
            source = source_on(
                network,
                on_state=lambda *told: states.append(told),
                on_recovered=recovered.append,
                jitter=lambda: 0.5,
            )
            assert await _texts(source) == ["1", "2"]

        run_virtually(test())
        assert network.asked_at == pytest.approx([0.0, 30 + 1.05])
        assert network.requests[1].headers["last-event-id"] == f"{STREAM}.1"
        assert states == [
            (State.OPEN, "Connected."),
            (State.STALLED, "Nothing has arrived for 30 seconds."),
            (State.RECONNECTING, "Nothing has arrived for 30 seconds."),
            (State.OPEN, "Connected."),
            (State.COMPLETED, "Complete."),
        ]
        assert [(one.attempts, one.replayed, round(one.seconds, 6)) for one in recovered] == [(1, None, 1.05)]
        assert network.reports[-1]["stalls"] == 1

    def test_one_byte_just_in_time_keeps_it(self) -> None:
        network = scripted(stream(event(1), 29.9, b":", 29.9, b"\n", 29.9, END % (1, 1), headers=SIDECAR))
        run_virtually(_texts(source_on(network)))
        assert len(network.requests) == 1

    def test_an_hour_of_heartbeats_is_no_stall_but_thinking(self) -> None:
        beats = [step for n in range(1, 361) for step in (10.0, HB % (10 * n))]
        network = scripted(stream(event(1), *beats, event(2), END % (2, 2), headers=SIDECAR))
        heard: list[int] = []
        assert run_virtually(_texts(source_on(network, on_heartbeat=heard.append))) == ["1", "2"]
        assert (len(network.requests), heard) == (1, list(range(10, 3601, 10)))

    def test_a_heartbeat_without_idle_counts_from_the_last_message(self) -> None:
        network = scripted(
            stream(event(1), 10.0, b": hb\n\n", 12.0, b": hb\n\n", END % (1, 1), headers=SIDECAR)
        )
        heard: list[int] = []
        run_virtually(_texts(source_on(network, on_heartbeat=heard.append)))
        assert heard == [10, 22]

    def test_a_program_that_was_busy_for_long_has_not_met_a_stall(self) -> None:
        network = scripted(_sidecar(event(1), 0.5, event(2), END % (2, 2)))

        async def test() -> None:
            async with source_on(network) as events:
                await anext(events)
                await asyncio.sleep(3600)  # after which what came meanwhile takes its time to be read
                assert [event.data async for event in events] == ["2"]

        run_virtually(test())
        assert len(network.requests) == 1


def _losing(times: int, *, message: bool = False) -> FakeNetwork:
    """Return a network that loses every connection, and then completes."""

    def script(number: int, _request: Request) -> FakeAnswer | ConnectionLoss:
        if number == times:
            return status(204)
        return stream(event(number + 1), RESET, headers=SIDECAR) if message else REFUSED

    return FakeNetwork(script)


class TestBackoff:
    def test_fifty_reconnects_wait_1_2_4_5_s_and_up_to_a_tenth_more(self) -> None:
        network = _losing(50)
        run_virtually(_texts(source_on(network, attempts_max=0)))
        waits = [later - earlier for earlier, later in pairwise(network.asked_at)]
        expected = [1, 2, 4, *[5] * 47]
        assert len(waits) == 50
        assert all(d <= wait <= 1.1 * d + 1e-9 for d, wait in zip(expected, waits, strict=True))
        assert len({round(wait / d, 6) for d, wait in zip(expected, waits, strict=True)}) > 40

    def test_the_sequence_begins_anew_after_a_message(self) -> None:
        network = _losing(6, message=True)
        run_virtually(_texts(source_on(network, jitter=lambda: 0.0)))
        assert network.asked_at == [0, 1, 2, 3, 4, 5, 6]

    def test_a_connection_without_a_message_does_not_begin_it_anew(self) -> None:
        network = scripted(*[stream(b": hello\n\n", RESET)] * 4, status(204))
        run_virtually(_texts(source_on(network, jitter=lambda: 0.0)))
        assert network.asked_at == [0, 1, 3, 7, 12]

    def test_a_thousand_clients_of_one_server_return_spread_by_jitter(self) -> None:
        seed = random.randrange(2**32)
        print(f"seed {seed}")  # noqa: T201 - shown when the test fails
        chance = random.Random(seed)
        networks = [scripted(_sidecar(event(1), 60.0, RESET), DONE) for _ in range(1000)]

        async def test() -> None:
            clients = [source_on(network, jitter=chance.random, stall_s=90) for network in networks]
            await asyncio.gather(*map(_texts, clients))

        run_virtually(test())
        back = sorted(network.asked_at[1] - 60.0 for network in networks)
        assert 1.0 <= back[0] < back[-1] <= 1.1
        tenths = [sum(1 + n / 100 <= at < 1 + (n + 1) / 100 for at in back) for n in range(10)]
        assert min(tenths) > 40, f"seed {seed}: {tenths}"

    def test_a_retry_replaces_the_first_wait_and_bounds_the_others(self) -> None:
        network = scripted(stream(b"retry: 3000\n", RESET), REFUSED, REFUSED, status(204))
        run_virtually(_texts(source_on(network, jitter=lambda: 0.0)))
        assert network.asked_at == [0, 3, 6, 10]

    def test_a_retry_of_a_year_is_five_minutes(self) -> None:
        network = scripted(stream(b"retry: 31536000000\n", RESET), status(204))
        run_virtually(_texts(source_on(network, jitter=lambda: 0.0)))
        assert network.asked_at == [0, 300]

    def test_retry_after_wins_over_everything(self) -> None:
        network = scripted(
            stream(b"retry: 3000\n", RESET),
            status(503, retry_after_s=17.0),
            status(429, retry_after_s=0.0),
            status(204),
        )
        run_virtually(_texts(source_on(network, jitter=lambda: 0.0)))
        assert network.asked_at == [0, 3, 20, 20]

    def test_retry_now_does_not_wait(self) -> None:
        network = scripted(
            stream(event(1), RESET, headers=SIDECAR), stream(event(2), END % (2, 2), headers=SIDECAR)
        )

        async def test() -> None:
            async with source_on(network) as events:
                await anext(events)
                task = asyncio.create_task(anext(events))
                await asyncio.sleep(0.25)
                assert (events.state, events.attempt) == (State.RECONNECTING, 1)
                assert 1.0 <= (events.retry_at or 0) <= 1.1
                events.retry_now()
                assert (await task).data == "2"
                assert (events.attempt, events.retry_at) == (0, None)

        run_virtually(test())
        assert network.asked_at == [0, 0.25]

    def test_retry_now_ends_one_wait_and_not_the_next(self) -> None:
        network = scripted(_sidecar(event(1), RESET), REFUSED, _sidecar(event(2), END % (2, 2)))

        async def test() -> None:
            async with source_on(network, jitter=lambda: 0.0) as events:
                await anext(events)
                task = asyncio.create_task(anext(events))
                await asyncio.sleep(0.25)
                events.retry_now()
                assert (await task).data == "2"

        run_virtually(test())
        assert network.asked_at == [0, 0.25, 2.25]

    def test_a_recovery_counts_from_the_loss_over_all_attempts(self) -> None:
        back = stream(event(2), END % (2, 2), headers=SIDECAR | {"sse-replayed": "1"})
        network = scripted(_sidecar(event(1), RESET), REFUSED, status(503), back)
        recovered: list[Recovery] = []
        run_virtually(_texts(source_on(network, on_recovered=recovered.append, jitter=lambda: 0.0)))
        assert recovered == [Recovery(attempts=3, seconds=7.0, replayed=1)]
        assert [said["reconnects"] for said in network.reports] == [[7.0], [7.0]]

    def test_too_many_attempts_are_a_failure_that_says_how_many(self) -> None:
        network = FakeNetwork(lambda *_: REFUSED)
        with pytest.raises(
            StreamFailed, match=r"^The server cannot be reached\. Given up after 10 attempts\.$"
        ):
            run_virtually(_texts(source_on(network, jitter=lambda: 0.0)))
        assert network.asked_at == [0, 1, 3, 7, 12, 17, 22, 27, 32, 37, 42]


class TestCancelledSteps:
    def test_an_iteration_that_timed_out_can_continue_without_loss(self) -> None:
        network = scripted(
            stream(event(1), 5.0, event(2), RESET, headers=SIDECAR),
            stream(event(3), END % (3, 3), headers=SIDECAR),
        )
        seen: list[str] = []

        async def test() -> None:
            async with source_on(network) as events:
                while True:
                    try:
                        async with asyncio.timeout(0.3):
                            seen.append((await anext(events)).data)
                    except TimeoutError:
                        continue
                    except StopAsyncIteration:
                        return

        run_virtually(test())
        assert (seen, len(network.requests)) == (["1", "2", "3"], 2)

    def test_a_headers_function_that_fails_is_asked_again_later_and_told(self) -> None:
        calls = itertools.count()

        def headers() -> dict[str, str]:
            if next(calls) == 0:
                raise OSError("no network")
            return {"authorization": "Bearer 2"}

        states: list[tuple[State, str]] = []
        network = scripted(stream(event(1), END % (1, 1), headers=SIDECAR))
        source = source_on(
            network, headers=headers, jitter=lambda: 0.0, on_state=lambda *told: states.append(told)
        )
        assert run_virtually(_texts(source)) == ["1"]
        assert states[0][0] is State.RECONNECTING
        assert network.asked_at == [1]
        assert network.requests[0].headers["authorization"] == "Bearer 2"

    def test_each_connection_after_a_401_gets_a_new_login(self) -> None:
        network = scripted(
            status(401),
            _sidecar(event(1), RESET),
            status(401),
            _sidecar(event(2), END % (2, 2)),
        )
        assert run_virtually(_texts(source_on(network, headers=dict))) == ["1", "2"]


class TestEndings:
    def test_after_the_end_event_the_client_waits_two_seconds_for_the_end(self) -> None:
        network = scripted(_sidecar(event(1), END % (1, 1), 1e9))

        async def test() -> float:
            await _texts(source_on(network))
            return asyncio.get_running_loop().time()

        assert run_virtually(test()) == 2.0
        assert network.reports[-1]["state"] == "completed"

    def test_a_first_answer_may_take_long_and_one_from_the_log_may_not(self) -> None:
        network = scripted(_sidecar(event(1), RESET), _sidecar(event(2), END % (2, 2)))
        run_virtually(_texts(source_on(network, method="POST", stall_s=7)))
        assert network.within_s == [150, 7]

    def test_an_end_after_an_error_fails_also_with_messages_between(self) -> None:
        told = b'event: error\ndata: {"error":{"message":"Overloaded"}}\nid: %b.1\n\n' % STREAM.encode()
        network = scripted(_sidecar(told, event(2), RESET), DONE)
        with pytest.raises(StreamFailed, match=r"^Overloaded$"):
            run_virtually(_texts(source_on(network)))

    def test_messages_that_were_not_handed_out_are_not_reported(self) -> None:
        network = scripted(_sidecar(event(1) + event(2) + event(3), 1e9))

        async def test() -> None:
            async with source_on(network) as events:
                await anext(events)
                assert events.position == f"{STREAM}.1"

        run_virtually(test())
        said = network.reports[-1]
        assert (said["received"], said["last_seq"], said["state"]) == (1, 1, "closed")
