"""The recorder of a user's wire: blocks as they came, whatever their line ends and chunks."""

import pytest

from sidecar.verify.wire import ReceivedBlock, RecordedConnection, Splitter

WIRE = b": hb idle=1\nevent: a\r\ndata: one\rdata:two\n\nid: 7\r\n\r\ndata\n\n\n\ndata: half"
BLOCKS = [
    ReceivedBlock(1.0, (": hb idle=1", "event: a", "data: one", "data:two")),
    ReceivedBlock(1.0, ("id: 7",)),
    ReceivedBlock(1.0, ("data",)),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_blocks_are_the_same_however_the_body_is_chunked(size: int) -> None:
    splitter = Splitter()
    chunks = [WIRE[at : at + size] for at in range(0, len(WIRE), size)]
    assert [block for chunk in chunks for block in splitter.feed(chunk, 1.0)] == BLOCKS
    assert (splitter.lines, splitter.tail) == ([], b"data: half")


def test_a_block_gives_its_fields_in_order_and_what_a_client_is_given() -> None:
    block = BLOCKS[0]
    assert block.fields == [("", "hb idle=1"), ("event", "a"), ("data", "one"), ("data", "two")]
    assert (block.value("event"), block.data) == ("a", "one\ntwo")
    assert (BLOCKS[1].data, BLOCKS[2].data) == (None, "")


def test_the_first_end_of_a_connection_counts() -> None:
    connection = RecordedConnection("GET", "http://a/", "", 1.0)
    connection.end("lost", "reset")
    connection.end("left")
    assert (connection.ended, connection.detail) == ("lost", "reset")
