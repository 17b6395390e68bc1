"""Published JavaScript SDKs read answers and failures of the sidecar."""

import asyncio

import pytest

from tests.clients.sdk import node_sdks
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
from tests.clients.sdk.node_sdks import case

pytestmark = [pytest.mark.sdk, pytest.mark.needs("npm")]

SCRIPTS = {
    "openai-chat": "application/json",
    "openai-chat-helper": "application/json",
    "openai-responses": "application/json",
    "anthropic": "application/json",
    "ai-sdk-openai": "*/*",
    "ai-sdk-ui": "*/*",
    "eventsource-parser": "*/*",
}
"""Each with the Accept field that it sends by itself."""


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_whole_answer_is_what_it_is_without_the_sidecar(script: str) -> None:
    async with fronted() as front:
        seen = await node_sdks.run(
            script,
            case(front.direct, AT_ONCE),
            case(front.relayed, SLOWLY),
            case(front.relayed, SLOWLY, STAMPED),
        )
        own = SCRIPTS[script]
        assert sorted(front.accepts) == sorted([own, own, STREAM_TYPE])
        assert_the_same(front, *seen)


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_failed_answer_raises(script: str) -> None:
    async with fronted() as front:
        ways = [(fault, headers) for fault in FAULTS for headers in ({}, STAMPED)]
        seen = await node_sdks.run(
            script, *(case(front.relayed, faulty(fault), headers) for fault, headers in ways)
        )
        assert_told(front, *seen)
        assert len(front.accepts) == len(ways)


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != "eventsource-parser"])
async def test_cut_raises_and_a_repeat_reads_the_same_answer(script: str) -> None:
    async with fronted() as front:
        repeatable = case(front.relayed, SLOWLY, REPEATABLE)
        reading = asyncio.create_task(node_sdks.run(script, repeatable))
        kill(await delivered(front.sc, 3))
        (cut,) = await reading
        (again,) = await node_sdks.run(script, repeatable)
        assert_one_generation(front, cut, again)
