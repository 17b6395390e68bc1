"""Each message arrives once and in order, for any cuts and repeats."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.client import State
from sidecar.client.request import Request
from sidecar.sse import event_id
from tests.kit.fake_network import RESET, SSE, FakeAnswer, FakeNetwork, source_on, stream
from tests.kit.virtual_time import run_virtually

STREAM = "s1" + "A" * 40
SIDECAR = SSE | {"sse-stream": STREAM}
PIECE_BYTES = 7


def _block(seq: int, *, stamped: bool) -> bytes:
    stamp = b"id: %b.%d\n" % (STREAM.encode(), seq) if stamped else b""
    return b": hb idle=3\ndata: %d\n%b\n" % (seq, stamp)


def _end(count: int) -> bytes:
    return b'event: sse-end\ndata: {"events":%d,"last_seq":%d}\n\n' % (count, count)


class FakeLog:
    """A sidecar with ``count`` messages, on connections that are cut.

    ``cuts`` are in bytes. On connection N the sidecar repeats ``again[N]`` messages. A client recognizes them
    only by their ids (``stamped``).
    """

    def __init__(self, count: int, cuts: list[int], again: list[int], *, stamped: bool) -> None:
        self.count = count
        self.stamped = stamped
        self._cuts = cuts
        self._again = again

    def __call__(self, number: int, request: Request) -> FakeAnswer:
        known = event_id.parse(request.headers.get("last-event-id", ""))
        after = known.seq if known is not None else 0
        if self.stamped and number < len(self._again):
            after = max(0, after - self._again[number])
        body = b"".join(_block(seq, stamped=self.stamped) for seq in range(after + 1, self.count + 1))
        body += _end(self.count)
        if number >= len(self._cuts):
            return stream(*_pieces(body), headers=SIDECAR)
        return stream(*_pieces(body[: self._cuts[number]]), RESET, headers=SIDECAR)


def _pieces(body: bytes) -> list[bytes]:
    return [body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]


@settings(max_examples=400)
@given(
    st.integers(1, 12),
    st.lists(st.integers(0, 700), max_size=9),
    st.lists(st.integers(0, 5), max_size=9),
    st.booleans(),
    st.sampled_from(["GET", "POST"]),
)
def test_each_message_comes_once_and_the_last_report_agrees(
    count: int, cuts: list[int], again: list[int], stamped: bool, method: str
) -> None:
    network = FakeNetwork(FakeLog(count, cuts, again, stamped=stamped))
    source = source_on(network, method=method)

    async def read() -> list[str]:
        async with source as events:
            return [event.data async for event in events]

    assert run_virtually(read()) == [str(seq) for seq in range(1, count + 1)]
    assert (source.state, source.received, source.gaps) == (State.COMPLETED, count, ())
    assert [request.method for request in network.requests[1:]] == ["GET"] * (len(network.requests) - 1)
    said = network.reports[-1]
    assert (said["received"], said["first_seq"], said["last_seq"]) == (count, 1, count), json.dumps(said)
    assert len(said["reconnects"]) <= len(network.requests) - 1
