"""Published Python SDKs read answers and failures of the sidecar."""

import asyncio

import pytest

from tests.clients.sdk.answers import (
    AT_ONCE,
    FAULTS,
    REPEATABLE,
    SLOWLY,
    STAMPED,
    assert_one_generation,
    assert_the_same,
    assert_told,
    faulty,
)
from tests.clients.sdk.cut import delivered, kill
from tests.clients.sdk.front import STREAM_TYPE, fronted
from tests.clients.sdk.python_sdks import READERS, read

pytestmark = pytest.mark.sdk

ACCEPT = {"httpx-sse": STREAM_TYPE, "httpx": "*/*"}
"""What they send by themselves, where it is not JSON."""


@pytest.mark.parametrize("name", READERS)
async def test_a_whole_answer_is_what_it_is_without_the_sidecar(name: str) -> None:
    async with fronted() as front:
        seen = await asyncio.gather(
            read(READERS[name], front.direct, AT_ONCE),
            read(READERS[name], front.relayed, SLOWLY),
            read(READERS[name], front.relayed, SLOWLY, STAMPED),
        )
        own = ACCEPT.get(name, "application/json")
        assert sorted(front.accepts) == sorted([own, own, STREAM_TYPE])
        assert_the_same(front, *seen)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", READERS)
async def test_a_failed_answer_raises(name: str, fault: str) -> None:
    async with fronted() as front:
        seen = await asyncio.gather(
            read(READERS[name], front.relayed, faulty(fault)),
            read(READERS[name], front.relayed, faulty(fault), STAMPED),
        )
        assert_told(front, *seen)
        assert len(front.accepts) == 2


@pytest.mark.parametrize("name", [name for name in READERS if "httpx" not in name])
async def test_cut_raises_and_a_repeat_reads_the_same_answer(name: str) -> None:
    async with fronted() as front:
        reading = asyncio.create_task(read(READERS[name], front.relayed, SLOWLY, REPEATABLE))
        kill(await delivered(front.sc, 3))
        cut = await reading
        again = await read(READERS[name], front.relayed, SLOWLY, REPEATABLE)
        assert_one_generation(front, cut, again)
