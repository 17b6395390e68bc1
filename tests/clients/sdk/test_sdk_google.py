"""Google's SDKs, which take a line that is no ``data`` for a part of the answer, on a route made for them."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator

import pytest
from google import genai
from google.genai.types import HttpOptions

from tests.clients.sdk import google_wire as wire
from tests.clients.sdk import node_sdks
from tests.clients.sdk.cut import delivered, kill
from tests.clients.sdk.node_sdks import case
from tests.clients.sdk.seen import SdkResult
from tests.kit.fake_upstream import Ending, sse
from tests.kit.relayed import relayed

pytestmark = [
    pytest.mark.sdk,
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    # The Python SDK leaves the connection of a failed answer to the garbage collector.
    pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning"),
]

Read = Callable[[str], Coroutine[None, None, SdkResult]]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Have what the SDK leaves behind collected while its warnings are this module's."""
    yield
    gc.collect()


async def read_in_python(url: str) -> SdkResult:
    seen = SdkResult()
    options = HttpOptions(base_url=url)
    async with genai.Client(api_key="demo", http_options=options).aio as sdk:
        try:
            async for chunk in await sdk.models.generate_content_stream(model="demo-1", contents="Why?"):
                finish = (chunk.candidates or [])[0].finish_reason
                seen.note(finish.value if finish else "undefined", chunk.text)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what its application gets
            seen.error = f"{type(error).__name__}: {error}"
    return seen


async def read_in_node(url: str) -> SdkResult:
    (seen,) = await node_sdks.run("google", case(url))
    return seen


SDKS = [
    pytest.param(read_in_python, id="google-genai"),
    pytest.param(
        read_in_node,
        id="@google/genai",
        marks=pytest.mark.needs("npm"),
    ),
]


@pytest.mark.parametrize("read", SDKS)
async def test_a_whole_answer_is_what_it_is_without_the_sidecar(read: Read) -> None:
    async with relayed(wire.ROUTE) as (up, sc):
        up.route(lambda _: sse(wire.FIRST, wire.SECOND, wire.LAST))
        direct, through = await asyncio.gather(read(up.url), read(f"http://127.0.0.1:{sc.port}"))
        assert (direct.text, direct.kinds) == (wire.TEXT, ["undefined", "undefined", "STOP"])
        assert through.content == direct.content
        assert [request.headers.get("accept") for request in up.requests] == ["*/*", "*/*"]
        assert all(request.target.endswith(":streamGenerateContent?alt=sse") for request in up.requests)
        assert sc.outcomes() == {"completed": 1}


@pytest.mark.parametrize("read", SDKS)
async def test_a_cut_raises(read: Read) -> None:
    async with relayed(wire.ROUTE) as (up, sc):
        up.script(sse(wire.FIRST, then="stall"))
        reading = asyncio.create_task(read(f"http://127.0.0.1:{sc.port}"))
        kill(await delivered(sc, 1))
        seen = await reading
        assert seen.error
        assert wire.TEXT.startswith(seen.text)


FAILURES: dict[str, tuple[list[bytes], Ending]] = {
    "reset": ([], "reset"),
    "truncated": ([b'data: {"cand'], "fin"),
    "no finishReason": ([wire.SECOND], "end"),
    "error": ([wire.ERROR], "end"),
}


@pytest.mark.parametrize(("rest", "then"), FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("read", SDKS)
async def test_a_failed_answer_raises(read: Read, rest: list[bytes], then: Ending) -> None:
    async with relayed(wire.ROUTE) as (up, sc):
        gate = asyncio.Event()
        up.script(sse(wire.FIRST, gate, *rest, then=then))
        reading = asyncio.create_task(read(f"http://127.0.0.1:{sc.port}"))
        await delivered(sc, 1)
        gate.set()
        seen = await reading
        assert seen.error
        assert wire.TEXT.startswith(seen.text)
        assert "completed" not in sc.outcomes()
