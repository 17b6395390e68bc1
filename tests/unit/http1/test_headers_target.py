"""The request target crosses byte for byte; only a position that stands in it is read, and taken out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.http1 import headers


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a?", b"/a", b""),
        (b"/a?b=c?d", b"/a", b"b=c?d"),
        (b"//%2F..;x?%zz&a=1;b=2&a=1", b"//%2F..;x", b"%zz&a=1;b=2&a=1"),
        (b"*", b"*", b""),
    ],
)
def test_path_and_query_are_what_was_sent(target: bytes, path: bytes, query: bytes) -> None:
    assert headers.split_target(target) == (path, query)


@pytest.mark.parametrize(
    ("query", "position"),
    [
        (b"last_event_id=s1.5", b"s1.5"),
        (b"lastEventId=s1.5", b"s1.5"),
        (b"a=1&last_event_id=s1%2E5&b=2", b"s1.5"),
        (b"last_event_id=a+b", b"a b"),
        (b"last_event_id=", b""),
        (b"last_event_id", b""),
        (b"last_event_id=1&lastEventId=2", b"1"),
        (b"last_event_id=%zz%ff", b"%zz\xff"),
        (b"\xff\xfe=1&last_event_id=7", b"7"),
        (b"x=last_event_id=7", None),
        (b"Last_Event_Id=7", None),
        (b"%6Cast_event_id=7", None),
        (b"xlast_event_id=7&last_event_idx=7", None),
        (b"", None),
    ],
)
def test_a_position_may_stand_in_the_query(query: bytes, position: bytes | None) -> None:
    assert headers.position_in_query(query) == position


@pytest.mark.parametrize(
    ("target", "without"),
    [
        (b"/a?last_event_id=7", b"/a"),
        (b"/a?last_event_id", b"/a"),
        (b"/a?x=1&lastEventId=7&y=2", b"/a?x=1&y=2"),
        (b"/a?last_event_id=7&x=1&last_event_id=8&x=1", b"/a?x=1&x=1"),
        (b"/%2F;v=1/..//?%zz&x=a%20b+c&last_event_id=7", b"/%2F;v=1/..//?%zz&x=a%20b+c"),
        (b"/a?&last_event_id=7", b"/a?"),
        (b"/last_event_id=7", b"/last_event_id=7"),
        (b"/a?x=last_event_id=7", b"/a?x=last_event_id=7"),
    ],
)
def test_the_position_is_taken_out_and_every_other_byte_stays(target: bytes, without: bytes) -> None:
    assert headers.without_position(target) == without


@given(st.binary(max_size=40).filter(lambda b: b"ast_event_id" not in b and b"astEventId" not in b))
def test_a_target_without_a_position_is_left_alone_byte_for_byte(target: bytes) -> None:
    assert headers.without_position(target) == target
    assert headers.position_in_query(headers.split_target(target)[1]) is None


@given(
    st.lists(
        st.sampled_from([b"last_event_id=1", b"lastEventId", b"a=1", b"b", b"", b"%6C", b"a;b"]), max_size=8
    )
)
def test_a_position_is_found_exactly_if_there_is_one_to_take_out(parts: list[bytes]) -> None:
    target = b"/p?" + b"&".join(parts)
    left = headers.without_position(target)
    assert headers.position_in_query(headers.split_target(left)[1]) is None
    assert (headers.position_in_query(b"&".join(parts)) is not None) == (left != target)
