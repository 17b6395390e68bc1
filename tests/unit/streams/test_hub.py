"""The hub on virtual time: budgets, eviction, pressure, census."""

import pytest

from sidecar.config.routes import CANARY_ROUTE
from sidecar.observability import errors
from sidecar.observability.labels import Outcome
from sidecar.sse.verdict import Ending
from sidecar.streams.hub import Budgets
from sidecar.streams.states import StreamInput
from sidecar.streams.stream import Stream
from tests.kit.held import HeldReader
from tests.kit.stream_bench import PRINCIPAL, StreamBench, virtual

COMPLETED = Ending(Outcome.COMPLETED, None)


def finish(stream: Stream) -> None:
    """End a stream whose reader had everything."""
    stream.advance(StreamInput.BYTES)
    stream.advance(StreamInput.END, COMPLETED)
    stream.read_to_end()


@virtual
async def test_a_stream_is_found_by_its_token_and_by_its_handle() -> None:
    with StreamBench() as bench:
        assert bench.hub.find(bench.stream.id) is bench.stream
        assert bench.hub.find(bench.stream.handle) is bench.stream
        assert bench.hub.find("s1") is None


@virtual
@pytest.mark.parametrize("principal", [b"other", b""])
async def test_a_token_is_valid_for_its_principal_only(principal: bytes) -> None:
    with StreamBench() as bench:
        bench.hub.verify(bench.stream.id, PRINCIPAL)
        with pytest.raises(errors.StreamNotFound):
            bench.hub.verify(bench.stream.id, principal)
        with pytest.raises(errors.StreamNotFound):
            bench.hub.verify(bench.stream.id[:-1] + "A", PRINCIPAL)


@virtual
async def test_above_the_budget_of_a_principal_streams_do_not_linger() -> None:
    with StreamBench(Budgets(streams_per_principal_max=2)) as bench:
        second, third = bench.create(), bench.create()
        assert (second.lingers, third.lingers) == (True, False)
        assert bench.create(b"other").lingers


@virtual
async def test_an_expired_stream_frees_its_principals_budget() -> None:
    with StreamBench(Budgets(streams_per_principal_max=1)) as bench:
        finish(bench.stream)
        bench.stream.expire()
        assert bench.create().lingers


@virtual
async def test_the_first_finished_stream_is_evicted_for_a_new_one() -> None:
    with StreamBench(Budgets(streams_max=2)) as bench:
        first, second = bench.stream, bench.create()
        finish(first)
        finish(second)
        third = bench.create()
        assert set(bench.hub.streams.values()) == {second, third}
        assert third.lingers


@virtual
async def test_a_finished_stream_that_is_read_is_not_evicted() -> None:
    with StreamBench(Budgets(streams_max=1)) as bench:
        bench.stream.join(HeldReader(0))
        finish(bench.stream)
        assert not bench.create().lingers
        assert bench.hub.find(bench.stream.id) is bench.stream


@virtual
async def test_an_unsettled_stream_is_not_evicted() -> None:
    with StreamBench(Budgets(streams_max=1)) as bench:
        bench.stream.advance(StreamInput.BYTES)
        bench.stream.accept([b"data: a\n"])
        bench.stream.advance(StreamInput.END, COMPLETED)
        assert not bench.create().lingers
        assert bench.hub.find(bench.stream.id) is bench.stream


@virtual
async def test_a_canary_takes_no_stream_from_users() -> None:
    with StreamBench(Budgets(streams_max=1), name=CANARY_ROUTE) as bench:
        canary = bench.create()
        assert list(bench.hub.canaries.values()) == [bench.stream, canary]
        assert canary.lingers
        finish(canary)
        canary.expire()
        assert list(bench.hub.canaries.values()) == [bench.stream]


@virtual
async def test_finished_logs_go_first_when_all_are_above_the_budget() -> None:
    with StreamBench(Budgets(log_bytes_total_max=100)) as bench:
        bench.stream.accept([b"x" * 80])
        bench.stream.ledger.deliver(0, 1)
        finish(bench.stream)
        writing = bench.create()
        writing.accept([b"y" * 50])
        assert bench.hub.find(bench.stream.id) is None
        assert bench.hub.budget.bytes_held == 50
        assert not writing.pressure.high


@virtual
async def test_streams_wait_under_pressure_and_continue_after_it() -> None:
    with StreamBench(Budgets(log_bytes_total_max=100)) as bench:
        first, second = bench.stream, bench.create()
        first.accept([b"x" * 120])
        assert first.pressure.high
        assert bench.hub.budget.high
        woken: list[str] = []
        second.pause(lambda: woken.append("second"))
        reader = HeldReader(1)
        first.join(reader)
        first.trim(0, 0, 1)
        assert woken == ["second"]
        assert not bench.hub.budget.high


@virtual
async def test_the_close_of_the_hub_counts_every_stream_and_keeps_none() -> None:
    with StreamBench() as bench:
        bench.create()
        bench.hub.close()
        assert bench.outcomes == [Outcome.SIDECAR_ERROR] * 2
        assert (bench.hub.streams, bench.hub.budget.bytes_held) == ({}, 0)


@virtual
async def test_a_stream_that_is_released_twice_is_counted_once() -> None:
    with StreamBench() as bench:
        finish(bench.stream)
        bench.stream.expire()
        bench.stream.expire()
        assert bench.create().lingers


@virtual
async def test_the_census_counts_streams_readers_and_bytes() -> None:
    with StreamBench() as bench:
        stream, reader = bench.stream, HeldReader(0)
        stream.join(reader)
        stream.accept([b"data: a\n", b"data: b\n"])
        stream.ledger.deliver(0, 1)
        left = bench.create()
        gone = HeldReader(0)
        left.join(gone)
        left.leave(gone, cleanly=False, done=False)
        row = bench.hub.census()["default"]
        assert (row.streams_active, row.streams_detached, row.subscribers) == (2, 1, 1)
        assert (row.log_bytes, row.log_messages_undelivered, row.log_messages_delivered) == (16, 1, 1)
